/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/event.h"

#include <pthread.h>

#include "task/reply.h"
#include "value/encode.h"
#include "wire/clock.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/put.h"

/* How often a sender that waits looks for signals. */
#define STEP_MS 50

static struct {
    pthread_mutex_t lock;
    pthread_cond_t acked;
    long long window; /* bytes; 0: nobody counts */
    long long unacked;
    bool ended; /* nobody will acknowledge anything any more */
} flow = {.lock = PTHREAD_MUTEX_INITIALIZER};

void event_init(void)
{
    clock_init_cond(&flow.acked);
}

/* Neither a forked child nor a program that is ending has anybody to send to;
 * and in the child the lock may be held for ever. */
static int refuse(bool wait)
{
    if (!wait)
        return 0;
    PyErr_SetString(PyExc_RuntimeError,
                    "there is no connection to Erlang any more");
    return -1;
}

/* With the lock. One event may go beyond the window, so that a large one is
 * not stuck. */
static bool has_room(void)
{
    return flow.window == 0 || flow.unacked < flow.window || output_broken();
}

static bool take_room(size_t n)
{
    pthread_mutex_lock(&flow.lock);
    bool room = has_room();
    if (room && flow.window)
        flow.unacked += (long long)n;
    pthread_mutex_unlock(&flow.lock);
    return room;
}

static void wait_a_step(void)
{
    pthread_mutex_lock(&flow.lock);
    if (!has_room())
        clock_wait(&flow.acked, &flow.lock, STEP_MS);
    pthread_mutex_unlock(&flow.lock);
}

static bool has_ended(void)
{
    pthread_mutex_lock(&flow.lock);
    bool ended = flow.ended;
    pthread_mutex_unlock(&flow.lock);
    return ended;
}

/* 1 with room taken, 0 without, -1 with an exception: there will be no room,
 * or a signal handler raised. */
static int await_room(size_t n, bool wait)
{
    for (;;) {
        if (take_room(n))
            return 1;
        if (!wait || has_ended())
            return refuse(wait);
        Py_BEGIN_ALLOW_THREADS
        wait_a_step();
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0)
            return -1;
    }
}

void event_acked(long long n)
{
    pthread_mutex_lock(&flow.lock);
    flow.unacked = n < flow.unacked ? flow.unacked - n : 0;
    pthread_cond_broadcast(&flow.acked);
    pthread_mutex_unlock(&flow.lock);
}

void event_end(void)
{
    pthread_mutex_lock(&flow.lock);
    flow.ended = true;
    pthread_cond_broadcast(&flow.acked);
    pthread_mutex_unlock(&flow.lock);
}

static int put_event(struct buf *out, const char *name, PyObject *data)
{
    struct form form;
    form_init(&form);
    put_version(out);
    put_tuple(out, 3);
    put_atom_z(out, "event");
    put_atom_z(out, name);
    return value_encode(out, data, &form, name);
}

int event_send(const char *name, PyObject *data, bool wait)
{
    struct buf out;
    if (!output_is_open())
        return refuse(wait);
    buf_init(&out, 0);
    output_begin(&out);
    int sent = put_event(&out, name, data);
    if (sent == 0)
        sent = await_room(out.len - FRAME_HEADER, wait);
    if (sent > 0)
        reply_send(&out);
    buf_free(&out);
    return sent;
}

void event_set_window(long window)
{
    pthread_mutex_lock(&flow.lock);
    flow.window = window;
    pthread_mutex_unlock(&flow.lock);
}
