/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/feed.h"

#include <stdlib.h>
#include <string.h>

#include "talk/aio.h"
#include "talk/awaited.h"
#include "talk/module.h"
#include "task/chunk.h"

/* Python has it as a capsule of this name, which owns it. */
#define NAME "erlang.feed"

struct feed {
    long number;        /* of what is awaited */
    long most;          /* items in a chunk */
    struct chunk chunk; /* under construction if it has items */
    struct buf out;     /* where it is made */
    struct form form;
    size_t id_len;
    char id[];
};

bool feed_takes(PyObject *source)
{
    return aio_is_on() && !Py_TYPE(source)->tp_iter &&
           (python_is_awaitable(source) || python_is_async_iterable(source));
}

/* ---- the capsule ------------------------------------------------------ */

static struct feed *feed_of(PyObject *capsule)
{
    return PyCapsule_GetPointer(capsule, NAME);
}

static void capsule_free(PyObject *capsule)
{
    struct feed *f = feed_of(capsule);
    buf_free(&f->out);
    free(f);
}

static PyObject *capsule_take(struct feed *f)
{
    PyObject *capsule = f ? PyCapsule_New(f, NAME, capsule_free) : NULL;
    if (!f)
        PyErr_NoMemory();
    if (!capsule)
        free(f);
    return capsule;
}

static struct feed *make(const struct task *task)
{
    const struct request *req = task->req;
    struct feed *f = calloc(1, sizeof *f + req->id_len);
    if (!f)
        return NULL;
    f->most = task->opts.chunk;
    f->form = task->opts.form;
    f->id_len = req->id_len;
    memcpy(f->id, req->frame + req->id_at, req->id_len);
    buf_init(&f->out, 0);
    return f;
}

int feed_begin(const struct task *task, PyObject *source)
{
    PyObject *capsule = capsule_take(make(task));
    long number = capsule ? aio_begin_stream(task, source, capsule) : -1;
    if (number > 0)
        feed_of(capsule)->number = number;
    Py_XDECREF(capsule);
    return number > 0 ? 0 : -1;
}

/* ---- items ------------------------------------------------------------ */

/* Without credit it keeps no memory. */
static void send(struct feed *f)
{
    const long used = f->chunk.used;
    if (used == 0)
        return;
    module_end_lines();
    chunk_send(&f->chunk);
    f->chunk.used = 0;
    if (awaited_use_credit(f->number, used) > 0)
        buf_shrink(&f->out);
    else
        buf_free(&f->out);
}

static void begin(struct feed *f)
{
    const long long credit = awaited_credit(f->number);
    const long most = credit < f->most ? (long)credit : f->most;
    chunk_begin(&f->chunk, &f->out, f->id, f->id_len, most);
}

static long put(struct feed *f, PyObject *item)
{
    int rc;
    if (f->chunk.used == 0)
        begin(f);
    rc = chunk_put(&f->chunk, item, &f->form);
    if (rc < 0) {
        awaited_blame_reply(f->number);
        return -2;
    }
    if (rc == 0 || chunk_is_full(&f->chunk))
        send(f);
    return rc == 0 ? -1 : f->chunk.used;
}

long feed_put(PyObject *feed, PyObject *item)
{
    struct feed *f = feed_of(feed);
    return f ? put(f, item) : -2;
}

long feed_flush(PyObject *feed, long seen)
{
    struct feed *f = feed_of(feed);
    if (!f)
        return -1;
    if (f->chunk.used <= seen || chunk_is_full(&f->chunk))
        send(f);
    return f->chunk.used;
}

int feed_has_credit(PyObject *feed)
{
    struct feed *f = feed_of(feed);
    return f ? awaited_credit(f->number) > 0 : -1;
}
