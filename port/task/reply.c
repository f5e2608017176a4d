/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/reply.h"

#include <string.h>

#include "task/task.h"
#include "value/encode.h"
#include "value/classes.h"
#include "value/exception.h"
#include "wire/output.h"
#include "wire/put.h"

void reply_begin(struct buf *out, const char *id, size_t n)
{
    output_begin(out);
    put_version(out);
    put_tuple(out, 2);
    if (n)
        put_raw(out, id, n);
    else
        put_atom_z(out, "undefined");
}

int reply_ok(struct buf *out)
{
    return put_atom_z(out, "ok");
}

int reply_value(struct buf *out, PyObject *value, const struct form *form,
                const char *root)
{
    put_tuple(out, 2);
    put_atom_z(out, "ok");
    return value_encode(out, value, form, root);
}

int reply_kept(struct buf *out, PyObject *number, const struct form *form)
{
    put_tuple(out, 2);
    put_atom_z(out, "kept");
    return value_encode(out, number, form, "handle");
}

static int put_error(struct buf *out)
{
    put_tuple(out, 2);
    return put_atom_z(out, "error");
}

int reply_error(struct buf *out, const char *atom)
{
    put_error(out);
    return put_atom_z(out, atom);
}

/* {error, {Atom, Text}} */
static int put_error_text(struct buf *out, const char *atom, const char *text)
{
    put_error(out);
    put_tuple(out, 2);
    put_atom_z(out, atom);
    return put_binary(out, text, strlen(text));
}

int reply_badarg(struct buf *out, const struct err *why)
{
    return put_error_text(out, "badarg", why->text);
}

int reply_no_memory(struct buf *out, const struct err *why)
{
    return put_error_text(out, "MemoryError", why->text);
}

int reply_os_error(struct buf *out, const struct err *why)
{
    return put_error_text(out, "OSError", why->text);
}

int reply_start_failed(struct buf *out, const struct err *why)
{
    return put_error_text(out, "start_failed", why->text);
}

int reply_overloaded(struct buf *out, size_t n, size_t max)
{
    put_error(out);
    put_tuple(out, 3);
    put_atom_z(out, "overloaded");
    put_long(out, (long long)n);
    return put_long(out, (long long)max);
}

static _Thread_local bool ran_out;

static void (*tell_ran_out)(const char *id, size_t n);

void reply_on_ran_out(void (*hook)(const char *id, size_t n))
{
    tell_ran_out = hook;
}

void reply_tell_ran_out(const char *id, size_t n)
{
    if (!tell_ran_out || !reply_ran_out())
        return;
    Py_BEGIN_ALLOW_THREADS
    tell_ran_out(id, n);
    Py_END_ALLOW_THREADS
}

bool reply_ran_out(void)
{
    const bool was = ran_out;
    ran_out = false;
    return was;
}

void reply_exception(struct buf *out, const struct form *form)
{
    if (PyErr_ExceptionMatches(classes_cancelled())) {
        PyErr_Clear();
        reply_error(out, "cancelled");
        return;
    }
    if (PyErr_ExceptionMatches(PyExc_MemoryError))
        ran_out = true;
    const size_t mark = buf_mark(out);
    put_error(out);
    if (exception_encode(out, form) < 0) {
        buf_rewind(out, mark); /* there is no room to say more */
        put_error_text(out, "OverflowError", "");
    }
}

void reply_send(struct buf *out)
{
    task_returned();
    if (output_may_block(out)) {
        Py_BEGIN_ALLOW_THREADS
        output_send(out);
        Py_END_ALLOW_THREADS
    } else {
        output_send(out);
    }
}

void reply_say(const char *id, size_t n, const char *word)
{
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, id, n);
    put_atom_z(&out, word);
    output_send(&out);
    buf_free(&out);
}

void reply_cancelled(const char *id, size_t n)
{
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, id, n);
    reply_error(&out, "cancelled");
    reply_send(&out);
    buf_free(&out);
}
