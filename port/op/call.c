/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of functions by name.
 */
#include "config.h"

#include "op/op.h"

#include "op/eval.h"
#include "task/arg.h"
#include "task/context.h"
#include "task/hint.h"
#include "task/name.h"

static PyObject *named_module(const struct task *task, PyObject *name)
{
    return task->opts.context ? context_named(&task->opts, name)
                              : name_module(name);
}

/* Module and Function: the callable that they name. */
static PyObject *named_function(struct task *task)
{
    PyObject *module = NULL, *function = NULL, *owner = NULL, *found = NULL;

    if ((module = arg_text(task, "module")) &&
        (function = arg_text(task, "function")) &&
        (owner = named_module(task, module)))
        found = name_attribute(owner, function);
    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(owner);
    return found;
}

/* erlang._call.call with these names for its globals. */
static PyObject *make_trampoline(PyObject *names)
{
    PyObject *call = NULL, *code = NULL, *made = NULL;

    if ((call = python_attribute("erlang._call", "call")) &&
        (code = PyObject_GetAttrString(call, "__code__")))
        made = PyFunction_New(code, names);
    Py_XDECREF(call);
    Py_XDECREF(code);
    return made;
}

/* Made once for each module that is __main__. If there is no such module, the
 * last one serves. */
static PyObject *trampoline(void)
{
    static PyObject *made;
    PyObject *names = eval_main();
    if (!names && !PyErr_Occurred() && !made)
        names = PyDict_New();
    if (names && (!made || PyFunction_GET_GLOBALS(made) != names))
        Py_XSETREF(made, make_trampoline(names));
    Py_XDECREF(names);
    return PyErr_Occurred() ? NULL : Py_XNewRef(made);
}

/* One that is kept would keep the names of a context that is closed. */
static PyObject *context_trampoline(const struct task_opts *opts)
{
    PyObject *names = context_names(opts);
    PyObject *made = names ? make_trampoline(names) : NULL;
    Py_XDECREF(names);
    return made;
}

/* Calls with a Python frame underneath: builtins.eval and locals need one, and
 * warnings look for one. */
static PyObject *call_in_frame(const struct task *task, PyObject *function,
                               PyObject *args, PyObject *kwargs)
{
    PyObject *const values[] = {function, args, kwargs};
    PyObject *call =
        task->opts.context ? context_trampoline(&task->opts) : trampoline();
    PyObject *value = call ? PyObject_Vectorcall(call, values, 3, NULL) : NULL;
    Py_XDECREF(call);
    return value;
}

PyObject *op_call(struct task *task)
{
    PyObject *function = NULL, *args = NULL, *kwargs = NULL, *value = NULL;

    if ((function = named_function(task)) && (args = arg_list(task, "args")) &&
        (kwargs = arg_any_names(task, "kwargs")))
        value = call_in_frame(task, function, args, kwargs);
    if (!value)
        hint_add(args, kwargs);
    if (!value && task->opts.context)
        hint_add_in_context();
    Py_XDECREF(function);
    Py_XDECREF(args);
    Py_XDECREF(kwargs);
    return value;
}
