/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/wait.h"

#include <pthread.h>
#include <stdatomic.h>

#include "value/classes.h"
#include "wire/clock.h"
#include "wire/output.h"

/* How often a thread that waits looks for signals. */
#define STEP_MS 50

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned long changes;
    bool ended;
    atomic_int waiting; /* threads: if there is none, changes do not matter */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool (*read_input)(int ms); /* set before there are threads */

void wait_init(void)
{
    clock_init_cond(&state.changed);
}

void wait_set_reader(bool (*read)(int ms))
{
    read_input = read;
}

/* A thread that does not count itself yet has not looked yet, either: it will
 * see what has changed. */
void wait_wake(void)
{
    if (state.waiting == 0)
        return;
    pthread_mutex_lock(&state.lock);
    state.changes++;
    pthread_cond_broadcast(&state.changed);
    pthread_mutex_unlock(&state.lock);
}

void wait_end(void)
{
    pthread_mutex_lock(&state.lock);
    state.ended = true;
    pthread_mutex_unlock(&state.lock);
    wait_wake();
}

bool wait_has_ended(void)
{
    pthread_mutex_lock(&state.lock);
    bool ended = state.ended;
    pthread_mutex_unlock(&state.lock);
    return ended || output_broken();
}

static unsigned long changes(void)
{
    pthread_mutex_lock(&state.lock);
    unsigned long n = state.changes;
    pthread_mutex_unlock(&state.lock);
    return n;
}

/* Returns when something may have changed since `seen`. What changes after it
 * was seen is not missed, even before this sleeps. */
static void sleep_a_step(unsigned long seen)
{
    if (read_input && read_input(STEP_MS))
        return;
    pthread_mutex_lock(&state.lock);
    if (state.changes == seen && !state.ended)
        clock_wait(&state.changed, &state.lock, STEP_MS);
    pthread_mutex_unlock(&state.lock);
}

int wait_refuse(void)
{
    PyErr_SetString(classes_send_error(),
                    "there is no connection to Erlang any more");
    return -1;
}

/* In a forked child, where a signal handler may find itself, another thread's
 * lock may be held for ever: so this looks first whether it is one. */
static int look_until(bool (*done)(const void *what), const void *what)
{
    while (output_is_open()) {
        unsigned long seen = changes();
        if (done(what))
            return 0;
        if (wait_has_ended())
            break;
        Py_BEGIN_ALLOW_THREADS
        sleep_a_step(seen);
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0 || python_raise_async() < 0)
            return -1;
    }
    return wait_refuse();
}

int wait_until(bool (*done)(const void *what), const void *what)
{
    state.waiting++;
    const int rc = look_until(done, what);
    state.waiting--;
    return rc;
}
