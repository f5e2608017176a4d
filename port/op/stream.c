/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "op/op.h"
#include "memory/heap_hook.h"
#include "talk/aio.h"
#include "talk/feed.h"
#include "talk/module.h"
#include "task/chunk.h"
#include "task/reply.h"
#include "task/span.h"
#include "wire/queue.h"

struct stream {
    struct queued queued; /* lock */
    long long credit;     /* lock */
    _Atomic(int) ending;  /* enum stream_end; set by any thread */
    PyObject *iterator;   /* owned; NULL until it is open */
    PyObject *held;       /* owned: an item that did not fit; NULL mostly */
    PyObject *span;       /* owned: the current one; NULL mostly */
    struct chunk chunk;   /* what the last step has sent */
    bool over;            /* its final reply is sent */
    struct task_opts opts;
    size_t id_len;
    char id[];
};

/* All streams that have not sent their final reply. */
static struct {
    pthread_mutex_t lock;
    struct queue expected;  /* asked for and not open yet, oldest first */
    struct queue open;      /* in order of their turns */
    struct stream *stepped; /* the one that has its turn; NULL mostly */
} streams = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .expected = QUEUE_EMPTY(streams.expected),
    .open = QUEUE_EMPTY(streams.open),
};

static void lock(void)
{
    pthread_mutex_lock(&streams.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&streams.lock);
}

/* ---- finding (with the lock) ------------------------------------------ */

static struct stream *stream_of(struct queued *queued)
{
    return (struct stream *)queued;
}

static bool has_id(const struct stream *s, const struct request *req)
{
    return request_has_id(req, s->id, s->id_len);
}

/* The link that points to the first stream with the id of `req`, or to NULL. */
static struct queued **link_of(struct queue *queue, const struct request *req)
{
    struct queued **link = &queue->first;
    while (*link && !has_id(stream_of(*link), req))
        link = &(*link)->next;
    return link;
}

static struct stream *find(const struct request *req)
{
    if (streams.stepped && has_id(streams.stepped, req))
        return streams.stepped;
    struct queued *open = *link_of(&streams.open, req);
    return stream_of(open ? open : *link_of(&streams.expected, req));
}

static struct stream *take_expected(const struct request *req)
{
    struct queue *queue = &streams.expected;
    return stream_of(queue_unlink(queue, link_of(queue, req)));
}

static bool is_ready(const struct stream *s)
{
    return s->credit > 0 || s->ending != STREAM_GOES_ON;
}

/* The link that points to the first ready stream, or to NULL. */
static struct queued **ready_link(void)
{
    struct queued **link = &streams.open.first;
    while (*link && !is_ready(stream_of(*link)))
        link = &(*link)->next;
    return link;
}

/* ---- for the reader --------------------------------------------------- */

void stream_expect(const struct request *req)
{
    struct stream *s = calloc(1, sizeof *s + req->id_len);
    if (!s)
        return;
    s->id_len = req->id_len;
    memcpy(s->id, req->frame + req->id_at, req->id_len);
    lock();
    queue_push(&streams.expected, &s->queued);
    unlock();
}

void stream_forget(const struct request *req)
{
    lock();
    struct stream *s = take_expected(req);
    unlock();
    free(s);
}

void stream_more(const struct request *req, long long n)
{
    lock();
    struct stream *s = find(req);
    if (s)
        s->credit += n;
    unlock();
    if (!s)
        aio_more(req, n);
}

static void end_awaited(const struct request *req, enum stream_end how)
{
    if (how == STREAM_STOPPED)
        aio_stop(req);
    else if (how == STREAM_CANCELLED)
        aio_cancel(req);
}

void stream_end(const struct request *req, enum stream_end how)
{
    lock();
    struct stream *s = find(req);
    if (s && s->ending < (int)how)
        s->ending = how;
    unlock();
    if (!s)
        end_awaited(req, how);
}

/* ---- turns ------------------------------------------------------------ */

/* Only the main thread puts streams into this list and takes them out, so it
 * sees without the lock that there are none. */
static bool none_open(void)
{
    return streams.open.first == NULL;
}

bool stream_ready(void)
{
    if (none_open())
        return false;
    lock();
    bool ready = *ready_link() != NULL;
    unlock();
    return ready;
}

struct stream *stream_take(void)
{
    if (none_open())
        return NULL;
    lock();
    struct stream *s = stream_of(queue_unlink(&streams.open, ready_link()));
    streams.stepped = s;
    unlock();
    return s;
}

const char *stream_id(const struct stream *s, size_t *n)
{
    *n = s->id_len;
    return s->id;
}

static void stream_free(struct stream *s)
{
    Py_XDECREF(s->span);
    free(s);
}

/* No control reaches the stream any more: its id is free for another one as
 * soon as its final reply is sent. */
static void withdraw(struct stream *s)
{
    s->over = true;
    lock();
    streams.stepped = NULL;
    unlock();
}

void stream_give(struct stream *s)
{
    if (s->over) {
        stream_free(s);
        return;
    }
    lock();
    streams.stepped = NULL;
    s->credit -= s->chunk.used;
    queue_push(&streams.open, &s->queued);
    unlock();
}

/* ---- opening ---------------------------------------------------------- */

PyObject *op_stream(struct task *task)
{
    PyObject *iterable = op_source(task);
    if (!iterable || feed_takes(iterable))
        return iterable;
    PyObject *iterator = PyObject_GetIter(iterable);
    Py_DECREF(iterable);
    return iterator;
}

/* Its items are awaited: from now on control finds it there. What came before
 * goes after it. Takes the source. */
static int hand_over_take(const struct task *task, PyObject *source)
{
    const int rc = feed_begin(task, source);
    Py_DECREF(source);
    if (rc < 0)
        return -1;
    lock();
    struct stream *s = take_expected(task->req);
    unlock();
    if (s) {
        aio_more(task->req, s->credit);
        end_awaited(task->req, s->ending);
        stream_free(s);
    }
    return 0;
}

/* Takes both; NULL: the stream was not expected, for want of memory. */
static struct stream *open_take(const struct task *task, PyObject *iterator,
                                PyObject *span)
{
    lock();
    struct stream *s = take_expected(task->req);
    if (s) {
        s->iterator = iterator;
        s->span = span;
        s->opts = task->opts;
        s->credit += task->opts.credit;
        queue_push(&streams.open, &s->queued);
    }
    unlock();
    return s;
}

int stream_open_take(const struct task *task, PyObject *iterator)
{
    if (feed_takes(iterator))
        return hand_over_take(task, iterator);
    PyObject *span = span_now();
    if (open_take(task, iterator, span))
        return 0;
    Py_DECREF(iterator);
    Py_XDECREF(span);
    PyErr_NoMemory();
    return -1;
}

/* ---- a chunk ---------------------------------------------------------- */

static PyObject *next_item(struct stream *s)
{
    PyObject *held = s->held;
    s->held = NULL;
    if (held)
        return held;
    heap_hook_begin_job();
    PyObject *item = PyIter_Next(s->iterator);
    heap_hook_end_job(item == NULL);
    return item;
}

/* Appends items to the chunk until it is full, or the iterator is exhausted or
 * fails, with an exception set: then it returns true. */
static bool put_items(struct stream *s)
{
    while (!s->ending && !chunk_is_full(&s->chunk)) {
        PyObject *item = next_item(s);
        int rc = item ? chunk_put(&s->chunk, item, &s->opts.form) : -1;
        if (rc == 0)
            s->held = Py_NewRef(item);
        Py_XDECREF(item);
        if (rc <= 0)
            return rc < 0;
    }
    return false;
}

/* Sends a chunk if there is an item. Returns what put_items does. */
static bool send_chunk(struct stream *s, struct buf *out, long most)
{
    chunk_begin(&s->chunk, out, s->id, s->id_len, most);
    bool last = put_items(s);
    task_returned();
    module_end_lines();
    chunk_send(&s->chunk);
    return last;
}

/* ---- the end ---------------------------------------------------------- */

/* Runs the generator's finally blocks, as code that handles `exc`, if there is
 * one: an interrupt does not disturb that. Returns the exception that they
 * raised, or NULL. */
static PyObject *close_iterator(struct stream *s, PyObject *exc)
{
    python_set_handled(exc);
    if (PyObject_HasAttrString(s->iterator, "close")) {
        PyObject *none = PyObject_CallMethod(s->iterator, "close", NULL);
        Py_XDECREF(none);
    }
    python_set_handled(NULL);
    return python_fetch_error();
}

/* Lets go of the iterator, which may run user code: it does so here, where it
 * is watched as a job is, and not whenever it is collected. An iterator that
 * was used up is not closed. If the stream ends with an exception, that is left
 * set: the first one. */
static void drop_iterator(struct stream *s)
{
    PyObject *exc = python_fetch_error();
    PyObject *late = exc || s->ending ? close_iterator(s, exc) : NULL;
    Py_CLEAR(s->iterator);
    Py_CLEAR(s->held);
    if (!exc)
        exc = Py_XNewRef(late);
    Py_XDECREF(late);
    if (exc)
        python_raise_take(exc);
}

/* The final reply: an exception that is set, or how the stream was ended. */
static void send_end(struct stream *s, struct buf *out)
{
    reply_begin(out, s->id, s->id_len);
    if (PyErr_Occurred())
        reply_exception(out, &s->opts.form);
    else if (s->ending == STREAM_CANCELLED)
        reply_error(out, "cancelled");
    else
        reply_ok(out);
    reply_send(out);
}

/* How many items the next chunk may have. */
static long allowed(struct stream *s)
{
    lock();
    long long credit = s->credit;
    unlock();
    return credit < s->opts.chunk ? (long)credit : s->opts.chunk;
}

static void step(struct stream *s, struct buf *out)
{
    s->chunk.used = 0;
    if (!s->ending && !send_chunk(s, out, allowed(s)))
        return;
    drop_iterator(s);
    task_returned();
    module_end_lines();
    withdraw(s);
    send_end(s, out);
}

void stream_step(struct stream *s, struct buf *out)
{
    span_go_on_take(s->span);
    step(s, out);
    s->span = span_now();
}

static struct stream *take_any(void)
{
    lock();
    struct queued *queued = queue_pop(&streams.expected);
    if (!queued)
        queued = queue_pop(&streams.open);
    unlock();
    return stream_of(queued);
}

void streams_drop(void)
{
    struct stream *s;
    while ((s = take_any())) {
        s->ending = STREAM_STOPPED;
        if (s->iterator)
            drop_iterator(s);
        if (PyErr_Occurred())
            PyErr_WriteUnraisable(NULL);
        stream_free(s);
    }
}
