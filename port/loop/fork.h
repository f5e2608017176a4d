/* SPDX-License-Identifier: Apache-2.0
 *
 * Forked children (os.fork, multiprocessing): a child closes the protocol at
 * once and never returns into our loop.
 */
#ifndef PORT_LOOP_FORK_H
#define PORT_LOOP_FORK_H

/* Call once. 0, or -1. */
int fork_init(void);

/* In a child that came back from user code: flushes what Python has buffered
 * and ends it. Returns in the parent. GIL held. */
void fork_end_child(void);

#endif
