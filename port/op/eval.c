/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/eval.h"

#include "task/arg.h"
#include "task/reply.h"
#include "value/python.h"

/* Compiled expressions by their text: most callers send the same few. */
#define CACHED_MAX 512
#define CACHED_TEXT_MAX 4096
static PyObject *compiled;

PyObject *eval_names(void)
{
    PyObject *main = python_module("__main__");
    if (!main)
        return NULL;
    PyObject *names = PyObject_GetAttrString(main, "__dict__");
    Py_DECREF(main);
    return names;
}

/* mode: "eval" or "exec", as Python's compile has it. */
static PyObject *compile_text(PyObject *text, const char *mode)
{
    PyObject *file = PyUnicode_FromFormat("<%s>", mode);
    PyObject *code = NULL;
    if (file)
        code = python_call("builtins", "compile", "(OOsiO)", text, file, mode,
                           0, Py_True);
    Py_XDECREF(file);
    return code;
}

/* Blanks in front are taken off, as Python's own eval does. */
static PyObject *compile_expression(PyObject *text)
{
    PyObject *stripped = PyObject_CallMethod(text, "lstrip", "s", " \t");
    if (!stripped)
        return NULL;
    PyObject *code = compile_text(stripped, "eval");
    Py_DECREF(stripped);
    return code;
}

static int remember(PyObject *text, PyObject *code)
{
    if (PyUnicode_GetLength(text) > CACHED_TEXT_MAX)
        return 0;
    if (PyDict_Size(compiled) >= CACHED_MAX)
        PyDict_Clear(compiled);
    return PyDict_SetItem(compiled, text, code);
}

static PyObject *expression(PyObject *text)
{
    if (!compiled && !(compiled = PyDict_New()))
        return NULL;
    PyObject *code = python_dict_get(compiled, text);
    if (code || PyErr_Occurred())
        return code;
    code = compile_expression(text);
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

PyObject *eval_expression(struct op_call *call)
{
    PyObject *text = NULL, *locals = NULL, *names = NULL, *code = NULL;
    PyObject *value = NULL;

    if (!(text = arg_text(call, "code")) ||
        !(locals = arg_names(call, "locals")) || !(code = expression(text)) ||
        !(names = names_with(locals)))
        goto out;
    value = PyEval_EvalCode(code, names, names);
out:
    Py_XDECREF(text);
    Py_XDECREF(locals);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return value;
}

enum op_end op_eval(struct op_call *call)
{
    return reply_value_take(call, eval_expression(call), "result");
}

enum op_end op_exec(struct op_call *call)
{
    PyObject *text = NULL, *code = NULL, *names = NULL, *none = NULL;

    if ((text = arg_text(call, "code")) &&
        (code = compile_text(text, "exec")) && (names = eval_names()))
        none = PyEval_EvalCode(code, names, names);
    Py_XDECREF(text);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return reply_ok_take(call, none);
}
