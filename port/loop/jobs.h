/* SPDX-License-Identifier: Apache-2.0
 *
 * Jobs: what has come in and waits for the main thread, and what the main
 * thread is running. Everything here is under one lock that is held for a
 * few instructions, never while Python runs. Any thread unless said
 * otherwise; no GIL.
 */
#ifndef PORT_LOOP_JOBS_H
#define PORT_LOOP_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "op/stream.h"
#include "wire/frame.h"
#include "wire/request.h"

/* A request with the frame that it points into. */
struct job {
    struct job *next;
    struct frame *frame; /* owned */
    struct request req;

    /* For the stream that it may open, what was asked of it meanwhile. With
     * the lock, until jobs_done. */
    long long more;
    enum stream_end ending;
};

/* Call once, before there are threads. */
void jobs_init(void);

/* A job of its own for a frame, which it takes. NULL: no memory, and the
 * frame is freed. */
struct job *job_take(struct frame *frame);
void job_free(struct job *job);

/* Appends a job. False, and nothing is taken, when too many wait already. */
bool jobs_push(struct job *job);

/* How many jobs may wait. */
size_t jobs_max(void);

/* The oldest waiting job, or NULL. The caller owns it. */
struct job *jobs_pop(void);
bool jobs_waiting(void);

/* Takes the waiting job with the same id as `req` out, or NULL. */
struct job *jobs_remove(const struct request *req);

/* The main thread says what it is at: a job, or something else that is to be
 * watched like one, with the id of n bytes (0: Python's start). Both stay
 * valid until jobs_done. */
void jobs_start(struct job *job);
void jobs_start_other(const char *id, size_t n);
void jobs_done(void);

/* Marks the running job as cancelled if it is the one of `req`; NULL means
 * whatever runs. False: it is not running. */
bool jobs_cancel(const struct request *req);

/* Keeps {more, …} and {stop, …} for a stream whose job waits or runs. False:
 * there is none with this id. */
bool jobs_keep(const struct request *req);

/* True once, when the running job has been cancelled. Main thread. */
bool jobs_was_cancelled(void);

/* True while the running job has been cancelled and does not know it. */
bool jobs_cancel_waits(void);

/* For the sentinel: sleeps until one job has been running for a tick and
 * returns its serial number; 0 when there will be no more jobs. */
unsigned long jobs_wait_for_long(void);

/* True when that is no job and nothing that has an id: Python's start. */
bool jobs_is_start(unsigned long serial);

/* True while that job is running; jobs_done calls fds_kick when it ends. */
bool jobs_is_running(unsigned long serial);

/* There will be no more jobs: makes jobs_wait_for_long return 0. */
void jobs_close(void);

#endif
