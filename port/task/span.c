/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/span.h"

#include "task/context.h"

static bool used; /* never again false */

void span_use(void)
{
    used = true;
}

static void leave(PyObject *context)
{
    PyObject *error = python_fetch_error();
    if (PyContext_Exit(context) < 0)
        PyErr_Clear();
    if (error)
        python_raise_take(error);
}

static int join(const struct task_opts *opts)
{
    PyObject *none =
        python_call("erlang._span", "join", "(s#)", opts->traceparent,
                    (Py_ssize_t)opts->traceparent_len);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

PyObject *span_context(const struct task_opts *opts)
{
    PyObject *context = opts->traceparent ? PyContext_CopyCurrent() : NULL;
    int rc = -1;
    if (context && PyContext_Enter(context) == 0) {
        rc = join(opts);
        leave(context);
    }
    if (rc < 0)
        Py_CLEAR(context);
    return context;
}

PyObject *span_run(struct task *task, PyObject *(*run)(struct task *task))
{
    PyObject *value = NULL, *context = span_context(&task->opts);
    if (context && PyContext_Enter(context) == 0) {
        value = task->opts.context ? context_run(task, run) : run(task);
        leave(context);
    }
    Py_XDECREF(context);
    return value;
}

void span_begin_step(PyObject *context)
{
    if (context && PyContext_Enter(context) < 0)
        PyErr_Clear();
}

void span_forget(void)
{
    PyObject *none = used ? python_call("erlang._span", "forget", "()") : NULL;
    Py_XDECREF(none);
    PyErr_Clear();
}

/* The spans that the step has left open are the stream's, and no longer those
 * of whatever runs next. */
static PyObject *take_over(void)
{
    PyObject *error = python_fetch_error();
    PyObject *context = PyContext_CopyCurrent();
    span_forget();
    if (error)
        python_raise_take(error);
    return context;
}

void span_end_step(PyObject **context)
{
    if (*context)
        leave(*context);
    else if (used)
        *context = take_over();
}
