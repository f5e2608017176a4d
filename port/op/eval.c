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

/* What may be indented: "expression" or "statements". Most code begins with
 * neither a blank nor a byte order mark. */
static PyObject *unindented(PyObject *text, const char *what)
{
    const Py_UCS4 first =
        PyUnicode_GET_LENGTH(text) ? PyUnicode_READ_CHAR(text, 0) : 0;
    if (first == 0xfeff || Py_UNICODE_ISSPACE(first))
        return python_call("erlang._indent", what, "(O)", text);
    return Py_NewRef(text);
}

/* mode: "eval" or "exec", as Python's compile has it. */
static PyObject *compile_text(PyObject *text, const char *mode,
                              const char *what, const struct task_opts *opts)
{
    PyObject *source = unindented(text, what), *code = NULL;
    if (source)
        code = python_call("erlang._source", "compiled", "(Osz#l)", source,
                           mode, opts->filename,
                           (Py_ssize_t)opts->filename_len, opts->line);
    Py_XDECREF(source);
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

static PyObject *expression(PyObject *text, const struct task_opts *opts)
{
    if (opts->filename || opts->line != 1)
        return compile_text(text, "eval", opts);
    if (!compiled && !(compiled = PyDict_New()))
        return NULL;
    PyObject *code = python_dict_get(compiled, text);
    if (code || PyErr_Occurred())
        return code;
    code = compile_text(text, "eval", "expression", opts);
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

/* ---- exec with locals ---- */

/* What the names already have of the locals. */
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

/* Whatever has become of the locals is gone, and what they hid is back. Keeps
 * the exception that is set. */
static void uncover(PyObject *names, PyObject *locals, PyObject *hidden)
{
    PyObject *exc = PyErr_Occurred() ? python_fetch_error() : NULL;
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

/* For a while the locals are names of __main__: a copy of it would get what
 * the code defines, and its functions would not see later changes. */
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

PyObject *op_exec(struct task *task)
{
    PyObject *text = NULL, *locals = NULL, *code = NULL, *names = NULL;
    PyObject *none = NULL;

    if (!(text = arg_text(task, "code")) ||
        (task->req->op_arity > 1 && !(locals = arg_names(task, "locals"))) ||
        !(code = compile_text(text, "exec", "statements", &task->opts)) ||
        !(names = eval_names()))
        goto out;
    none = locals ? run_with(code, names, locals)
                  : PyEval_EvalCode(code, names, names);
out:
    if (!none)
        hint_add(NULL, NULL);
    Py_XDECREF(text);
    Py_XDECREF(locals);
    Py_XDECREF(code);
    Py_XDECREF(names);
    return none;
}
