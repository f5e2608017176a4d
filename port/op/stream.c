/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "op/op.h"
#include "memory/heap_hook.h"
#include "process/fds.h"
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
    bool aside;           /* its steps may run beside the main thread */
    struct task_opts opts;
    size_t id_len;
    char id[];
};

/* All streams that have not sent their final reply. */
static struct {
    pthread_mutex_t lock;
    struct queue expected; /* asked for and not open yet, oldest first */
    struct queue open;     /* in order of their turns on the main thread */
    struct queue aside;    /* and on others */
    struct queue stepped;  /* those that have their turn */
    int away;              /* of both, those that other threads may have */
} streams = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .expected = QUEUE_EMPTY(streams.expected),
    .open = QUEUE_EMPTY(streams.open),
    .aside = QUEUE_EMPTY(streams.aside),
    .stepped = QUEUE_EMPTY(streams.stepped),
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

static struct stream *find_open(const struct request *req)
{
    struct queued *open = *link_of(&streams.open, req);
    return stream_of(open ? open : *link_of(&streams.aside, req));
}

/* Of those that something runs for, or may. */
static struct stream *find_at_work(const struct request *req)
{
    struct queued *stepped = *link_of(&streams.stepped, req);
    return stream_of(stepped ? stepped : *link_of(&streams.expected, req));
}

static struct stream *find(const struct request *req)
{
    struct stream *s = find_at_work(req);
    return s ? s : find_open(req);
}

static struct stream *take_expected(const struct request *req)
{
    struct queue *queue = &streams.expected;
    struct stream *s = stream_of(queue_unlink(queue, link_of(queue, req)));
    if (s && s->aside)
        streams.away--;
    return s;
}

static bool is_ready(const struct stream *s)
{
    return s->credit > 0 || s->ending != STREAM_GOES_ON;
}

static struct queue *turns(bool aside)
{
    return aside ? &streams.aside : &streams.open;
}

/* The link that points to the first ready stream, or to NULL. */
static struct queued **ready_link(struct queue *queue)
{
    struct queued **link = &queue->first;
    while (*link && !is_ready(stream_of(*link)))
        link = &(*link)->next;
    return link;
}

/* ---- for the reader --------------------------------------------------- */

void stream_expect(const struct request *req, bool aside)
{
    struct stream *s = calloc(1, sizeof *s + req->id_len);
    if (!s)
        return;
    s->aside = aside;
    s->id_len = req->id_len;
    memcpy(s->id, req->frame + req->id_at, req->id_len);
    lock();
    queue_push(&streams.expected, &s->queued);
    if (aside)
        streams.away++;
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
    const bool hears = s && s->aside && find_at_work(req);
    if (s && s->ending < (int)how)
        s->ending = how;
    unlock();
    if (!s)
        end_awaited(req, how);
    if (hears)
        reply_say(req->frame + req->id_at, req->id_len, "threaded");
}

/* ---- turns ------------------------------------------------------------ */

/* Only the main thread puts its streams into their list and takes them out, so
 * it sees without the lock that there are none. */
static bool none_open(bool aside)
{
    return !aside && streams.open.first == NULL;
}

bool stream_ready(bool aside)
{
    if (none_open(aside))
        return false;
    lock();
    bool ready = *ready_link(turns(aside)) != NULL;
    unlock();
    return ready;
}

struct stream *stream_take(bool aside)
{
    if (none_open(aside))
        return NULL;
    lock();
    struct queue *queue = turns(aside);
    struct stream *s = stream_of(queue_unlink(queue, ready_link(queue)));
    if (s)
        queue_push(&streams.stepped, &s->queued);
    if (s && aside)
        streams.away++;
    unlock();
    return s;
}

bool streams_are_away(void)
{
    lock();
    const bool are = streams.away > 0;
    unlock();
    return are;
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

/* With the lock. */
static void leave_turn(struct stream *s)
{
    struct queued **link = &streams.stepped.first;
    while (*link != &s->queued)
        link = &(*link)->next;
    queue_unlink(&streams.stepped, link);
    if (s->aside)
        streams.away--;
}

/* No control reaches the stream any more: its id is free for another one as
 * soon as its final reply is sent. */
static void withdraw(struct stream *s)
{
    s->over = true;
    lock();
    leave_turn(s);
    unlock();
}

/* With the lock. */
static bool has_next_turn(struct stream *s, bool keep)
{
    s->credit -= s->chunk.used;
    if (keep && is_ready(s))
        return true;
    leave_turn(s);
    queue_push(turns(s->aside), &s->queued);
    return false;
}

bool stream_give(struct stream *s, bool keep)
{
    if (s->over) {
        stream_free(s);
        return false;
    }
    lock();
    const bool kept = has_next_turn(s, keep);
    unlock();
    return kept;
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

/* Takes both; NULL: the stream was not expected, for want of memory. The main
 * thread, which gives turns, may be asleep. */
static struct stream *open_take(const struct task *task, PyObject *iterator,
                                PyObject *span)
{
    lock();
    struct stream *s = take_expected(task->req);
    const bool aside = s && s->aside;
    if (s) {
        s->iterator = iterator;
        s->span = span;
        s->opts = task->opts;
        s->credit += task->opts.credit;
        queue_push(turns(aside), &s->queued);
    }
    unlock();
    if (aside)
        fds_kick();
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

static void say_threaded(const struct stream *s)
{
    Py_BEGIN_ALLOW_THREADS
    reply_say(s->id, s->id_len, "threaded");
    Py_END_ALLOW_THREADS
}

static void step(struct stream *s, struct buf *out)
{
    s->chunk.used = 0;
    if (s->aside && s->ending)
        say_threaded(s);
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
    if (!queued)
        queued = queue_pop(&streams.aside);
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
