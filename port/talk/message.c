/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/message.h"

#include <stdatomic.h>

#include "talk/answer.h"
#include "talk/event.h"
#include "talk/wait.h"
#include "talk/window.h"
#include "value/classes.h"
#include "value/encode.h"
#include "wire/output.h"
#include "wire/protocol.h"
#include "wire/put.h"

static atomic_bool is_answered;

void message_answered(bool answered)
{
    is_answered = answered;
}

static int put_message(struct buf *out, PyObject *to, PyObject *term)
{
    struct form form;
    form_init(&form);
    if (value_encode(out, to, &form, "to") < 0)
        return -1;
    return value_encode(out, term, &form, "term");
}

/* A user's encoder may have forked: the child has nobody to send to. */
static int ask(struct buf *out, uint32_t id)
{
    const size_t n = out->len - FRAME_HEADER;
    if (!output_is_open())
        return wait_refuse();
    if (window_take(WINDOW_MESSAGES, n, true) < 0)
        return -1;
    PyObject *ok = answer_ask(out, id, n, classes_send_error(), NULL);
    Py_XDECREF(ok);
    return ok ? 0 : -1;
}

static int send_and_ask(PyObject *to, PyObject *term)
{
    struct buf out;
    const uint32_t id = answer_begin(&out, 4, "send");
    int rc = put_message(&out, to, term);
    if (rc == 0)
        rc = ask(&out, id);
    buf_free(&out);
    return rc;
}

static int send_only(PyObject *to, PyObject *term)
{
    PyObject *message = PyTuple_Pack(2, to, term);
    int sent = message ? event_send("send", message, true) : -1;
    Py_XDECREF(message);
    return sent < 0 ? -1 : 0;
}

int message_send(PyObject *to, PyObject *term)
{
    if (!output_is_open())
        return wait_refuse();
    return is_answered ? send_and_ask(to, term) : send_only(to, term);
}

PyObject *message_whereis(PyObject *name)
{
    struct buf out;
    struct form form;
    PyObject *pid = NULL;
    if (!output_is_open())
        wait_refuse();
    else if (!is_answered)
        PyErr_SetString(classes_send_error(), "Erlang answers nothing here");
    if (PyErr_Occurred())
        return NULL;
    form_init(&form);
    const uint32_t id = answer_begin(&out, 3, "whereis");
    if (value_encode(&out, name, &form, "name") == 0)
        pid = answer_ask(&out, id, 0, classes_send_error(), NULL);
    buf_free(&out);
    return pid;
}
