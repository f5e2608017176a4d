/* SPDX-License-Identifier: Apache-2.0
 *
 * interrupt: how a cancelled job learns of it. A signal of our own makes the
 * main thread's blocking system call return and its bytecode loop stop; the
 * Python-level handler raises erlang.Cancelled only if the job that is running
 * is the one that was cancelled, so an interrupt that comes late hits nobody.
 */
#ifndef PORT_LOOP_INTERRUPT_H
#define PORT_LOOP_INTERRUPT_H

/* Installs the handler. 0, or -1 with an exception. GIL held, main thread. */
int interrupt_init(void);

/* Interrupts the main thread. Any thread, no GIL. */
void interrupt_main(void);

#endif
