/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/handlers.h"

#include "loop/jobs.h"
#include "process/signals.h"
#include "value/classes.h"

static PyObject *keep(PyObject *self, PyObject *signum)
{
    (void)self;
    const long n = PyLong_AsLong(signum);
    if (n == -1 && PyErr_Occurred())
        return NULL;
    signals_keep((int)n);
    Py_RETURN_NONE;
}

static PyObject *terminate(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    signals_terminate();
    Py_RETURN_NONE;
}

int handlers_init(void)
{
    static PyMethodDef defs[] = {
        {"keep", keep, METH_O, "Put our handler of a signal before Python's."},
        {"terminate", terminate, METH_NOARGS, "Do what SIGTERM does."}};
    PyObject *first = PyCFunction_New(&defs[0], NULL);
    PyObject *second = first ? PyCFunction_New(&defs[1], NULL) : NULL;
    PyObject *none = NULL;
    if (second)
        none = python_call("erlang._signals", "install", "(OO)", first, second);
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

int handlers_add(int signum, PyObject *handler)
{
    PyObject *none =
        python_call("erlang._signals", "own", "(iO)", signum, handler);
    Py_XDECREF(none);
    return none ? 0 : -1;
}

/* A job that was cancelled while it waited for the GIL has not begun: it is
 * interrupted again. */
static void drop_error(void)
{
    if (PyErr_ExceptionMatches(classes_cancelled()))
        jobs_cancel_running();
    else if (!PyErr_ExceptionMatches(PyExc_KeyboardInterrupt))
        PyErr_WriteUnraisable(NULL);
    PyErr_Clear();
}

void handlers_settle(void)
{
    while (PyErr_CheckSignals() < 0)
        drop_error();
}
