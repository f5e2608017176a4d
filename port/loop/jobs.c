/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/jobs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "process/fds.h"
#include "wire/cond.h"
#include "wire/protocol.h"

#define TICK_NS (TICK_MS * 1000 * 1000L)

/* So many ticks without a job, and the sentinel sleeps until the next one. */
#define QUIET_TICKS 100

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the sentinel */

    struct job *first, **last;
    size_t n_waiting;

    struct job *running; /* NULL between jobs, and in what is none */
    const char *id;      /* of what runs; NULL in between */
    size_t id_len;
    unsigned long serial; /* of the running job, or the last one */
    bool cancelled;       /* the running job is */
    bool watched;         /* by the sentinel: kick it at the end */
    bool asleep;          /* the sentinel is, until somebody wakes it */
    bool closed;
} jobs = {.lock = PTHREAD_MUTEX_INITIALIZER, .last = &jobs.first};

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
    cond_init(&jobs.wake);
}

/* ---- waiting ---------------------------------------------------------- */

struct job *job_take(struct frame *frame)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job) {
        free(frame);
        return NULL;
    }
    job->frame = frame;
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    free(job->frame);
    free(job);
}

size_t jobs_max(void)
{
    return WAITING_MAX;
}

bool jobs_push(struct job *job)
{
    lock();
    bool room = jobs.n_waiting < WAITING_MAX;
    if (room) {
        job->next = NULL;
        *jobs.last = job;
        jobs.last = &job->next;
        jobs.n_waiting++;
    }
    unlock();
    return room;
}

/* With the lock: takes out what `link` points to, which may be nothing. */
static struct job *unlink_job(struct job **link)
{
    struct job *job = *link;
    if (!job)
        return NULL;
    *link = job->next;
    if (jobs.last == &job->next)
        jobs.last = link;
    jobs.n_waiting--;
    return job;
}

struct job *jobs_pop(void)
{
    lock();
    struct job *job = unlink_job(&jobs.first);
    unlock();
    return job;
}

bool jobs_waiting(void)
{
    lock();
    bool waiting = jobs.n_waiting > 0;
    unlock();
    return waiting;
}

static bool same_id(const struct request *req, const char *id, size_t n)
{
    return req->id_len == n && memcmp(req->frame + req->id_at, id, n) == 0;
}

/* With the lock: the link that points to the waiting job of `req`, or to
 * NULL. */
static struct job **find(const struct request *req)
{
    struct job **link = &jobs.first;
    while (*link && !same_id(req, (*link)->req.frame + (*link)->req.id_at,
                             (*link)->req.id_len))
        link = &(*link)->next;
    return link;
}

struct job *jobs_remove(const struct request *req)
{
    lock();
    struct job *job = unlink_job(find(req));
    unlock();
    return job;
}

/* ---- running ---------------------------------------------------------- */

static void start(struct job *job, const char *id, size_t n)
{
    lock();
    jobs.running = job;
    jobs.id = id;
    jobs.id_len = n;
    jobs.serial++;
    jobs.cancelled = false;
    if (jobs.asleep)
        pthread_cond_signal(&jobs.wake);
    unlock();
}

void jobs_start(struct job *job)
{
    start(job, job->frame->data + job->req.id_at, job->req.id_len);
}

void jobs_start_other(const char *id, size_t n)
{
    start(NULL, id, n);
}

void jobs_done(void)
{
    lock();
    jobs.running = NULL;
    jobs.id = NULL;
    if (jobs.watched)
        fds_kick();
    jobs.watched = false;
    unlock();
}

bool jobs_cancel(const struct request *req)
{
    lock();
    bool found = jobs.id && (!req || same_id(req, jobs.id, jobs.id_len));
    if (found)
        jobs.cancelled = true;
    if (found && jobs.running)
        jobs.running->ending = STREAM_CANCELLED;
    unlock();
    return found;
}

bool jobs_was_cancelled(void)
{
    lock();
    bool cancelled = jobs.id && jobs.cancelled;
    jobs.cancelled = false;
    unlock();
    return cancelled;
}

bool jobs_cancel_waits(void)
{
    lock();
    bool waits = jobs.id && jobs.cancelled;
    unlock();
    return waits;
}

bool jobs_keep(const struct request *req)
{
    lock();
    struct job *job = *find(req);
    if (!job && jobs.running && same_id(req, jobs.id, jobs.id_len))
        job = jobs.running;
    if (job && req->kind == CONTROL_MORE)
        job->more += req->n;
    else if (job && job->ending == STREAM_GOES_ON)
        job->ending = STREAM_STOPPED;
    unlock();
    return job != NULL;
}

/* ---- watching --------------------------------------------------------- */

static void wait_for_job(void)
{
    jobs.asleep = true;
    while (!jobs.id && !jobs.closed)
        pthread_cond_wait(&jobs.wake, &jobs.lock);
    jobs.asleep = false;
}

/* A job is long when it was there at the last tick, too. While jobs come and
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
        cond_wait_ns(&jobs.wake, &jobs.lock, TICK_NS);
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

bool jobs_is_start(unsigned long serial)
{
    lock();
    bool is_start = jobs.id && jobs.serial == serial && jobs.id_len == 0;
    unlock();
    return is_start;
}

void jobs_close(void)
{
    lock();
    jobs.closed = true;
    pthread_cond_signal(&jobs.wake);
    unlock();
}
