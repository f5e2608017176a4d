/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/reply.h"

#include <string.h>

#include "value/encode.h"
#include "value/classes.h"
#include "value/exception.h"
#include "wire/output.h"
#include "wire/put.h"

/* Set in a forked child only. */
static void (*end_with)(void);

void reply_end_with(void (*end)(void))
{
    end_with = end;
}

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

enum op_end reply_ok_take(struct op_call *call, PyObject *none)
{
    if (!none)
        return OP_FAILED;
    Py_DECREF(none);
    reply_ok(call->out);
    return OP_REPLY;
}

enum op_end reply_value_take(struct op_call *call, PyObject *value,
                             const char *root)
{
    if (!value)
        return OP_FAILED;
    put_tuple(call->out, 2);
    put_atom_z(call->out, "ok");
    int rc = 0;
    if (!end_with)
        rc = value_encode(call->out, value, &call->opts.value, root);
    Py_DECREF(value);
    return rc < 0 ? OP_FAILED : OP_REPLY;
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

void reply_exception(struct buf *out, const struct form *opts)
{
    if (end_with)
        end_with();
    if (PyErr_ExceptionMatches(classes_cancelled())) {
        PyErr_Clear();
        reply_error(out, "cancelled");
        return;
    }
    const size_t mark = buf_mark(out);
    put_error(out);
    if (exception_encode(out, opts) < 0) {
        buf_rewind(out, mark); /* no memory to say more */
        put_error_text(out, "OverflowError", "");
    }
}

void reply_send(struct buf *out)
{
    if (output_may_block(out)) {
        Py_BEGIN_ALLOW_THREADS
        output_send(out);
        Py_END_ALLOW_THREADS
    } else {
        output_send(out);
    }
}
