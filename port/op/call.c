/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/call.h"

#include "task/arg.h"
#include "op/eval.h"
#include "task/name.h"
#include "task/reply.h"

/* Module and Function: the callable that they name. */
static PyObject *named_function(struct op_call *call)
{
    PyObject *module = NULL, *function = NULL, *owner = NULL, *found = NULL;

    if ((module = arg_text(call, "module")) &&
        (function = arg_text(call, "function")) &&
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
    PyObject *module = NULL, *call = NULL, *code = NULL, *names = NULL;
    PyObject *made = NULL;

    if ((module = python_module("erlang._call")) &&
        (call = PyObject_GetAttrString(module, "call")) &&
        (code = PyObject_GetAttrString(call, "__code__")) &&
        (names = eval_names()))
        made = PyFunction_New(code, names);
    Py_XDECREF(module);
    Py_XDECREF(call);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return made;
}

/* Calls with a Python frame underneath, which functions like builtins.eval
 * and locals need, and warnings look for. */
static PyObject *call_in_frame(PyObject *function, PyObject *args,
                               PyObject *kwargs)
{
    static PyObject *trampoline;
    if (!trampoline && !(trampoline = make_trampoline()))
        return NULL;
    return PyObject_CallFunctionObjArgs(trampoline, function, args, kwargs,
                                        NULL);
}

PyObject *call_function(struct op_call *call)
{
    PyObject *function = NULL, *args = NULL, *kwargs = NULL, *value = NULL;

    if ((function = named_function(call)) && (args = arg_list(call, "args")) &&
        (kwargs = arg_names(call, "kwargs")))
        value = call_in_frame(function, args, kwargs);
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return value;
}

enum op_end op_invoke(struct op_call *call)
{
    return reply_value_take(call, call_function(call), "result");
}
