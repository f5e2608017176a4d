/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of functions by name.
 */
#include "config.h"

#include "op/op.h"

#include "op/eval.h"
#include "task/arg.h"
#include "task/hint.h"
#include "task/name.h"

/* Module and Function: the callable that they name. */
static PyObject *named_function(struct task *task)
{
    PyObject *module = NULL, *function = NULL, *owner = NULL, *found = NULL;

    if ((module = arg_text(task, "module")) &&
        (function = arg_text(task, "function")) &&
        (owner = name_module(module)))
        found = name_attribute(owner, function);
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(owner);
    return found;
}

/* erlang._call.call with __main__ for its globals. */
static PyObject *make_trampoline(void)
{
    PyObject *call = NULL, *code = NULL, *names = NULL, *made = NULL;

    if ((call = python_attribute("erlang._call", "call")) &&
        (code = PyObject_GetAttrString(call, "__code__")) &&
        (names = eval_names()))
        made = PyFunction_New(code, names);
    Py_XDECREF(call);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return made;
}

/* Calls with a Python frame underneath: builtins.eval and locals need one, and
 * warnings look for one. */
static PyObject *call_in_frame(PyObject *function, PyObject *args,
                               PyObject *kwargs)
{
    static PyObject *trampoline;
    if (!trampoline && !(trampoline = make_trampoline()))
        return NULL;
    return PyObject_CallFunctionObjArgs(trampoline, function, args, kwargs,
                                        NULL);
}

PyObject *op_call(struct task *task)
{
    PyObject *function = NULL, *args = NULL, *kwargs = NULL, *value = NULL;

    if ((function = named_function(task)) && (args = arg_list(task, "args")) &&
        (kwargs = arg_names(task, "kwargs")))
        value = call_in_frame(function, args, kwargs);
    if (!value)
        hint_add(args, kwargs);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return value;
}
