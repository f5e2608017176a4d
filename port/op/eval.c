/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/eval.h"

#include <limits.h>

#include "op/op.h"
#include "task/arg.h"
#include "task/code.h"
#include "task/context.h"
#include "task/hint.h"
#include "value/classes.h"
#include "value/python.h"

/* Looked up each time: user code may put another module there. */
PyObject *eval_main(void)
{
    static PyObject *name;
    if (!name && !(name = PyUnicode_InternFromString("__main__")))
        return NULL;
    PyObject *main = context_main(name);
    PyObject *names = NULL;
    if (main && PyModule_Check(main))
        names = Py_XNewRef(PyModule_GetDict(main));
    Py_XDECREF(main);
    return names;
}

/* What is not a module may have a __dict__, too. */
static PyObject *main_names(void)
{
    PyObject *names = eval_main();
    return names || PyErr_Occurred() ? names
                                     : python_attribute("__main__", "__dict__");
}

/* Where the names that exec defines live. */
static PyObject *task_names(const struct task *task)
{
    return task->opts.context ? context_names(&task->opts) : main_names();
}

/* The names that the expression sees. Locals become globals of a copy, so
 * that lambdas and comprehensions see them too. */
static PyObject *names_with(const struct task *task, PyObject *locals)
{
    PyObject *names = task_names(task);
    if (!names || PyDict_Size(locals) == 0)
        return names;
    PyObject *copy = PyDict_Copy(names);
    Py_DECREF(names);
    if (copy && PyDict_Update(copy, locals) < 0)
        Py_CLEAR(copy);
    return copy;
}

static void add_hint(const struct task *task, PyObject *locals)
{
    hint_add(NULL, locals);
    if (task->opts.context)
        hint_add_in_context();
}

PyObject *op_eval(struct task *task)
{
    PyObject *text = NULL, *locals = NULL, *names = NULL, *code = NULL;
    PyObject *value = NULL;

    if (!(text = arg_text(task, "code")) ||
        !(locals = arg_names(task, "locals")) ||
        !(code = code_of_expression(text, &task->opts)) ||
        !(names = names_with(task, locals)))
        goto out;
    value = PyEval_EvalCode(code, names, names);
    if (!value)
        add_hint(task, locals);
out:
    Py_XDECREF(text);
    Py_XDECREF(locals);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return value;
}

/* ---- exec with locals ---- */

/* The values that the names already have for the locals. */
static PyObject *hidden_by(PyObject *names, PyObject *locals)
{
    PyObject *hidden = PyDict_New(), *key = NULL, *value = NULL;
    Py_ssize_t at = 0;
    int rc = 0;
    while (hidden && rc == 0 && python_dict_next(locals, &at, &key, &value)) {
        PyObject *old = python_dict_get(names, key);
        rc = old ? PyDict_SetItem(hidden, key, old) : 0;
        Py_XDECREF(old);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    if (rc < 0)
        Py_CLEAR(hidden);
    return hidden;
}

/* Removes whatever has become of the locals, and brings back what they hid.
 * Keeps the exception that is set. */
static void uncover(PyObject *names, PyObject *locals, PyObject *hidden)
{
    PyObject *exc = python_fetch_error();
    PyObject *key = NULL, *value = NULL;
    Py_ssize_t at = 0;
    while (python_dict_next(locals, &at, &key, &value)) {
        if (PyDict_DelItem(names, key) < 0)
            PyErr_Clear(); /* the code has deleted it */
        Py_DECREF(key);
        Py_DECREF(value);
    }
    if (PyDict_Update(names, hidden) < 0)
        PyErr_Clear();
    if (exc)
        python_raise_take(exc);
}

/* For a while the locals are among the names. With a copy of it, what the
 * code defines would go into the copy, and its functions would not see later
 * changes. */
static PyObject *run_with(PyObject *code, PyObject *names, PyObject *locals)
{
    PyObject *none = NULL;
    PyObject *hidden = hidden_by(names, locals);
    if (hidden && PyDict_Update(names, locals) == 0)
        none = PyEval_EvalCode(code, names, names);
    if (hidden)
        uncover(names, locals, hidden);
    Py_XDECREF(hidden);
    return none;
}

/* Code that awaits something has not run yet, and others will run meanwhile:
 * there is no time at which its locals could be among the names. Takes what
 * running it gave. */
static PyObject *check_run_take(PyObject *none)
{
    if (!none || !python_is_awaitable(none))
        return none;
    PyObject *closed = PyObject_CallMethod(none, "close", NULL);
    Py_XDECREF(closed);
    Py_DECREF(none);
    PyErr_SetString(classes_badarg(),
                    "locals: code with an await outside of functions takes "
                    "none; call a function with them");
    return NULL;
}

PyObject *op_exec(struct task *task)
{
    PyObject *text = NULL, *locals = NULL, *code = NULL, *names = NULL;
    PyObject *none = NULL;

    if (!(text = arg_text(task, "code")) ||
        (task->req->op_arity > 1 && !(locals = arg_names(task, "locals"))) ||
        !(code = code_of_statements(text, &task->opts)) ||
        !(names = task_names(task)))
        goto out;
    none = locals ? check_run_take(run_with(code, names, locals))
                  : PyEval_EvalCode(code, names, names);
out:
    if (!none)
        add_hint(task, NULL);
    Py_XDECREF(text);
    Py_XDECREF(locals);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return none;
}

/* ---- contexts ---- */

static long context_arg(struct task *task)
{
    return arg_integer(task, "context", 1, LONG_MAX);
}

PyObject *op_context_open(struct task *task)
{
    const long id = context_arg(task);
    long from = 0;
    if (id < 0 || (task->req->op_arity > 1 && (from = context_arg(task)) < 0) ||
        context_open(id, from) < 0)
        return NULL;
    return Py_NewRef(Py_None);
}

PyObject *op_context_vars(struct task *task)
{
    const long id = context_arg(task);
    PyObject *module = id < 0 ? NULL : context_find(id), *vars = NULL;
    if (module)
        vars = python_call("erlang._context", "variables", "(O)", module);
    Py_XDECREF(module);
    return vars;
}

/* The number of a context, or -1 with an exception. */
static long context_number(PyObject *item)
{
    const long id = PyLong_Check(item) ? PyLong_AsLong(item) : -1;
    if (id < 1)
        PyErr_SetString(classes_badarg(),
                        "contexts: not a list of positive integers");
    return id < 1 ? -1 : id;
}

/* None of them is closed if one is no number. */
PyObject *op_context_close(struct task *task)
{
    PyObject *list = arg_list(task, "contexts"), *none = NULL;
    const Py_ssize_t n = list ? PyList_GET_SIZE(list) : 0;
    Py_ssize_t good = 0;
    while (good < n && context_number(PyList_GET_ITEM(list, good)) > 0)
        good++;
    for (Py_ssize_t i = 0; good == n && i < n; i++)
        context_close(PyLong_AsLong(PyList_GET_ITEM(list, i)));
    if (list && good == n)
        none = Py_NewRef(Py_None);
    Py_XDECREF(list);
    return none;
}
