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

    struct line main;     /* what runs on the main thread */
    struct line *others;  /* on other threads, where jobs run, too */
    unsigned long serial; /* of main's running job, or the last one */
    bool watched;         /* by the sentinel, which is kicked at the end */
    bool asleep;          /* the sentinel is, until somebody wakes it */
    bool closed;
} jobs = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .waiting = QUEUE_EMPTY(jobs.waiting),
};

/* Of this thread; NULL: it has none. */
static _Thread_local struct line *own;

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
    own = &jobs.main;
    clock_init_cond(&jobs.wake);
}

/* ---- lines ------------------------------------------------------------ */

void jobs_line_add(struct line *line)
{
    lock();
    line->next = jobs.others;
    jobs.others = line;
    unlock();
}

void jobs_line_take(struct line *line)
{
    own = line;
}

bool jobs_line_begin(struct line *line)
{
    if (own)
        return false;
    jobs_line_take(line);
    jobs_line_add(line);
    return true;
}

void jobs_line_end(void)
{
    struct line **link = &jobs.others;
    lock();
    while (*link != own)
        link = &(*link)->next;
    *link = own->next;
    unlock();
    own = NULL;
}

/* With the lock: where jobs run on this thread; a thread that runs none
 * belongs to what runs on the main one. */
static struct line *here(void)
{
    return own && own->top.id ? own : &jobs.main;
}

bool jobs_run_here(void)
{
    return own && own->top.id;
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

static struct running running_now(const char *id, size_t n)
{
    return (struct running){.id = id, .id_len = n, .order = JOBS_GO_ON};
}

/* With the lock. */
static void begin(const char *id, size_t n)
{
    jobs.main.top = running_now(id, n);
    jobs.serial++;
    if (jobs.asleep)
        pthread_cond_signal(&jobs.wake);
}

/* With the lock. */
static bool is_aside(const struct queued *first)
{
    return first && ((const struct job *)first)->aside;
}

struct job *jobs_start_next(bool aside)
{
    struct job *job = NULL;
    lock();
    if (aside || !is_aside(jobs.waiting.first))
        job = unlink_job(&jobs.waiting.first);
    if (job)
        begin(job->req.frame + job->req.id_at, job->req.id_len);
    unlock();
    return job;
}

void jobs_start_stream(const char *id, size_t n)
{
    lock();
    if (own == &jobs.main)
        begin(id, n);
    else
        own->top = running_now(id, n);
    unlock();
}

void jobs_start_python(void)
{
    jobs_start_stream(NO_ID, 0);
}

bool jobs_done(void)
{
    lock();
    jobs.main.top.id = NULL;
    if (jobs.watched)
        fds_kick();
    jobs.watched = false;
    bool raised = jobs.main.top.raised;
    unlock();
    return raised;
}

bool jobs_next_is_aside(void)
{
    lock();
    const bool is = is_aside(jobs.waiting.first);
    unlock();
    return is;
}

struct job *jobs_start_aside(struct line *line)
{
    struct job *job = NULL;
    lock();
    if (is_aside(jobs.waiting.first)) {
        job = unlink_job(&jobs.waiting.first);
        line->top =
            running_now(job->req.frame + job->req.id_at, job->req.id_len);
    }
    unlock();
    return job;
}

bool jobs_aside_done(void)
{
    lock();
    const bool raised = own->top.raised;
    own->top = (struct running){.id = NULL};
    unlock();
    return raised;
}

void jobs_enter(struct running *below, const struct job *job)
{
    lock();
    *below = own->top;
    const bool cancelled = below->id && below->order == JOBS_CANCELLED;
    own->top =
        (struct running){.id = job->req.frame + job->req.id_at,
                         .id_len = job->req.id_len,
                         .order = cancelled ? JOBS_CANCELLED : JOBS_GO_ON,
                         .below = below};
    unlock();
}

bool jobs_leave(void)
{
    lock();
    const bool raised = own->top.raised;
    own->top = *own->top.below;
    own->top.raised |= raised;
    unlock();
    return raised;
}

/* With the lock. */
static bool has_id(const struct line *line)
{
    return line->top.id && line->top.id != NO_ID;
}

bool jobs_put_id(struct buf *out)
{
    lock();
    const struct line *line = here();
    const bool found = has_id(line);
    if (found)
        put_raw(out, line->top.id, line->top.id_len);
    else
        put_atom_z(out, "none");
    unlock();
    return found;
}

/* With the lock: cancels from the top down to this one, even those that were
 * told before. */
static void cancel_down_to(struct line *line, const struct running *last)
{
    struct running *running = &line->top;
    for (; running != last; running = running->below)
        running->order = JOBS_CANCELLED;
    running->order = JOBS_CANCELLED;
}

/* With the lock: what runs there and has the id of `req`, or NULL. */
static struct running *running_as(struct line *line, const struct request *req)
{
    struct running *found = &line->top;
    while (found &&
           !(found->id && request_has_id(req, found->id, found->id_len)))
        found = found->below;
    return found;
}

/* With the lock. */
static bool cancel_in(struct line *line, const struct request *req)
{
    const struct running *found = running_as(line, req);
    if (found)
        cancel_down_to(line, found);
    return found != NULL;
}

enum jobs_where jobs_cancel(const struct request *req)
{
    enum jobs_where where = JOBS_NOWHERE;
    lock();
    if (cancel_in(&jobs.main, req))
        where = JOBS_ON_MAIN;
    for (struct line *line = jobs.others; line && !where; line = line->next)
        if (cancel_in(line, req))
            where = JOBS_ON_OTHER;
    unlock();
    return where;
}

/* With the lock: a thread that waits for a call may run nothing below what runs
 * within that. */
static void cancel_all(struct line *line)
{
    const struct running *last = &line->top;
    while (last->below && last->below->id)
        last = last->below;
    if (last->id)
        cancel_down_to(line, last);
}

void jobs_cancel_running(void)
{
    lock();
    cancel_all(&jobs.main);
    unlock();
}

void jobs_cancel_others(void)
{
    lock();
    for (struct line *line = jobs.others; line; line = line->next)
        cancel_all(line);
    unlock();
}

void jobs_recall(const struct request *req)
{
    lock();
    struct running *found = running_as(&jobs.main, req);
    if (found)
        found->recalled = true;
    unlock();
}

/* With the lock. */
static enum jobs_order order(const struct running *running)
{
    return running->id ? (enum jobs_order)running->order : JOBS_GO_ON;
}

/* With the lock: for how many milliseconds it has been known to be cancelled.
 */
static long age(struct running *running)
{
    const long long now = clock_now();
    if (order(running) != JOBS_GO_ON && !running->heard_at)
        running->heard_at = now;
    return (long)((now - running->heard_at) / CLOCK_NS_PER_MS);
}

enum jobs_order jobs_order(long *ms)
{
    lock();
    struct running *running = &here()->top;
    enum jobs_order found = order(running);
    *ms = age(running);
    unlock();
    return found;
}

struct line *jobs_cancelled_after(struct line *line, long *ms)
{
    lock();
    line = line ? line->next : jobs.others;
    while (line && order(&line->top) != JOBS_CANCELLED)
        line = line->next;
    if (line)
        *ms = age(&line->top);
    unlock();
    return line;
}

bool jobs_is_cancelled(void)
{
    lock();
    bool cancelled = order(&here()->top) != JOBS_GO_ON;
    unlock();
    return cancelled;
}

bool jobs_goes_on(void)
{
    lock();
    const struct running *top = &here()->top;
    const bool on = order(top) == JOBS_GO_ON && !top->recalled;
    unlock();
    return on;
}

void jobs_tell(struct line *line)
{
    lock();
    struct running *top = line ? &line->top : &here()->top;
    top->order = JOBS_TOLD;
    top->raised = true;
    unlock();
}

/* ---- watching --------------------------------------------------------- */

static void wait_for_job(void)
{
    jobs.asleep = true;
    while (!jobs.main.top.id && !jobs.closed)
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
    while (!jobs.closed && !(jobs.main.top.id && jobs.serial == seen)) {
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
    bool running = jobs.main.top.id && jobs.serial == serial;
    unlock();
    return running;
}

bool jobs_is_python(unsigned long serial)
{
    lock();
    bool is_python = jobs.main.top.id == NO_ID && jobs.serial == serial;
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
