/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: neither Ctrl-C in the Erlang shell nor a vanished reader may end a
 * worker; SIGTERM is the end of the input. Handlers, not SIG_IGN: that would be
 * inherited by what Python starts. No GIL.
 */
#ifndef PORT_PROCESS_SIGNALS_H
#define PORT_PROCESS_SIGNALS_H

/* Call once, after fds_take and before Python starts. */
void signals_init(void);

/* Undoes it in a forked child, where it would keep SIGTERM from ending the
 * child; handlers that user code has set since then stay. */
void signals_reset(void);

#endif
