/* SPDX-License-Identifier: Apache-2.0
 *
 * jobs: what has come in and waits for the main thread, and what runs, on the
 * main thread and on others. Everything here is under one lock that is held for
 * a few instructions, never while Python runs. Any thread unless said
 * otherwise; no GIL.
 */
#ifndef PORT_LOOP_JOBS_H
#define PORT_LOOP_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/buf.h"
#include "wire/frame.h"
#include "wire/queue.h"
#include "wire/request.h"

/* A request with the frame that it points into. */
struct job {
    struct queued queued;
    struct frame *frame; /* owned */
    struct request req;
    long within; /* the CallId that it runs within (nest.h), or 0 */
    bool aside;  /* it may run beside the main thread (crew.h) */
};

/* The link that points to the job in this queue which has the id of `req`, or
 * to NULL. The queue's lock held. */
struct queued **job_link(struct queue *queue, const struct request *req);

/* Call once, before there are threads. */
void jobs_init(void);

/* A job of its own for the request in a frame, which it takes. NULL: no memory,
 * and the frame is still the caller's. */
struct job *job_take(struct frame *frame, const struct request *req);
void job_free(struct job *job);

/* Appends a job. False, and nothing is taken, when WAITING_MAX wait already. */
bool jobs_push(struct job *job);

bool jobs_waiting(void);

/* Takes the waiting job with the same id as `req` out, or NULL. */
struct job *jobs_remove(const struct request *req);

struct line;

/* What the main thread runs: the oldest waiting job, which the caller owns then
 * (NULL: none waits, or it may run aside, and is to be started only if
 * `aside`); a step of the stream with that id; or Python's start. All are
 * watched alike, and below each is called a job. It, or the id, stays valid
 * until jobs_done. On another thread that has a line a step of a stream runs
 * until jobs_aside_done. */
struct job *jobs_start_next(bool aside);
void jobs_start_stream(const char *id, size_t n);
void jobs_start_python(void);

/* Whether the oldest waiting job may run beside the main thread. If so, takes
 * it out as what runs on the thread that has this line, until jobs_aside_done,
 * which that thread calls, and which returns what jobs_done does. */
bool jobs_next_is_aside(void);
struct job *jobs_start_aside(struct line *line);
bool jobs_aside_done(void);

/* The job is over. True: it had been cancelled, and an exception was raised. */
bool jobs_done(void);

/* One of those that run on a thread, one on top of the other. */
struct running {
    const char *id; /* NULL between jobs */
    size_t id_len;
    int order;          /* enum jobs_order */
    long long heard_at; /* by the cancelled job, clock_now(); 0: not yet */
    bool raised;        /* an exception was raised, at least once */
    bool recalled;      /* what it has not begun is to be given back */
    struct running *below;
};

/* What runs on a thread. */
struct line {
    struct running top;
    unsigned long thread; /* its number in Python */
    struct line *next;
};

/* From now on jobs may run on the calling thread, and it has this line, which
 * stays the caller's until jobs_line_end. False: it has one already, as the
 * main thread has. With the GIL, as everything on lines of other threads. */
bool jobs_line_begin(struct line *line);
void jobs_line_end(void);

/* The first in two steps: another thread will have this line, which is watched
 * from now on; and that thread takes it. */
void jobs_line_add(struct line *line);
void jobs_line_take(struct line *line);

/* A job that runs on top of what runs on this thread, within a call of it: what
 * is below is put aside, into memory of the caller's, until jobs_leave. If that
 * one is cancelled and has not been told, so is what is on top. For the
 * sentinel and for jobs_done both are one job. jobs_leave returns whether an
 * exception was raised in it. On a thread that has a line. */
void jobs_enter(struct running *below, const struct job *job);
bool jobs_leave(void);

/* Whether a job, or a step of a stream, runs on this very thread. */
bool jobs_run_here(void);

/* Puts the Id of what runs here, a job or a step of a stream; in a thread that
 * runs none that of what runs on the main thread; or the atom none: then this
 * is false. */
bool jobs_put_id(struct buf *out);

enum jobs_where { JOBS_NOWHERE, JOBS_ON_MAIN, JOBS_ON_OTHER };

/* Cancels what runs and has the id of `req`, with all that is on top of it, and
 * says where that is. A job stays cancelled until it is over. */
enum jobs_where jobs_cancel(const struct request *req);

/* Cancels whatever runs on the main thread. */
void jobs_cancel_running(void);

/* Cancels whatever runs on other threads. */
void jobs_cancel_others(void);

/* What runs and has the id of `req` is to begin nothing more. */
void jobs_recall(const struct request *req);

/* Whether the job that runs here, if it has several parts, may begin the next:
 * it is neither cancelled nor recalled. */
bool jobs_goes_on(void);

enum jobs_order {
    JOBS_GO_ON,     /* it is not cancelled, or nothing runs */
    JOBS_CANCELLED, /* it is, and has not been told since */
    JOBS_TOLD       /* it is, was told, and runs on */
};

/* What the job that runs here is to do; if it is cancelled, also how many
 * milliseconds ago this was first asked: before that it did not get to run. */
enum jobs_order jobs_order(long *ms);

bool jobs_is_cancelled(void);

/* The line after this one (NULL: the first) of a thread other than main where
 * the job on top is cancelled and has not been told; NULL: there is none. And
 * for how many milliseconds that has been known. GIL held. */
struct line *jobs_cancelled_after(struct line *line, long *ms);

/* The job on top of this line, which is NULL for what runs here, learns of it
 * now: an exception is raised. */
void jobs_tell(struct line *line);

/* For the sentinel: sleeps until one job has been running for a tick and
 * returns its serial number; 0 when there will be no more jobs. */
unsigned long jobs_wait_for_long(void);

/* True while that job is running and is Python's start. */
bool jobs_is_python(unsigned long serial);

/* True while that job is running; jobs_done calls fds_kick when it ends. */
bool jobs_is_running(unsigned long serial);

/* There will be no more jobs: makes jobs_wait_for_long return 0. */
void jobs_close(void);

#endif
