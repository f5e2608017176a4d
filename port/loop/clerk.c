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
    bool ready; /* the thread is there, and Python knows it */
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
    op_run(&job->req, out);
    job_free(job);
    buf_shrink(out);
}

static void be_ready(void)
{
    pthread_mutex_lock(&clerk.lock);
    clerk.ready = true;
    pthread_cond_signal(&clerk.wake);
    pthread_mutex_unlock(&clerk.lock);
}

/* One thread state for the clerk's life. To make or to destroy one takes memory
 * without the GIL, and tracemalloc, if it is stopped just then, does not
 * survive that (python/cpython issue 128679). */
static void *clerk_main(void *unused)
{
    struct buf out;
    struct job *job;
    buf_init(&out, 0);
    PyGILState_Ensure();
    be_ready();
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        job = next_job();
        Py_END_ALLOW_THREADS
        run(job, &out);
    }
    return unused;
}

static void await_ready(void)
{
    pthread_mutex_lock(&clerk.lock);
    while (!clerk.ready)
        pthread_cond_wait(&clerk.wake, &clerk.lock);
    pthread_mutex_unlock(&clerk.lock);
}

int clerk_start(void)
{
    if (thread_start(clerk_main) < 0) {
        PyErr_SetString(PyExc_OSError, "cannot start a thread");
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS
    await_ready();
    Py_END_ALLOW_THREADS
    return 0;
}

void clerk_push(struct job *job)
{
    pthread_mutex_lock(&clerk.lock);
    queue_push(&clerk.waiting, &job->queued);
    pthread_cond_signal(&clerk.wake);
    pthread_mutex_unlock(&clerk.lock);
}
