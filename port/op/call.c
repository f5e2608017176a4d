/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of functions by name, and of what is kept here.
 */
#include "config.h"

#include "op/op.h"

#include <ei.h>
#include <string.h>

#include "op/eval.h"
#include "talk/aio.h"
#include "task/arg.h"
#include "task/context.h"
#include "task/handle.h"
#include "task/hint.h"
#include "task/name.h"
#include "value/classes.h"
#include "wire/etf.h"

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

/* Args and Kwargs: calls the function with them. Takes it; NULL passes an
 * exception on. */
static PyObject *call_take(struct task *task, PyObject *function)
{
    PyObject *args = NULL, *kwargs = NULL, *value = NULL;

    if (function && (args = arg_list(task, "args")) &&
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

PyObject *op_call(struct task *task)
{
    return call_take(task, named_function(task));
}

/* Bytes of the head of {Module, Function, Args, Kwargs}. */
#define CALL_HEAD 2

PyObject *op_multicall(struct task *task)
{
    static const char call[CALL_HEAD] = {ERL_SMALL_TUPLE_EXT, 4};
    if (memcmp(task->req->frame + task->at, call, CALL_HEAD) != 0) {
        PyErr_SetString(classes_badarg(),
                        "call: not {Module, Function, Args, Kwargs}");
        return NULL;
    }
    task->at += CALL_HEAD;
    return op_call(task);
}

/* ---- objects ---------------------------------------------------------- */

/* To call `__call__` is to call the object: where that is a class, the method
 * of this name would be its instances'. */
static PyObject *named_method(PyObject *object, PyObject *name)
{
    if (PyUnicode_CompareWithASCIIString(name, "__call__") == 0)
        return Py_NewRef(object);
    return name_attribute(object, name);
}

PyObject *op_method(struct task *task)
{
    PyObject *object = NULL, *name = NULL, *method = NULL;

    if ((object = arg_value(task, "object")) &&
        (name = arg_text(task, "method")))
        method = named_method(object, name);
    Py_XDECREF(object);
    Py_XDECREF(name);
    return call_take(task, method);
}

PyObject *op_message(struct task *task)
{
    PyObject *handler = NULL, *message = NULL, *kwargs = NULL, *value = NULL;

    if ((handler = arg_value(task, "handler")) &&
        (message = arg_list(task, "message")) && (kwargs = PyDict_New()))
        value = call_in_frame(task, handler, message, kwargs);
    Py_XDECREF(handler);
    Py_XDECREF(message);
    Py_XDECREF(kwargs);
    return value;
}

/* What is kept outlives a stream of its items, which would close it. Takes the
 * reference. */
static PyObject *lend_take(const struct task *task, PyObject *object)
{
    PyObject *items = NULL;
    if (!object || strcmp(task->req->op, "stream") != 0)
        return object;
    if (PyIter_Check(object))
        items = python_call("itertools", "chain", "(O)", object);
    else if (PyAIter_Check(object) && aio_is_on())
        items = python_call("erlang._aio", "Lent", "(O)", object);
    else
        return object;
    Py_DECREF(object);
    return items;
}

PyObject *op_value(struct task *task)
{
    return lend_take(task, arg_value(task, "object"));
}

PyObject *op_attribute(struct task *task)
{
    PyObject *object = NULL, *name = NULL, *value = NULL;

    if ((object = arg_value(task, "object")) && (name = arg_text(task, "name")))
        value = name_attribute(object, name);
    Py_XDECREF(object);
    Py_XDECREF(name);
    return lend_take(task, value);
}

/* The object whose attribute is to be set, and the name of that: of `a.b.c`,
 * what `a.b` is, and `c`. 0/-1. */
static int owner_of(PyObject *object, PyObject *path, PyObject **owner,
                    PyObject **name)
{
    const Py_ssize_t n = PyUnicode_GET_LENGTH(path);
    const Py_ssize_t dot = PyUnicode_FindChar(path, '.', 0, n, -1);
    if (dot < 0) {
        *owner = Py_NewRef(object);
        *name = Py_NewRef(path);
        return 0;
    }
    PyObject *before = PyUnicode_Substring(path, 0, dot);
    if (before && (*owner = name_attribute(object, before)))
        *name = PyUnicode_Substring(path, dot + 1, n);
    Py_XDECREF(before);
    return *name ? 0 : -1;
}

PyObject *op_set_attribute(struct task *task)
{
    PyObject *object = NULL, *path = NULL, *value = NULL;
    PyObject *owner = NULL, *name = NULL;
    int rc = -1;

    if ((object = arg_value(task, "object")) &&
        (path = arg_text(task, "name")) && (value = arg_value(task, "value")) &&
        owner_of(object, path, &owner, &name) == 0)
        rc = PyObject_SetAttr(owner, name, value);
    Py_XDECREF(object);
    Py_XDECREF(path);
    Py_XDECREF(value);
    Py_XDECREF(owner);
    Py_XDECREF(name);
    return rc == 0 ? Py_NewRef(Py_None) : NULL;
}

/* ---- what has a value, inside another request ------------------------- */

static const struct source {
    const char *name;
    int arity;
    op_fn *run;
} sources[] = {
    {"eval", 3, op_eval},           {"call", 5, op_call},
    {"method", 5, op_method},       {"value", 2, op_value},
    {"attribute", 3, op_attribute},
};

/* NULL: it is none. */
static const struct source *find_source(const char *name, int arity)
{
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i].arity == arity && strcmp(sources[i].name, name) == 0)
            return &sources[i];
    return NULL;
}

PyObject *op_source(struct task *task)
{
    char name[REQUEST_OP_MAX + 1] = "";
    const unsigned char *const frame = (const unsigned char *)task->req->frame;
    int at = (int)task->at, arity = 0;

    if (ei_decode_tuple_header(task->req->frame, &at, &arity) == 0 &&
        arity > 0) {
        const unsigned char *p = frame + at;
        etf_name(&p, name, sizeof name);
        task->at = (size_t)(p - frame);
    }
    const struct source *source = find_source(name, arity);
    if (source)
        return source->run(task);
    PyErr_SetString(classes_badarg(),
                    "source: neither {eval, Code, Locals} nor "
                    "{call, Module, Function, Args, Kwargs}, nor another "
                    "operation that has a value");
    return NULL;
}

/* ---- handles ---------------------------------------------------------- */

PyObject *op_keep(struct task *task)
{
    PyObject *object = op_source(task);
    if (object && aio_is_on() && python_is_awaitable(object))
        return object; /* what it gives will be kept */
    PyObject *number = object ? handle_keep(object) : NULL;
    Py_XDECREF(object);
    return number;
}

/* 0, or -1 with an exception. */
static int release(PyObject *number)
{
    if (PyLong_Check(number)) {
        handle_release(number);
        return 0;
    }
    PyErr_SetString(classes_badarg(), "numbers: not a list of integers");
    return -1;
}

PyObject *op_release(struct task *task)
{
    PyObject *numbers = arg_list(task, "numbers");
    const Py_ssize_t n = numbers ? PyList_GET_SIZE(numbers) : 0;
    Py_ssize_t i = 0;
    while (i < n && release(PyList_GET_ITEM(numbers, i)) == 0)
        i++;
    Py_XDECREF(numbers);
    return PyErr_Occurred() ? NULL : Py_NewRef(Py_None);
}

PyObject *op_describe(struct task *task)
{
    PyObject *object = arg_value(task, "object"), *map = NULL;
    if (object)
        map = python_call("erlang._handle", "describe", "(O)", object);
    Py_XDECREF(object);
    return map;
}

PyObject *op_kept(struct task *task)
{
    (void)task;
    return handle_types();
}
