/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/hint.h"

/* By identity: asking one of the user's classes may run its code. */
static bool may_have_one(PyObject *exc)
{
    PyObject *const type = (PyObject *)Py_TYPE(exc);
    return type == PyExc_TypeError || type == PyExc_AttributeError ||
           type == PyExc_ModuleNotFoundError;
}

void hint_add(PyObject *args, PyObject *names)
{
    PyObject *exc = python_fetch_error();
    if (exc && may_have_one(exc)) {
        PyObject *none =
            python_call("erlang._hint", "explain", "(OOO)", exc,
                        args ? args : Py_None, names ? names : Py_None);
        if (!none)
            PyErr_Clear();
        Py_XDECREF(none);
    }
    if (exc)
        python_raise_take(exc);
}

static bool is_of_pickle(PyObject *exc)
{
    return strstr(Py_TYPE(exc)->tp_name, "PicklingError") != NULL;
}

void hint_add_in_context(void)
{
    PyObject *exc = python_fetch_error();
    if (exc && is_of_pickle(exc)) {
        PyObject *none =
            python_call("erlang._hint", "explain_in_context", "(O)", exc);
        if (!none)
            PyErr_Clear();
        Py_XDECREF(none);
    }
    if (exc)
        python_raise_take(exc);
}
