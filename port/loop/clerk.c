/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/clerk.h"

#include <pthread.h>

#include "loop/interrupt.h"
#include "op/op.h"
#include "memory/heap_account.h"
#include "process/thread.h"
#include "value/python.h"
#include "wire/clock.h"

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue waiting;
    bool python;     /* Python has started */
    bool ready;      /* and knows the thread */
    bool interrupts; /* jobs on other threads are to be interrupted */
    bool again;      /* in a while */
} clerk = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .waiting = QUEUE_EMPTY(clerk.waiting),
};

/* With the lock. */
static void await_work(void)
{
    while (!clerk.waiting.first && !clerk.interrupts && !clerk.again)
        pthread_cond_wait(&clerk.wake, &clerk.lock);
    if (!clerk.waiting.first && !clerk.interrupts)
        clock_wait(&clerk.wake, &clerk.lock, interrupt_pause());
}

/* The next job; NULL: jobs on other threads are to be interrupted. */
static struct job *next_job(void)
{
    struct queued *first = NULL;
    pthread_mutex_lock(&clerk.lock);
    await_work();
    if (clerk.interrupts || !clerk.waiting.first)
        clerk.interrupts = clerk.again = false;
    else
        first = queue_pop(&clerk.waiting);
    pthread_mutex_unlock(&clerk.lock);
    return (struct job *)first;
}

static void run(struct job *job, struct buf *out)
{
    op_run(&job->req, out);
    job_free(job);
    buf_shrink(out);
}

static void interrupt(void)
{
    const bool later = interrupt_others();
    pthread_mutex_lock(&clerk.lock);
    clerk.again = later;
    pthread_mutex_unlock(&clerk.lock);
}

static void be_ready(void)
{
    pthread_mutex_lock(&clerk.lock);
    clerk.ready = true;
    pthread_cond_signal(&clerk.wake);
    pthread_mutex_unlock(&clerk.lock);
}

static void await_python(void)
{
    pthread_mutex_lock(&clerk.lock);
    while (!clerk.python)
        pthread_cond_wait(&clerk.wake, &clerk.lock);
    pthread_mutex_unlock(&clerk.lock);
}

/* One thread state for the clerk's life. Making or destroying one takes memory
 * without the GIL, and if tracemalloc is stopped at that moment, it does not
 * survive that (python/cpython issue 128679). */
static void *clerk_main(void *unused)
{
    struct buf out;
    struct job *job;
    await_python();
    buf_init(&out, 0);
    heap_account_exempt_thread();
    PyGILState_Ensure();
    be_ready();
    for (;;) {
        Py_BEGIN_ALLOW_THREADS
        job = next_job();
        Py_END_ALLOW_THREADS
        if (job)
            run(job, &out);
        else
            interrupt();
    }
    return unused;
}

int clerk_start(void)
{
    clock_init_cond(&clerk.wake);
    return thread_start(clerk_main);
}

static void be_known(void)
{
    pthread_mutex_lock(&clerk.lock);
    clerk.python = true;
    pthread_cond_signal(&clerk.wake);
    while (!clerk.ready)
        pthread_cond_wait(&clerk.wake, &clerk.lock);
    pthread_mutex_unlock(&clerk.lock);
}

void clerk_begin(void)
{
    Py_BEGIN_ALLOW_THREADS
    be_known();
    Py_END_ALLOW_THREADS
}

void clerk_interrupt(void)
{
    pthread_mutex_lock(&clerk.lock);
    clerk.interrupts = true;
    pthread_cond_signal(&clerk.wake);
    pthread_mutex_unlock(&clerk.lock);
}

void clerk_push(struct job *job)
{
    pthread_mutex_lock(&clerk.lock);
    queue_push(&clerk.waiting, &job->queued);
    pthread_cond_signal(&clerk.wake);
    pthread_mutex_unlock(&clerk.lock);
}
