/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "process/fds.h"
#include "wire/clock.h"
#include "wire/protocol.h"

/* Ticks without a job after which the sentinel sleeps until one starts. */
#define QUIET_TICKS 100

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the sentinel */

    struct queue waiting;
    atomic_size_t n_waiting; /* changes with the lock */

    const char *id; /* of what runs; NULL between jobs */
    size_t id_len;
    unsigned long serial;  /* of the running job, or the last one */
    enum jobs_order order; /* for the running job */
    long long heard_at;    /* by the cancelled job, clock_now(); 0: not yet */
    bool raised;           /* an exception was raised, at least once */
    bool watched;          /* by the sentinel, which is kicked at the end */
    bool asleep;           /* the sentinel is, until somebody wakes it */
    bool closed;
} jobs = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .waiting = QUEUE_EMPTY(jobs.waiting),
};

/* Stands for the id that Python's start does not have. */
static const char NO_ID[] = "";

static void lock(void)
{
    pthread_mutex_lock(&jobs.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&jobs.lock);
}

void jobs_init(void)
{
    clock_init_cond(&jobs.wake);
}

static struct job *job_of(struct queued *queued)
{
    return (struct job *)queued;
}

/* ---- waiting ---------------------------------------------------------- */

struct job *job_take(struct frame *frame, const struct request *req)
{
    struct job *job = malloc(sizeof *job);
    if (job)
        *job = (struct job){.frame = frame, .req = *req};
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    frame_free(job->frame);
    free(job);
}

bool jobs_push(struct job *job)
{
    lock();
    bool room = jobs.n_waiting < WAITING_MAX;
    if (room) {
        queue_push(&jobs.waiting, &job->queued);
        jobs.n_waiting++;
    }
    unlock();
    return room;
}

/* With the lock: takes out what `link` points to, which may be nothing. */
static struct job *unlink_job(struct queued **link)
{
    struct job *job = job_of(queue_unlink(&jobs.waiting, link));
    if (job)
        jobs.n_waiting--;
    return job;
}

bool jobs_waiting(void)
{
    return jobs.n_waiting > 0;
}

/* With the lock: the link that points to the waiting job with the id of `req`,
 * or to NULL. */
static struct queued **link_of(const struct request *req)
{
    struct queued **link = &jobs.waiting.first;
    for (; *link; link = &(*link)->next) {
        const struct request *other = &job_of(*link)->req;
        if (request_has_id(req, other->frame + other->id_at, other->id_len))
            break;
    }
    return link;
}

struct job *jobs_remove(const struct request *req)
{
    lock();
    struct job *job = unlink_job(link_of(req));
    unlock();
    return job;
}

/* ---- running ---------------------------------------------------------- */

/* With the lock. */
static void begin(const char *id, size_t n)
{
    jobs.id = id;
    jobs.id_len = n;
    jobs.serial++;
    jobs.order = JOBS_GO_ON;
    jobs.heard_at = 0;
    jobs.raised = false;
    if (jobs.asleep)
        pthread_cond_signal(&jobs.wake);
}

struct job *jobs_start_next(void)
{
    lock();
    struct job *job = unlink_job(&jobs.waiting.first);
    if (job)
        begin(job->req.frame + job->req.id_at, job->req.id_len);
    unlock();
    return job;
}

void jobs_start_stream(const char *id, size_t n)
{
    lock();
    begin(id, n);
    unlock();
}

void jobs_start_python(void)
{
    jobs_start_stream(NO_ID, 0);
}

bool jobs_done(void)
{
    lock();
    jobs.id = NULL;
    if (jobs.watched)
        fds_kick();
    jobs.watched = false;
    bool raised = jobs.raised;
    unlock();
    return raised;
}

bool jobs_cancel(const struct request *req)
{
    lock();
    bool found = jobs.id && request_has_id(req, jobs.id, jobs.id_len);
    if (found)
        jobs.order = JOBS_CANCELLED; /* even if it was told before */
    unlock();
    return found;
}

void jobs_cancel_running(void)
{
    lock();
    if (jobs.id)
        jobs.order = JOBS_CANCELLED;
    unlock();
}

/* With the lock. */
static enum jobs_order order(void)
{
    return jobs.id ? jobs.order : JOBS_GO_ON;
}

enum jobs_order jobs_order(long *ms)
{
    const long long now = clock_now();
    lock();
    enum jobs_order found = order();
    if (found != JOBS_GO_ON && !jobs.heard_at)
        jobs.heard_at = now;
    *ms = (long)((now - jobs.heard_at) / CLOCK_NS_PER_MS);
    unlock();
    return found;
}

bool jobs_is_cancelled(void)
{
    lock();
    bool cancelled = order() != JOBS_GO_ON;
    unlock();
    return cancelled;
}

void jobs_tell(void)
{
    lock();
    jobs.order = JOBS_TOLD;
    jobs.raised = true;
    unlock();
}

/* ---- watching --------------------------------------------------------- */

static void wait_for_job(void)
{
    jobs.asleep = true;
    while (!jobs.id && !jobs.closed)
        pthread_cond_wait(&jobs.wake, &jobs.lock);
    jobs.asleep = false;
}

/* A job is long when it already ran at the last tick. While jobs come and
 * go the sentinel only wakes once a tick; nobody has to wake it. */
unsigned long jobs_wait_for_long(void)
{
    unsigned long seen = 0;
    int quiet = 0;

    lock();
    while (!jobs.closed && !(jobs.id && jobs.serial == seen)) {
        quiet = jobs.serial == seen ? quiet + 1 : 0;
        if (quiet > QUIET_TICKS)
            wait_for_job();
        seen = jobs.serial;
        clock_wait(&jobs.wake, &jobs.lock, TICK_MS);
    }
    unsigned long serial = jobs.closed ? 0 : seen;
    jobs.watched = serial != 0;
    unlock();
    return serial;
}

bool jobs_is_running(unsigned long serial)
{
    lock();
    bool running = jobs.id && jobs.serial == serial;
    unlock();
    return running;
}

bool jobs_is_python(unsigned long serial)
{
    lock();
    bool is_python = jobs.id == NO_ID && jobs.serial == serial;
    unlock();
    return is_python;
}

void jobs_close(void)
{
    lock();
    jobs.closed = true;
    pthread_cond_signal(&jobs.wake);
    unlock();
}
