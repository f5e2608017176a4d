/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/eval.h"

#include "op/op.h"
#include "task/arg.h"
#include "task/hint.h"
#include "value/python.h"

/* Compiled expressions by their text: most callers send the same few texts. */
#define CACHED_MAX 512
#define CACHED_TEXT_MAX 4096
static PyObject *compiled;

PyObject *eval_names(void)
{
    return python_attribute("__main__", "__dict__");
}

/* mode: "eval" or "exec", as Python's compile has it. */
static PyObject *compile_text(PyObject *text, const char *mode,
                              const struct task_opts *opts)
{
    return python_call("erlang._source", "compiled", "(Osz#l)", text, mode,
                       opts->filename, (Py_ssize_t)opts->filename_len,
                       opts->line);
}

static int remember(PyObject *text, PyObject *code)
{
    if (PyUnicode_GetLength(text) > CACHED_TEXT_MAX)
        return 0;
    if (PyDict_Size(compiled) >= CACHED_MAX)
        PyDict_Clear(compiled);
    return PyDict_SetItem(compiled, text, code);
}

static PyObject *expression(PyObject *text, const struct task_opts *opts)
{
    if (opts->filename || opts->line != 1)
        return compile_text(text, "eval", opts);
    if (!compiled && !(compiled = PyDict_New()))
        return NULL;
    PyObject *code = python_dict_get(compiled, text);
    if (code || PyErr_Occurred())
        return code;
    code = compile_text(text, "eval", opts);
    if (code && remember(text, code) < 0)
        Py_CLEAR(code);
    return code;
}

/* The names that the expression sees. Locals become globals of a copy, so
 * that lambdas and comprehensions see them too. */
static PyObject *names_with(PyObject *locals)
{
    PyObject *names = eval_names();
    if (!names || PyDict_Size(locals) == 0)
        return names;
    PyObject *copy = PyDict_Copy(names);
    Py_DECREF(names);
    if (copy && PyDict_Update(copy, locals) < 0)
        Py_CLEAR(copy);
    return copy;
}

PyObject *op_eval(struct task *task)
{
    PyObject *text = NULL, *locals = NULL, *names = NULL, *code = NULL;
    PyObject *value = NULL;

    if (!(text = arg_text(task, "code")) ||
        !(locals = arg_names(task, "locals")) ||
        !(code = expression(text, &task->opts)) ||
        !(names = names_with(locals)))
        goto out;
    value = PyEval_EvalCode(code, names, names);
    if (!value)
        hint_add(NULL, locals);
out:
    Py_XDECREF(text);
    Py_XDECREF(locals);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return value;
}

PyObject *op_exec(struct task *task)
{
    PyObject *text = NULL, *code = NULL, *names = NULL, *none = NULL;

    if ((text = arg_text(task, "code")) &&
        (code = compile_text(text, "exec", &task->opts)) &&
        (names = eval_names()))
        none = PyEval_EvalCode(code, names, names);
    if (!none)
        hint_add(NULL, NULL);
    Py_XDECREF(text);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return none;
}
