/* SPDX-License-Identifier: Apache-2.0
 *
 * crew: Python threads that run jobs, and steps of streams, beside the main
 * thread, if the program was started with --threads. The main thread starts
 * jobs in order: one that may run aside is handed to a thread that is free,
 * with the word {Id, threaded}, and the next has its turn. If all threads are
 * at work it waits, and so do those behind it. Streams that were opened there
 * take turns with them. A thread is started when it is first needed.
 */
#ifndef PORT_LOOP_CREW_H
#define PORT_LOOP_CREW_H

#include <stdbool.h>

#include "loop/jobs.h"

/* How many threads there may be; 1: all jobs run on the main thread, as they do
 * until this is called. Call once, before there are threads. */
void crew_init(long most);

/* Whether there may be any. Any thread, no GIL. */
bool crew_is_on(void);

/* Whether there is any: then no job that may run aside runs on the main thread.
 * Main thread. */
bool crew_is_there(void);

/* Whether the next job that may run aside, or a stream that is ready, has to
 * wait for a thread: crew_start would not start it, and fds_kick is called when
 * it would. Main thread, no GIL. */
bool crew_holds_up(void);

/* Hands over the jobs and streams whose turn it is, so long as they may run
 * aside and there is a thread. Main thread, no GIL. */
void crew_start(void);

/* Either a job or a stream whose turn it is. */
struct work {
    struct job *job;
    struct stream *stream;
};

/* Says {Id, threaded} for a job that may run aside, but for which the main
 * thread has no thread: it runs that itself. Or for one that will run within a
 * call of another thread. Any thread, no GIL. */
void crew_say(const struct job *job);

/* The program ends: interrupts what the threads run, and waits for that a
 * moment. What is stuck then ends with the program. GIL held, main thread. */
void crew_end(void);

#endif
