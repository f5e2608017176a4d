/* SPDX-License-Identifier: Apache-2.0
 *
 * pause: what happens behind a job that has run out of memory, or has left
 * Python's heap nearly full. If the program was started with --pause, it says
 * {event, paused, memory_error} or {event, paused, heap} after the reply, and
 * starts nothing until it reads `resume`. So Erlang can take back the jobs that
 * have not started, before they run out of memory, too.
 *
 * It says once that the heap is nearly full, and again only after it was not.
 */
#ifndef PORT_LOOP_PAUSE_H
#define PORT_LOOP_PAUSE_H

#include <stdbool.h>

/* Call once, before there are threads. */
void pause_init(bool wanted);

/* Whether the program will pause when the job that runs is over. GIL held, main
 * thread. */
bool pause_is_due(void);

/* A job, or a stream's step, is over and answered. GIL held, main thread. */
void pause_after_job(void);

/* A request was refused because there was no memory for it, or what was awaited
 * has failed for that. Any thread. */
void pause_at_once(void);

/* Whether nothing is to be started now. Any thread, no GIL. */
bool pause_holds(void);

/* `resume` has come. Any thread, no GIL. */
void pause_end(void);

#endif
