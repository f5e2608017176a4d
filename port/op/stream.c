/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/stream.h"

#include <ei.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "op/call.h"
#include "op/eval.h"
#include "op/op.h"
#include "task/reply.h"
#include "value/encode.h"
#include "value/classes.h"
#include "value/python.h"
#include "wire/put.h"

/* A chunk ends when it has so many bytes, or has been filled for so long. */
#define CHUNK_BYTES (64 * 1024)
#define CHUNK_NS (10 * 1000 * 1000LL)

struct stream {
    struct stream *next; /* list.lock */
    long long credit;    /* list.lock */
    _Atomic(int) ending; /* enum stream_end; set by any thread */
    PyObject *iterator;  /* owned */
    PyObject *held;      /* owned: an item that did not fit; NULL mostly */
    long used;           /* items that the last step sent */
    bool over;           /* its final reply is sent */
    struct task_opts opts;
    size_t id_len;
    char id[];
};

/* All streams but the one that is being stepped, in order of their turns. */
static struct {
    pthread_mutex_t lock;
    struct stream *first;
    struct stream *stepped; /* the one that is out; NULL mostly */
} list = {PTHREAD_MUTEX_INITIALIZER, NULL, NULL};

static bool has_id(const struct stream *s, const struct request *req)
{
    return s->id_len == req->id_len &&
           memcmp(s->id, req->frame + req->id_at, s->id_len) == 0;
}

/* With the lock. */
static struct stream *find(const struct request *req)
{
    if (list.stepped && has_id(list.stepped, req))
        return list.stepped;
    struct stream *s = list.first;
    while (s && !has_id(s, req))
        s = s->next;
    return s;
}

static bool is_ready(const struct stream *s)
{
    return s->credit > 0 || s->ending != STREAM_GOES_ON;
}

/* With the lock: the link that points to the first ready stream, or to NULL. */
static struct stream **ready_link(void)
{
    struct stream **link = &list.first;
    while (*link && !is_ready(*link))
        link = &(*link)->next;
    return link;
}

static void append(struct stream *s)
{
    struct stream **link = &list.first;
    while (*link)
        link = &(*link)->next;
    s->next = NULL;
    *link = s;
}

void stream_more(const struct request *req, long long n)
{
    pthread_mutex_lock(&list.lock);
    struct stream *s = find(req);
    if (s)
        s->credit += n;
    pthread_mutex_unlock(&list.lock);
}

void stream_end(const struct request *req, enum stream_end how)
{
    pthread_mutex_lock(&list.lock);
    struct stream *s = find(req);
    if (s)
        s->ending = how;
    pthread_mutex_unlock(&list.lock);
}

bool stream_ready(void)
{
    pthread_mutex_lock(&list.lock);
    bool ready = *ready_link() != NULL;
    pthread_mutex_unlock(&list.lock);
    return ready;
}

struct stream *stream_take(void)
{
    pthread_mutex_lock(&list.lock);
    struct stream **link = ready_link();
    struct stream *s = *link;
    if (s)
        *link = s->next;
    list.stepped = s;
    pthread_mutex_unlock(&list.lock);
    return s;
}

const char *stream_id(const struct stream *s, size_t *n)
{
    *n = s->id_len;
    return s->id;
}

void stream_give(struct stream *s)
{
    pthread_mutex_lock(&list.lock);
    list.stepped = NULL;
    s->credit -= s->used;
    if (!s->over)
        append(s);
    pthread_mutex_unlock(&list.lock);
    if (s->over)
        free(s);
}

/* ---- opening ---------------------------------------------------------- */

/* Decodes Source and evaluates it: a new reference to what is to be
 * iterated. */
static PyObject *open_source(struct op_call *call)
{
    char name[MAXATOMLEN_UTF8] = "";
    int at = (int)call->at, arity = 0;

    if (ei_decode_tuple_header(call->req->frame, &at, &arity) == 0 && arity > 0)
        ei_decode_atom_as(call->req->frame, &at, name, sizeof name, ERLANG_UTF8,
                          NULL, NULL);
    call->at = (size_t)at;
    if (strcmp(name, "eval") == 0 && arity == 3)
        return eval_expression(call);
    if (strcmp(name, "call") == 0 && arity == 5)
        return call_function(call);
    PyErr_SetString(classes_badarg(),
                    "source: neither {eval, Code, Locals} nor "
                    "{call, Module, Function, Args, Kwargs}");
    return NULL;
}

static struct stream *stream_new(struct op_call *call, PyObject *iterator)
{
    const struct request *req = call->req;
    struct stream *s = calloc(1, sizeof *s + req->id_len);
    if (!s) {
        PyErr_NoMemory();
        return NULL;
    }
    s->credit = call->opts.credit;
    s->iterator = Py_NewRef(iterator);
    s->opts = call->opts;
    s->id_len = req->id_len;
    memcpy(s->id, req->frame + req->id_at, req->id_len);
    return s;
}

enum op_end op_stream(struct op_call *call)
{
    PyObject *source = open_source(call);
    PyObject *iterator = source ? PyObject_GetIter(source) : NULL;
    struct stream *s = iterator ? stream_new(call, iterator) : NULL;
    Py_XDECREF(source);
    Py_XDECREF(iterator);
    if (!s)
        return OP_FAILED;
    pthread_mutex_lock(&list.lock);
    append(s);
    pthread_mutex_unlock(&list.lock);
    return OP_LATER;
}

/* ---- a chunk ---------------------------------------------------------- */

static long long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static bool is_full(const struct stream *s, const struct buf *out, long most,
                    long long until)
{
    return s->used >= most || out->len >= CHUNK_BYTES || s->ending ||
           (s->used > 0 && now_ns() >= until);
}

static PyObject *next_item(struct stream *s)
{
    PyObject *held = s->held;
    s->held = NULL;
    return held ? held : PyIter_Next(s->iterator);
}

/* An item, and room for the end of the list behind it. */
static int put_item(struct stream *s, struct buf *out, PyObject *item)
{
    if (value_encode(out, item, &s->opts.value, "item") < 0)
        return -1;
    if (buf_reserve(out, 1) == 0)
        return 1;
    PyErr_SetString(classes_badarg(), "item: larger than max_frame");
    return -1;
}

/* 1: appended; 0: it does not fit behind the others, and is held for the next
 * chunk; -1: an exception is set. Takes the item. */
static int put_item_take(struct stream *s, struct buf *out, PyObject *item)
{
    size_t mark = buf_mark(out);
    int rc = put_item(s, out, item);
    if (rc < 0 && out->why == BUF_TOO_LARGE && s->used > 0) {
        PyErr_Clear();
        s->held = Py_NewRef(item);
        rc = 0;
    }
    if (rc <= 0)
        buf_rewind(out, mark);
    Py_DECREF(item);
    return rc;
}

/* Appends items to the list under construction until the chunk is full or
 * the iterator is exhausted or fails, with an exception set. */
static void put_items(struct stream *s, struct buf *out, long most)
{
    const long long until = now_ns() + CHUNK_NS;

    while (!is_full(s, out, most, until)) {
        PyObject *item = next_item(s);
        int rc = item ? put_item_take(s, out, item) : -1;
        if (rc <= 0) {
            s->over = rc < 0;
            return;
        }
        s->used++;
    }
}

/* Sends {Id, {chunk, [Item]}} where there is an item. The length stands in
 * front of the items and is known only behind them: written twice. */
static void send_chunk(struct stream *s, struct buf *out, long most)
{
    reply_begin(out, s->id, s->id_len);
    put_tuple(out, 2);
    put_atom_z(out, "chunk");
    size_t head = buf_mark(out);
    put_list(out, 1);
    put_items(s, out, most);
    if (s->used == 0)
        return;
    int at = (int)head;
    ei_encode_list_header(out->data, &at, (int)s->used);
    put_nil(out);
    reply_send(out);
}

/* ---- the end ---------------------------------------------------------- */

/* Runs the generator's finally blocks. Returns the exception that they raised,
 * or NULL. */
static PyObject *close_iterator(struct stream *s)
{
    if (PyObject_HasAttrString(s->iterator, "close")) {
        PyObject *none = PyObject_CallMethod(s->iterator, "close", NULL);
        Py_XDECREF(none);
    }
    return python_fetch_error();
}

/* Lets go of the iterator, which may run user code: here, where it is watched
 * as a job is, and not whenever it is collected. An iterator that was used up
 * is not closed. Leaves the exception set with which the stream ends, if any:
 * the first one. */
static void drop_iterator(struct stream *s)
{
    PyObject *exc = python_fetch_error();
    PyObject *late = exc || s->ending ? close_iterator(s) : NULL;
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
        reply_exception(out, &s->opts.value);
    else if (s->ending == STREAM_CANCELLED)
        reply_error(out, "cancelled");
    else
        reply_ok(out);
    reply_send(out);
}

/* How many items the next chunk may have. */
static long allowed(struct stream *s)
{
    pthread_mutex_lock(&list.lock);
    long long credit = s->credit;
    pthread_mutex_unlock(&list.lock);
    return credit < s->opts.chunk ? (long)credit : s->opts.chunk;
}

void stream_step(struct stream *s, struct buf *out)
{
    s->used = 0;
    if (s->ending)
        s->over = true;
    else
        send_chunk(s, out, allowed(s));
    if (s->over) {
        drop_iterator(s);
        send_end(s, out);
    }
}

void streams_drop(void)
{
    pthread_mutex_lock(&list.lock);
    struct stream *s = list.first;
    list.first = NULL;
    pthread_mutex_unlock(&list.lock);
    while (s) {
        struct stream *next = s->next;
        s->ending = STREAM_STOPPED;
        drop_iterator(s);
        if (PyErr_Occurred())
            PyErr_WriteUnraisable(NULL);
        free(s);
        s = next;
    }
}
