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

/* In a forked child: what faulthandler writes goes to standard error, because
 * the parent uses the file. Right after fork(2), so without Python. */
void crash_in_child(void);

#endif
