/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "process/fds.h"
#include "wire/clock.h"
#include "wire/protocol.h"
#include "wire/put.h"

/* Ticks without a job after which the sentinel sleeps until one starts. */
#define QUIET_TICKS 100

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the sentinel */

    struct queue waiting;
    atomic_size_t n_waiting; /* changes with the lock */

    struct running top;   /* what runs */
    unsigned long serial; /* of the running job, or the last one */
    bool watched;         /* by the sentinel, which is kicked at the end */
    bool asleep;          /* the sentinel is, until somebody wakes it */
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

struct queued **job_link(struct queue *queue, const struct request *req)
{
    struct queued **link = &queue->first;
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
    struct job *job = unlink_job(job_link(&jobs.waiting, req));
    unlock();
    return job;
}

/* ---- running ---------------------------------------------------------- */

/* With the lock. */
static void begin(const char *id, size_t n)
{
    jobs.top = (struct running){.id = id, .id_len = n, .order = JOBS_GO_ON};
    jobs.serial++;
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
    jobs.top.id = NULL;
    if (jobs.watched)
        fds_kick();
    jobs.watched = false;
    bool raised = jobs.top.raised;
    unlock();
    return raised;
}

void jobs_enter(struct running *below, const struct job *job)
{
    lock();
    *below = jobs.top;
    const bool cancelled = below->order == JOBS_CANCELLED;
    jobs.top =
        (struct running){.id = job->req.frame + job->req.id_at,
                         .id_len = job->req.id_len,
                         .order = cancelled ? JOBS_CANCELLED : JOBS_GO_ON,
                         .below = below};
    unlock();
}

void jobs_leave(void)
{
    lock();
    const bool raised = jobs.top.raised;
    jobs.top = *jobs.top.below;
    jobs.top.raised |= raised;
    unlock();
}

/* With the lock. */
static bool has_id(void)
{
    return jobs.top.id && jobs.top.id != NO_ID;
}

bool jobs_running(void)
{
    lock();
    const bool running = has_id();
    unlock();
    return running;
}

void jobs_put_id(struct buf *out)
{
    lock();
    if (has_id())
        put_raw(out, jobs.top.id, jobs.top.id_len);
    else
        put_atom_z(out, "none");
    unlock();
}

/* With the lock: cancels from the top down to this one, even those that were
 * told before. */
static void cancel_down_to(const struct running *last)
{
    struct running *running = &jobs.top;
    for (; running != last; running = running->below)
        running->order = JOBS_CANCELLED;
    running->order = JOBS_CANCELLED;
}

/* With the lock: what runs and has the id of `req`, or NULL. */
static struct running *running_as(const struct request *req)
{
    struct running *found = jobs.top.id ? &jobs.top : NULL;
    while (found && !request_has_id(req, found->id, found->id_len))
        found = found->below;
    return found;
}

bool jobs_cancel(const struct request *req)
{
    lock();
    const struct running *found = running_as(req);
    if (found)
        cancel_down_to(found);
    unlock();
    return found != NULL;
}

void jobs_cancel_running(void)
{
    lock();
    const struct running *last = &jobs.top;
    while (last->below)
        last = last->below;
    if (last->id)
        cancel_down_to(last);
    unlock();
}

void jobs_recall(const struct request *req)
{
    lock();
    struct running *found = running_as(req);
    if (found)
        found->recalled = true;
    unlock();
}

/* With the lock. */
static enum jobs_order order(void)
{
    return jobs.top.id ? (enum jobs_order)jobs.top.order : JOBS_GO_ON;
}

enum jobs_order jobs_order(long *ms)
{
    const long long now = clock_now();
    lock();
    enum jobs_order found = order();
    if (found != JOBS_GO_ON && !jobs.top.heard_at)
        jobs.top.heard_at = now;
    *ms = (long)((now - jobs.top.heard_at) / CLOCK_NS_PER_MS);
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

bool jobs_goes_on(void)
{
    lock();
    const bool on = order() == JOBS_GO_ON && !jobs.top.recalled;
    unlock();
    return on;
}

void jobs_tell(void)
{
    lock();
    jobs.top.order = JOBS_TOLD;
    jobs.top.raised = true;
    unlock();
}

/* ---- watching --------------------------------------------------------- */

static void wait_for_job(void)
{
    jobs.asleep = true;
    while (!jobs.top.id && !jobs.closed)
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
    while (!jobs.closed && !(jobs.top.id && jobs.serial == seen)) {
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
    bool running = jobs.top.id && jobs.serial == serial;
    unlock();
    return running;
}

bool jobs_is_python(unsigned long serial)
{
    lock();
    bool is_python = jobs.top.id == NO_ID && jobs.serial == serial;
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
