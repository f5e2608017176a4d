/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/capture.h"

#include "op/reply.h"
#include "value/encode.h"
#include "value/python.h"
#include "wire/put.h"

int capture_start(void)
{
    PyObject *none = python_call("erlang._log", "start_capture", "()");
    Py_XDECREF(none);
    return none ? 0 : -1;
}

static int put_output(struct op_call *call, struct buf *out, PyObject *text)
{
    const struct request *req = call->req;
    struct value_opts opts;
    value_opts_init(&opts);
    reply_begin(out, req->frame + req->id_at, req->id_len);
    put_tuple(out, 2);
    put_atom_z(out, "output");
    return value_encode(out, text, &opts, "output");
}

void capture_send(struct op_call *call)
{
    struct buf out;
    PyObject *error = python_fetch_error();
    PyObject *text = python_call("erlang._log", "stop_capture", "()");
    buf_init(&out, 0);
    if (text && put_output(call, &out, text) == 0)
        reply_send(&out);
    buf_free(&out);
    Py_XDECREF(text);
    PyErr_Clear();
    if (error)
        python_raise_take(error);
}
