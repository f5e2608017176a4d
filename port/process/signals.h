/* SPDX-License-Identifier: Apache-2.0
 *
 * signals: what the program begins with, and the two signals that it has
 * handlers for. SIGINT from outside does nothing: Ctrl-C in the Erlang shell is
 * not meant for a worker. SIGTERM is the end of the input. They are handlers,
 * not SIG_IGN, which would be inherited by what Python starts. No GIL.
 */
#ifndef PORT_PROCESS_SIGNALS_H
#define PORT_PROCESS_SIGNALS_H

/* Resets the signals that whoever started the VM has ignored or blocked (nohup,
 * a test runner): Python expects them at their defaults. Call first of all. */
void signals_default(void);

/* Installs the handlers. Call once, after fds_take and before Python starts. */
void signals_init(void);

/* Python has just installed a handler of its own for this signal. If it is
 * SIGINT or SIGTERM, ours is put in front of it again: Python's is then called
 * only for signals that the program itself sends, and never for SIGTERM. */
void signals_keep(int signum);

/* What SIGTERM does. Any thread, also in a signal handler. */
void signals_terminate(void);

/* Ends the program by SIGTERM if that is how it was asked to end, so that
 * whoever waits for it learns why. Otherwise it does nothing. */
void signals_end(void);

/* Blocks all signals of the calling thread, and undoes that. In between a
 * thread may fork(2): signals_plain then gives the child, before it can get a
 * signal, what it would have from an ordinary Python. What user code has
 * installed itself stays. */
void signals_block(void);
void signals_unblock(void);
void signals_plain(void);

#endif
