/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/nest.h"

#include <pthread.h>
#include <stdatomic.h>

#include "op/op.h"
#include "talk/answer.h"
#include "talk/wait.h"
#include "task/reply.h"
#include "value/python.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/queue.h"

static struct {
    pthread_mutex_t lock;
    pthread_t main;
    long open[MOST_NESTED]; /* the calls that wait, the innermost last */
    int depth;
    struct queue waiting;    /* owned jobs */
    atomic_size_t n_waiting; /* changes with the lock */
} nest = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .waiting = QUEUE_EMPTY(nest.waiting),
};

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
static bool is_open(long call)
{
    for (int i = 0; i < nest.depth && i < MOST_NESTED; i++)
        if (nest.open[i] == call)
            return true;
    return false;
}

bool nest_push(long call, struct job *job)
{
    pthread_mutex_lock(&nest.lock);
    const bool open = is_open(call);
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

/* A call that is too deep is not kept: Erlang refuses what would run in it. */
static int begin(uint32_t id)
{
    if (!pthread_equal(pthread_self(), nest.main) || !jobs_running())
        return 0;
    pthread_mutex_lock(&nest.lock);
    if (nest.depth < MOST_NESTED)
        nest.open[nest.depth] = id;
    const int depth = ++nest.depth;
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
static struct job *start(uint32_t id, struct running *below)
{
    pthread_mutex_lock(&nest.lock);
    struct job *job = unlink_job(link_within(id));
    if (job)
        jobs_enter(below, job);
    pthread_mutex_unlock(&nest.lock);
    return job;
}

static void run(uint32_t id)
{
    struct running below;
    struct buf out;
    struct job *job = start(id, &below);
    if (!job)
        return;
    buf_init(&out, 0);
    op_run_within(&job->req, &out);
    jobs_leave();
    job_free(job);
    buf_free(&out);
}

static void refuse_take(struct job *job)
{
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, job->req.frame + job->req.id_at, job->req.id_len);
    reply_error(&out, "cancelled");
    output_send(&out);
    buf_free(&out);
    job_free(job);
}

/* What did not start ends with the call. A forked child has no calls, and must
 * not lock. */
static void end(uint32_t id)
{
    struct job *job;
    if (!output_is_open())
        return;
    pthread_mutex_lock(&nest.lock);
    nest.depth--;
    while ((job = unlink_job(link_within(id)))) {
        pthread_mutex_unlock(&nest.lock);
        refuse_take(job);
        pthread_mutex_lock(&nest.lock);
    }
    pthread_mutex_unlock(&nest.lock);
}

void nest_init(void)
{
    static const struct answer_nest hooks = {jobs_put_id, begin, waits, run,
                                             end};
    nest.main = pthread_self();
    answer_set_nest(&hooks);
}
