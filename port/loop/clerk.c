/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/clerk.h"

#include <pthread.h>

#include "op/op.h"
#include "process/thread.h"
#include "value/python.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue waiting;
    bool started;
} clerk = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .waiting = QUEUE_EMPTY(clerk.waiting),
};

static struct job *next_job(void)
{
    pthread_mutex_lock(&clerk.lock);
    while (!clerk.waiting.first)
        pthread_cond_wait(&clerk.wake, &clerk.lock);
    struct queued *first = queue_pop(&clerk.waiting);
    pthread_mutex_unlock(&clerk.lock);
    return (struct job *)first;
}

static void run(struct job *job, struct buf *out)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    op_run(&job->req, out);
    PyGILState_Release(gil);
    job_free(job);
    buf_shrink(out);
}

static void *clerk_main(void *unused)
{
    struct buf out;
    buf_init(&out, 0);
    for (;;)
        run(next_job(), &out);
    return unused;
}

bool clerk_push(struct job *job)
{
    pthread_mutex_lock(&clerk.lock);
    if (!clerk.started)
        clerk.started = thread_start(clerk_main) == 0;
    bool taken = clerk.started;
    if (taken) {
        queue_push(&clerk.waiting, &job->queued);
        pthread_cond_signal(&clerk.wake);
    }
    pthread_mutex_unlock(&clerk.lock);
    return taken;
}
