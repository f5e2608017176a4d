/* SPDX-License-Identifier: Apache-2.0
 *
 * Forked children (os.fork, multiprocessing): a child closes the protocol at
 * once and never returns into our loop.
 */
#ifndef PORT_PROCESS_FORK_H
#define PORT_PROCESS_FORK_H

/* Call once. 0, or -1. */
int fork_init(void);

/* In a child that came back from user code: flushes what Python has buffered
 * and ends it, with status 0. Returns in the parent. GIL held. (A child whose
 * code raised ends in reply_exception, as Python itself would end: sys.exit
 * with its own code, any other exception on standard error and with 1.) */
void fork_end_child(void);

#endif
