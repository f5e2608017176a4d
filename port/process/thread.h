/* SPDX-License-Identifier: Apache-2.0
 *
 * thread: threads of ours. They block all signals, so that the main thread,
 * whose handlers are Python's, gets each one.
 */
#ifndef PORT_PROCESS_THREAD_H
#define PORT_PROCESS_THREAD_H

/* Starts a thread that is never joined. 0, or -1. */
int thread_start(void *(*run)(void *));

#endif
