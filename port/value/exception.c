/* SPDX-License-Identifier: Apache-2.0
 *
 * exception: exceptions may be of any class, and each of their methods may
 * fail. So nothing here trusts an exception, and a failure on the way means
 * that less is said.
 */
#include "config.h"

#include "value/exception.h"

#include <string.h>

#include "value/encode.h"
#include "value/classes.h"
#include "wire/put.h"
#include "wire/utf8.h"

/* The most bytes of a class's name: then it can always be an atom in Erlang. */
#define NAME_MAX_BYTES 255
#define ELLIPSIS_LEN (sizeof PYTHON_ELLIPSIS - 1)

/* How much is said about an exception. */
enum detail {
    CLASS_ONLY,
    WITH_MESSAGE,
    WITH_TRACE,
};

/* The exception classes of builtins, without aliases. */
static PyObject *born;

/* Room for what is said about limits. */
#define LIMITS_TEXT_SIZE 256

static exception_limits_fn *say_limits;

void exception_on_no_memory(exception_limits_fn *limits)
{
    say_limits = limits;
}

/* ---- classes ---- */

static bool is_exception_class(PyObject *obj)
{
    return PyType_Check(obj) &&
           PyType_IsSubtype((PyTypeObject *)obj,
                            (PyTypeObject *)PyExc_BaseException);
}

/* By identity: asking a class whether it equals another may run its code. */
static bool contains(PyObject *list, PyObject *class)
{
    bool found = false;
    for (Py_ssize_t i = 0; !found && i < PyList_GET_SIZE(list); i++) {
        PyObject *item = python_item(list, i);
        found = item == class;
        Py_DECREF(item);
    }
    return found;
}

static PyObject *exception_classes(PyObject *names)
{
    PyObject *name = NULL, *value = NULL;
    PyObject *list = PyList_New(0);
    Py_ssize_t at = 0;
    while (list && python_dict_next(names, &at, &name, &value)) {
        if (is_exception_class(value) && !contains(list, value) &&
            PyList_Append(list, value) < 0)
            Py_CLEAR(list);
        Py_DECREF(name);
        Py_DECREF(value);
    }
    return list;
}

int exception_init(void)
{
    PyObject *names = python_attribute("builtins", "__dict__");
    if (names)
        born = exception_classes(names);
    Py_XDECREF(names);
    return born ? 0 : -1;
}

PyObject *exception_class_names(void)
{
    PyObject *names = PyList_New(0);
    for (Py_ssize_t i = 0; names && i < PyList_GET_SIZE(born); i++) {
        PyObject *class = python_item(born, i);
        PyObject *name = python_type_name((PyTypeObject *)class);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
        Py_DECREF(class);
    }
    return names;
}

/* ---- parts of a reason ---- */

/* As a binary; what is too long is cut, between two characters. */
static int put_name(struct buf *out, const char *text, size_t n)
{
    char cut[NAME_MAX_BYTES];
    if (n <= sizeof cut)
        return put_binary(out, text, n);
    n = utf8_cut(text, sizeof cut - ELLIPSIS_LEN);
    memcpy(cut, text, n);
    memcpy(cut + n, PYTHON_ELLIPSIS, ELLIPSIS_LEN);
    return put_binary(out, cut, n + ELLIPSIS_LEN);
}

/* With its module, so that there is a dot in it: a name without a dot is
 * built-in, or a reason of ours. */
static PyObject *qualified_name(PyTypeObject *type)
{
    PyObject *name = python_call("erlang._names", "full_name", "(O)", type);
    if (!name) {
        PyErr_Clear();
        name = PyUnicode_FromFormat("?.%s", type->tp_name);
    } else if (!python_has_char(name, '.')) {
        Py_SETREF(name, PyUnicode_FromFormat("builtins.%U", name));
    }
    return name;
}

static int put_class(struct buf *out, PyObject *exc)
{
    PyTypeObject *const type = Py_TYPE(exc);
    const bool is_born = contains(born, (PyObject *)type);
    PyObject *name = is_born ? python_type_name(type) : qualified_name(type);
    Py_ssize_t n = 0;
    const char *text = name ? PyUnicode_AsUTF8AndSize(name, &n) : NULL;
    if (!text) {
        PyErr_Clear();
        text = "?.?";
        n = (Py_ssize_t)strlen(text);
    }
    int rc = is_born ? put_atom(out, text, (size_t)n)
                     : put_name(out, text, (size_t)n);
    Py_XDECREF(name);
    return rc;
}

/* str(exc) as UTF-8, or NULL with another exception. */
static PyObject *message_utf8(PyObject *exc)
{
    PyObject *utf8 = NULL;
    PyObject *text = PyObject_Str(exc);
    if (text)
        utf8 = PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace");
    Py_XDECREF(text);
    return utf8;
}

/* What a MemoryError says after its own words, or instead of them. */
static PyObject *no_memory(PyObject *own, enum stage stage)
{
    static const char *const stages[] = {
        [STAGE_CODE] = "while the code ran",
        [STAGE_ARGUMENTS] = "for the arguments",
        [STAGE_REPLY] = "for the reply",
    };
    char limits[LIMITS_TEXT_SIZE];
    const bool limited = say_limits && say_limits(limits, sizeof limits);
    const char *const comma = limited ? "; " : "";
    if (!limited)
        *limits = '\0';
    if (PyBytes_GET_SIZE(own) == 0)
        return PyBytes_FromFormat("no memory %s%s%s", stages[stage], comma,
                                  limits);
    return PyBytes_FromFormat("%s (%s%s%s)", PyBytes_AS_STRING(own),
                              stages[stage], comma, limits);
}

/* Says that str(exc) raised, and what. */
static int put_no_message(struct buf *out)
{
    PyObject *why = python_fetch_error();
    PyObject *text = PyUnicode_FromFormat("<no message: str() raised %s>",
                                          why ? Py_TYPE(why)->tp_name : "?");
    Py_ssize_t n = 0;
    const char *utf8 = text ? PyUnicode_AsUTF8AndSize(text, &n) : NULL;
    int rc = utf8 ? put_binary(out, utf8, (size_t)n) : put_binary(out, "", 0);
    Py_XDECREF(text);
    Py_XDECREF(why);
    PyErr_Clear();
    return rc;
}

static bool is_memory_error(PyObject *exc)
{
    return PyType_IsSubtype(Py_TYPE(exc), (PyTypeObject *)PyExc_MemoryError);
}

static int put_message(struct buf *out, PyObject *exc, enum stage stage)
{
    PyObject *utf8 = message_utf8(exc);
    if (utf8 && is_memory_error(exc))
        Py_SETREF(utf8, no_memory(utf8, stage));
    if (!utf8)
        return put_no_message(out);
    int rc = put_binary(out, PyBytes_AS_STRING(utf8),
                        (size_t)PyBytes_GET_SIZE(utf8));
    Py_DECREF(utf8);
    return rc;
}

static int put_trace(struct buf *out, PyObject *exc)
{
    struct form form;
    form_init(&form);
    int rc = -1;
    PyObject *trace = python_call("erlang._traceback", "describe", "(O)", exc);
    if (trace)
        rc = value_encode(out, trace, &form, "traceback");
    Py_XDECREF(trace);
    PyErr_Clear();
    return rc;
}

/* ---- the reason ---- */

static int put_reason(struct buf *out, PyObject *exc, enum detail detail,
                      enum stage stage)
{
    static const char too_large[] = "<no message: larger than max_frame>";
    const bool badarg =
        PyType_IsSubtype(Py_TYPE(exc), (PyTypeObject *)classes_badarg());
    const bool trace = detail == WITH_TRACE && !badarg;
    if (put_tuple(out, trace ? 3 : 2) < 0 ||
        (badarg ? put_atom_z(out, "badarg") : put_class(out, exc)) < 0)
        return -1;
    if (detail == CLASS_ONLY)
        return put_binary(out, too_large, sizeof too_large - 1);
    if (put_message(out, exc, stage) < 0)
        return -1;
    return trace ? put_trace(out, exc) : 0;
}

int exception_encode(struct buf *out, const struct form *form)
{
    const size_t mark = buf_mark(out);
    int detail = form->traceback ? WITH_TRACE : WITH_MESSAGE;
    PyObject *exc = python_fetch_error();
    if (!exc) {
        PyErr_SetString(PyExc_SystemError, "failed without an exception");
        exc = python_fetch_error();
    }
    int rc = put_reason(out, exc, detail, form->stage);
    while (rc < 0 && --detail >= CLASS_ONLY) {
        buf_rewind(out, mark);
        rc = put_reason(out, exc, detail, form->stage);
    }
    if (rc < 0)
        buf_rewind(out, mark);
    Py_DECREF(exc);
    PyErr_Clear();
    return rc;
}
