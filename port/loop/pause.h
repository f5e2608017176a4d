/* SPDX-License-Identifier: Apache-2.0
 *
 * pause: what happens behind a job that has run out of memory, or has left
 * Python's heap nearly full. If the program was started with --pause, it says
 * {event, paused, {memory_error, Id}} before the reply, because several threads
 * reply, or {event, paused, heap} after it, and starts nothing until it reads
 * `resume`. So Erlang can take back the jobs that have not started, before they
 * run out of memory, too. Behind a call of a multicall or an item of a stream
 * it says {event, paused, memory_error}.
 *
 * It says once that the heap is nearly full, and again only after it was not.
 */
#ifndef PORT_LOOP_PAUSE_H
#define PORT_LOOP_PAUSE_H

#include <stdbool.h>
#include <stddef.h>

/* Call once, before there are threads. */
void pause_init(bool wanted);

/* Whether the program will pause when the job that runs is over. GIL held, main
 * thread. */
bool pause_is_due(void);

/* A job, or a stream's step, is over and answered. GIL held, main thread. */
void pause_after_job(void);

/* The request with this Id, of n bytes, has failed for want of memory. 0 bytes:
 * it was an answer to Python that there was no memory for. Any thread, no GIL.
 */
void pause_before_reply(const char *id, size_t n);

/* Whether nothing is to be started now. Any thread, no GIL. */
bool pause_holds(void);

/* `resume` has come. Any thread, no GIL. */
void pause_end(void);

#endif
