/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/capture.h"

#include <string.h>

#include "task/reply.h"
#include "value/python.h"
#include "wire/protocol.h"
#include "wire/put.h"
#include "wire/utf8.h"

/* What stands in front of a binary's bytes. */
#define BINARY_HEAD 5

static const char CUT[] = "\n" PYTHON_ELLIPSIS " (the rest was cut)\n";
#define CUT_LEN (sizeof CUT - 1)

/* erlang._output: what is printed goes to its `captured`. That is set here and
 * not in Python, where a late Cancelled could come between two steps. */
static PyObject *output_module;

/* The contextvars.ContextVar that takes its place for tasks that run beside the
 * main thread; NULL: none of them has captured anything. */
static PyObject *captured_here;

static int set_captured(PyObject *file)
{
    if (!task_is_aside())
        return PyObject_SetAttrString(output_module, "captured", file);
    PyObject *token = PyContextVar_Set(captured_here, file);
    Py_XDECREF(token);
    return token ? 0 : -1;
}

static int begin(void)
{
    if (!output_module && !(output_module = python_module("erlang._output")))
        return -1;
    if (task_is_aside() && !captured_here)
        captured_here = python_call("erlang._output", "captures_here", "()");
    return task_is_aside() && !captured_here ? -1 : 0;
}

static _Thread_local bool is_apart;

/* What stands for no file. */
static PyObject *nowhere(void)
{
    return is_apart ? Py_False : Py_None;
}

void capture_apart(void)
{
    is_apart = true;
    if (begin() < 0 || set_captured(nowhere()) < 0)
        PyErr_Clear();
}

int capture_start(void)
{
    if (begin() < 0)
        return -1;
    PyObject *file = python_call("io", "StringIO", "()");
    int rc = file ? set_captured(file) : -1;
    Py_XDECREF(file);
    return rc;
}

PyObject *capture_stop(void)
{
    PyObject *exc = python_fetch_error();
    PyObject *file = capture_now();
    if (set_captured(nowhere()) < 0)
        PyErr_Clear();
    if (exc)
        python_raise_take(exc);
    return file;
}

/* What was printed, as UTF-8. Runs no Python code. Takes the file. */
static PyObject *text_of_take(PyObject *file)
{
    PyObject *text = NULL, *utf8 = NULL;
    if (file && (text = PyObject_CallMethod(file, "getvalue", NULL)))
        utf8 = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    Py_XDECREF(file);
    Py_XDECREF(text);
    return utf8;
}

static size_t room_for_text(const struct buf *out)
{
    const size_t used = out->len + BINARY_HEAD;
    const size_t room = out->max > used ? out->max - used : 0;
    return room < CAPTURE_LIMIT ? room : CAPTURE_LIMIT;
}

/* Cuts a text that is longer than `room` bytes, between two characters, and
 * says at its end that it was cut. Returns how long it is now. */
static size_t cut(char *text, size_t room)
{
    if (room < CUT_LEN)
        return 0;
    const size_t n = utf8_cut(text, room - CUT_LEN);
    memcpy(text + n, CUT, CUT_LEN);
    return n + CUT_LEN;
}

/* The bytes belong to nobody else, so they may be changed. */
static int put_text(struct buf *out, PyObject *utf8)
{
    if (!utf8) /* no memory */
        return put_binary(out, CUT, CUT_LEN);
    char *text = PyBytes_AS_STRING(utf8);
    size_t n = (size_t)PyBytes_GET_SIZE(utf8);
    const size_t room = room_for_text(out);
    return put_binary(out, text, n > room ? cut(text, room) : n);
}

void capture_send_take(const char *id, size_t n, PyObject *file)
{
    struct buf out;
    PyObject *error = python_fetch_error();
    PyObject *utf8 = text_of_take(file);

    buf_init(&out, 0);
    reply_begin(&out, id, n);
    put_tuple(&out, 2);
    put_atom_z(&out, "output");
    if (put_text(&out, utf8) == 0)
        reply_send(&out);
    buf_free(&out);
    Py_XDECREF(utf8);
    PyErr_Clear();
    if (error)
        python_raise_take(error);
}

void capture_send(const struct task *task)
{
    const struct request *req = task->req;
    capture_send_take(req->frame + req->id_at, req->id_len, capture_stop());
}

PyObject *capture_now(void)
{
    PyObject *file = NULL;
    if (task_is_aside() && captured_here)
        PyContextVar_Get(captured_here, NULL, &file);
    else if (!task_is_aside() && output_module)
        file = PyObject_GetAttrString(output_module, "captured");
    PyErr_Clear();
    return file;
}

void capture_go_on_take(PyObject *captured)
{
    if (captured && set_captured(captured) < 0)
        PyErr_Clear();
    Py_XDECREF(captured);
}
