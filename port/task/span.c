/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/span.h"

static PyObject *current; /* Python's variable; NULL: code has no spans */

void span_use(PyObject *variable)
{
    Py_XSETREF(current, Py_NewRef(variable));
}

int span_join(const struct task_opts *opts)
{
    PyObject *none =
        python_call("erlang._span", "join", "(s#)", opts->traceparent,
                    (Py_ssize_t)opts->traceparent_len);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

PyObject *span_now(void)
{
    PyObject *span = NULL;
    if (current && PyContextVar_Get(current, NULL, &span) < 0)
        PyErr_Clear();
    if (span == Py_None)
        Py_CLEAR(span);
    return span;
}

static void set(PyObject *span)
{
    PyObject *token = PyContextVar_Set(current, span ? span : Py_None);
    if (!token)
        PyErr_Clear();
    Py_XDECREF(token);
}

void span_go_on_take(PyObject *span)
{
    if (!current)
        return;
    PyObject *now = span_now();
    if (now != span)
        set(span);
    Py_XDECREF(now);
    Py_XDECREF(span);
}
