/* SPDX-License-Identifier: Apache-2.0
 *
 * nest: jobs that run within a call of Erlang's, on the thread that waits for
 * it and on top of its frame: the main thread, or another one of Python's that
 * belongs to a job. They come as {within, CallId, Request}. So Erlang can ask
 * Python something for Python's sake, and neither waits for the other. Calls in
 * turn may be made by such a job, up to MOST_NESTED of them on a thread.
 */
#ifndef PORT_LOOP_NEST_H
#define PORT_LOOP_NEST_H

#include <stdbool.h>

#include "loop/jobs.h"
#include "wire/request.h"

/* Call once, from the main thread, before there are others. */
void nest_init(void);

/* Takes a job that is to run within the call with this CallId. False: no thread
 * waits for it, or not any more. Any thread, no GIL. */
bool nest_push(long call, struct job *job);

/* Takes the job with the same id as `req` out, if it has not started, or NULL.
 * Any thread, no GIL. */
struct job *nest_remove(const struct request *req);

#endif
