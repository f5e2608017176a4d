/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals: Ctrl-C in the Erlang shell must not end a worker, a vanished
 * reader neither; SIGTERM is the end of the input. Handlers, not SIG_IGN:
 * what Python starts must not inherit them. No GIL.
 */
#ifndef PORT_PROCESS_SIGNALS_H
#define PORT_PROCESS_SIGNALS_H

/* Call once, after fds_take and before Python starts. */
void signals_init(void);

/* Undoes it in a forked child, where it would keep SIGTERM from ending the
 * child; handlers that user code has set meanwhile stay. */
void signals_reset(void);

#endif
