/* SPDX-License-Identifier: Apache-2.0
 *
 * crash: last words. When Python or a C library crashes, the Python stacks that
 * faulthandler wrote go to the VM as {event, crash, Text} before the process
 * dies of its signal.
 */
#ifndef PORT_PROCESS_CRASH_H
#define PORT_PROCESS_CRASH_H

/* Installs the handlers, with faulthandler in front of them. 0, or -1 with an
 * exception. GIL held. */
int crash_init(void);

/* In a forked child: a crash is what it is in any Python, until somebody
 * enables faulthandler. Called right after fork(2), so without Python, which
 * learns of it from erlang._signals. */
void crash_in_child(void);

#endif
