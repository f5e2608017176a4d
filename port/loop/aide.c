/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/aide.h"

#include <pthread.h>

#include "op/op.h"
#include "process/thread.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue waiting;
} aide = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER,
    .waiting = QUEUE_EMPTY(aide.waiting),
};

static struct job *next_job(void)
{
    pthread_mutex_lock(&aide.lock);
    while (!aide.waiting.first)
        pthread_cond_wait(&aide.wake, &aide.lock);
    struct queued *first = queue_pop(&aide.waiting);
    pthread_mutex_unlock(&aide.lock);
    return (struct job *)first;
}

static void *aide_main(void *unused)
{
    struct buf out;
    buf_init(&out, 0);
    for (;;) {
        struct job *job = next_job();
        op_run_bare(&job->req, &out);
        job_free(job);
    }
    return unused;
}

int aide_start(void)
{
    return thread_start(aide_main);
}

void aide_push(struct job *job)
{
    pthread_mutex_lock(&aide.lock);
    queue_push(&aide.waiting, &job->queued);
    pthread_cond_signal(&aide.wake);
    pthread_mutex_unlock(&aide.lock);
}
