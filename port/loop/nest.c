/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/nest.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "loop/crew.h"
#include "loop/interrupt.h"
#include "op/op.h"
#include "talk/answer.h"
#include "talk/wait.h"
#include "task/reply.h"
#include "task/task.h"
#include "value/python.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/queue.h"

/* A thread that waits for calls. Not of the thread's own memory, because Python
 * ends threads while they wait. */
struct caller {
    long open[MOST_NESTED];            /* the innermost last; with the lock */
    struct running below[MOST_NESTED]; /* what runs below the jobs in each */
    int depth;                         /* changes with the lock */
    bool has_line;
    struct line line;
    struct caller *next;
};

static struct {
    pthread_mutex_t lock;
    struct caller main;
    struct caller *callers;  /* the others, owned */
    struct queue waiting;    /* owned jobs */
    atomic_size_t n_waiting; /* changes with the lock */
} nest = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .waiting = QUEUE_EMPTY(nest.waiting),
};

static _Thread_local struct caller *own; /* NULL: this thread waits for none */

/* With the lock: takes out what `link` points to. */
static struct job *unlink_job(struct queued **link)
{
    struct job *job = (struct job *)queue_unlink(&nest.waiting, link);
    if (job)
        nest.n_waiting--;
    return job;
}

/* With the lock: the link that points to the oldest job within this call, or to
 * NULL. */
static struct queued **link_within(long call)
{
    struct queued **link = &nest.waiting.first;
    while (*link && ((struct job *)*link)->within != call)
        link = &(*link)->next;
    return link;
}

struct job *nest_remove(const struct request *req)
{
    if (nest.n_waiting == 0)
        return NULL;
    pthread_mutex_lock(&nest.lock);
    struct job *job = unlink_job(job_link(&nest.waiting, req));
    pthread_mutex_unlock(&nest.lock);
    return job;
}

/* With the lock. */
static bool waits_for(const struct caller *caller, long call)
{
    for (int i = 0; i < caller->depth && i < MOST_NESTED; i++)
        if (caller->open[i] == call)
            return true;
    return false;
}

/* With the lock: the thread that waits for this call, or NULL. */
static const struct caller *caller_of(long call)
{
    const struct caller *caller = &nest.main;
    while (caller && !waits_for(caller, call))
        caller = caller == &nest.main ? nest.callers : caller->next;
    return caller;
}

/* Whether another thread than main waits for it. */
static bool is_aside(long call)
{
    pthread_mutex_lock(&nest.lock);
    const struct caller *caller = caller_of(call);
    pthread_mutex_unlock(&nest.lock);
    return caller && caller != &nest.main;
}

bool nest_push(long call, struct job *job)
{
    if (is_aside(call))
        crew_say(job);
    pthread_mutex_lock(&nest.lock);
    const bool open = caller_of(call) != NULL;
    if (open) {
        job->within = call;
        queue_push(&nest.waiting, &job->queued);
        nest.n_waiting++;
    }
    pthread_mutex_unlock(&nest.lock);
    wait_wake();
    return open;
}

/* ---- the thread that waits -------------------------------------------- */

/* Has jobs run on this thread, if there is memory for that. */
static void join(void)
{
    struct caller *caller = calloc(1, sizeof *caller);
    if (!caller)
        return;
    caller->line.thread = PyThread_get_thread_ident();
    caller->has_line = jobs_line_begin(&caller->line);
    task_go_aside();
    pthread_mutex_lock(&nest.lock);
    caller->next = nest.callers;
    nest.callers = caller;
    pthread_mutex_unlock(&nest.lock);
    own = caller;
}

static void leave(void)
{
    struct caller **link = &nest.callers;
    if (own->has_line)
        jobs_line_end();
    pthread_mutex_lock(&nest.lock);
    while (*link != own)
        link = &(*link)->next;
    *link = own->next;
    pthread_mutex_unlock(&nest.lock);
    free(own);
    own = NULL;
}

/* A call that is too deep is not kept: Erlang refuses what would run in it. */
static int begin(uint32_t id)
{
    if (!own)
        join();
    if (!own)
        return 0;
    pthread_mutex_lock(&nest.lock);
    if (own->depth < MOST_NESTED)
        own->open[own->depth] = id;
    const int depth = ++own->depth;
    pthread_mutex_unlock(&nest.lock);
    return depth;
}

static bool waits(uint32_t id)
{
    bool found = false;
    if (nest.n_waiting == 0)
        return false;
    pthread_mutex_lock(&nest.lock);
    found = *link_within(id) != NULL;
    pthread_mutex_unlock(&nest.lock);
    return found;
}

/* The oldest job within this call, which runs from now on, or NULL. A cancel
 * finds it either waiting or running. */
static struct job *start(uint32_t id)
{
    pthread_mutex_lock(&nest.lock);
    struct job *job = unlink_job(link_within(id));
    if (job)
        jobs_enter(&own->below[own->depth - 1], job);
    pthread_mutex_unlock(&nest.lock);
    return job;
}

static void run(uint32_t id)
{
    struct buf out;
    struct job *job = start(id);
    if (!job)
        return;
    buf_init(&out, 0);
    op_run_within(&job->req, &out);
    interrupt_over(jobs_leave());
    job_free(job);
    buf_free(&out);
}

static void refuse_take(struct job *job)
{
    reply_cancelled(job->req.frame + job->req.id_at, job->req.id_len);
    job_free(job);
}

/* What did not start ends with the call. */
static void refuse_rest(uint32_t id)
{
    struct job *job;
    pthread_mutex_lock(&nest.lock);
    own->depth--;
    while ((job = unlink_job(link_within(id)))) {
        pthread_mutex_unlock(&nest.lock);
        refuse_take(job);
        pthread_mutex_lock(&nest.lock);
    }
    pthread_mutex_unlock(&nest.lock);
}

/* A forked child has no calls, and must not lock. */
static void end(uint32_t id)
{
    if (!output_is_open())
        return;
    refuse_rest(id);
    if (own->depth == 0 && own != &nest.main)
        leave();
}

void nest_init(void)
{
    static const struct answer_nest hooks = {jobs_put_id, jobs_run_here, begin,
                                             waits,       run,           end};
    own = &nest.main;
    answer_set_nest(&hooks);
}
