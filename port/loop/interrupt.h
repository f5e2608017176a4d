/* SPDX-License-Identifier: Apache-2.0
 *
 * interrupt: how a job learns that it is cancelled. A signal of our own makes
 * the main thread's blocking system call return and its bytecode loop stop. The
 * Python-level handler raises erlang.Cancelled only if the job that is running
 * is the one that was cancelled, so an interrupt that comes late hits nobody.
 *
 * The signal is repeated until the job is over, because the exception may be
 * swallowed: by a bare `except`, by a callback. It is not raised again in code
 * that handles it, so that clean-up is not disturbed. Nor is it raised at a
 * moment when it would do harm (moment.h), unless half of the grace is over.
 *
 * A job on another thread (nest.h) has no signal: Python raises the exception
 * there, once for each time that the job is cancelled.
 */
#ifndef PORT_LOOP_INTERRUPT_H
#define PORT_LOOP_INTERRUPT_H

#include <stdbool.h>

/* Call first: how many milliseconds an interrupted job has. */
void interrupt_set_grace(long ms);

/* Installs the handler. 0, or -1 with an exception. GIL held, main thread. */
int interrupt_init(void);

/* Interrupts the main thread. Any thread, no GIL; the sentinel only, so that
 * there is some time between two signals. */
void interrupt_main(void);

/* Has Cancelled raised on all other threads where the job on top is cancelled:
 * once, at the next bytecode, or where the thread waits for Erlang. True: on
 * one of them now is no good moment for it. GIL held, any thread. */
bool interrupt_others(void);

/* What this thread was to raise at its next bytecode, for whom it ran before,
 * it will not. GIL held. */
void interrupt_forget(void);

/* A job is over that ran on top of another on this thread, and if `raised` it
 * had been interrupted: what it has not heard yet, it will not. If the one
 * below is cancelled, it is its turn. GIL held. */
void interrupt_over(bool raised);

/* After how many milliseconds the signal is to be repeated. Any thread. */
long interrupt_pause(void);

#endif
