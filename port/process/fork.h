/* SPDX-License-Identifier: Apache-2.0
 *
 * fork: forked children (os.fork, multiprocessing). From its first instruction
 * on a child is like the child of an ordinary Python: without the protocol and
 * without what the program has set up for itself. It never returns into our
 * loop.
 */
#ifndef PORT_PROCESS_FORK_H
#define PORT_PROCESS_FORK_H

/* Call once, before Python starts. 0, or -1. */
int fork_init(void);

/* In a child that came back from user code: flushes what Python has buffered
 * and ends it, as Python itself would end. The status is 0 when no exception is
 * set; that of sys.exit; or 1, with the exception on standard error. Returns in
 * the parent. GIL held. */
void fork_end_child(void);

#endif
