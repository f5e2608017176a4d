/* SPDX-License-Identifier: Apache-2.0
 *
 * python: CPython's C API as the rest of this program uses it.
 *
 * The only file that includes Python.h. It turns calls that return borrowed
 * references into ones that return new references, and hides what differs
 * between CPython 3.10 and 3.14. GIL held everywhere. Unless said otherwise a
 * failure is NULL or -1 with a Python exception set.
 */
#ifndef PORT_VALUE_PYTHON_H
#define PORT_VALUE_PYTHON_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <string.h>

/* "…" in UTF-8: something was left out here. */
#define PYTHON_ELLIPSIS "\xe2\x80\xa6"

/* What sys.modules has under that name, as it is there; NULL without an
 * exception when there is nothing. Runs no Python code. */
PyObject *python_imported(PyObject *name);

/* The same, once its import is over, if another thread is at that. */
PyObject *python_imported_whole(PyObject *name);

/* Imports (or finds) a module by its full name. */
PyObject *python_module(const char *name);

/* MODULE.NAME, imported if necessary. */
PyObject *python_attribute(const char *module, const char *name);

/* MODULE.FUNCTION(…), imported if necessary. The arguments are a tuple as
 * Py_BuildValue makes it: "(iO)". */
PyObject *python_call(const char *module, const char *function,
                      const char *format, ...);

/* An item by index. */
PyObject *python_list_get(PyObject *list, Py_ssize_t i);

/* A value by key; NULL without an exception when the key is not there. */
PyObject *python_dict_get(PyObject *dict, PyObject *key);

/* What a class or one of its bases has under that name, as it is there; NULL
 * without an exception when there is nothing. Runs no Python code. */
PyObject *python_type_lookup(PyTypeObject *type, PyObject *name);

/* The name of a class without its module, as a str. */
PyObject *python_type_name(PyTypeObject *type);

/* repr(obj) cut to a few dozen characters, without surrogates, as UTF-8 in a
 * str. Works with an exception set and keeps it; never fails: an object
 * without a repr is named by its class. NULL only when there is no memory for
 * that. */
PyObject *python_short_repr(PyObject *obj);

/* The same object, or for a subclass of str an exact str with its text. Keeps
 * an exception that is set; NULL only when there is no memory. */
PyObject *python_plain_str(PyObject *obj);

/* How many bytes hold an int, or an instance of a subclass, in two's
 * complement; it may be more than it takes. -1 with an exception. */
Py_ssize_t python_int_size(PyObject *obj);

/* Writes it into n bytes, least byte first. 0/-1. */
int python_int_bytes(PyObject *obj, unsigned char *bytes, size_t n);

/* An int that is not negative, from its bytes, least byte first. */
PyObject *python_int_from_bytes(const unsigned char *bytes, size_t n);

/* Shows `visit` every object that the collector knows, until `visit` returns 0.
 * It may run no Python code. Before 3.12 this makes a list of all of them, 8
 * bytes each, and does not see those that are frozen. 0/-1. */
int python_visit_objects(int (*visit)(PyObject *obj, void *arg), void *arg);

/* The current exception, complete with traceback; none is set afterwards. NULL
 * when there was none. */
PyObject *python_fetch_error(void);

/* Sets the exception. Takes the reference. */
void python_raise_take(PyObject *exc);

/* Raises what another thread has told this one to raise at its next bytecode,
 * if there is anything. 0, or -1 with the exception. */
int python_raise_async(void);

/* The exception that code without an `except` block of its own handles; NULL:
 * none any more. Where no Python code runs. */
void python_set_handled(PyObject *exc);

/* Keeps the collector from running while many objects are made, none of which
 * can be garbage: it would look at each of them several times; or while no
 * Python code may run, as that of finalizers. Since 3.12 it waits for Python
 * code to run anyway. Returns what python_collect_again takes. */
static inline bool python_pause_collection(void)
{
#if PY_VERSION_HEX >= 0x030c0000
    return false;
#else
    return PyGC_Disable();
#endif
}

static inline void python_collect_again(bool paused)
{
    if (paused)
        PyGC_Enable();
}

/* The hot ones. The index is in range, and the object of that type. */

/* An item of a list or tuple. */
static inline PyObject *python_item(PyObject *sequence, Py_ssize_t i)
{
    PyObject *item = PySequence_Fast_GET_ITEM(sequence, i);
    Py_INCREF(item);
    return item;
}

/* True for an int of at most one digit, which most are, and its value. */
static inline bool python_is_small_int(PyObject *obj, long *value)
{
#if PY_VERSION_HEX >= 0x030c0000
    if (!PyUnstable_Long_IsCompact((PyLongObject *)obj))
        return false;
    *value = (long)PyUnstable_Long_CompactValue((PyLongObject *)obj);
#else
    const Py_ssize_t sign = Py_SIZE(obj);
    if (sign < -1 || sign > 1)
        return false;
    *value = sign * (long)((PyLongObject *)obj)->ob_digit[0];
#endif
    return true;
}

/* Whether a str has this character, which is ASCII. */
static inline bool python_has_char(PyObject *text, char c)
{
    const Py_ssize_t n = PyUnicode_GET_LENGTH(text);
    if (PyUnicode_IS_ASCII(text))
        return memchr(PyUnicode_1BYTE_DATA(text), c, (size_t)n) != NULL;
    return PyUnicode_FindChar(text, (Py_UCS4)c, 0, n, 1) >= 0;
}

static inline bool python_begins_with(PyObject *text, char c)
{
    return PyUnicode_GET_LENGTH(text) > 0 &&
           PyUnicode_READ_CHAR(text, 0) == (Py_UCS4)c;
}

/* Makes a str the one that stands for its text, so that comparing addresses is
 * enough. Python 3.12 would keep it for ever: there it stays as it is. */
static inline void python_intern(PyObject **text)
{
#if PY_VERSION_HEX < 0x030c0000
    PyUnicode_InternInPlace(text);
#else
    (void)text;
#endif
}

/* Whether `await` takes it. Runs no Python code. */
static inline bool python_is_awaitable(PyObject *obj)
{
    const PyAsyncMethods *const methods = Py_TYPE(obj)->tp_as_async;
    return methods && methods->am_await;
}

/* Whether `async for` takes it. Runs no Python code. */
static inline bool python_is_async_iterable(PyObject *obj)
{
    const PyAsyncMethods *const methods = Py_TYPE(obj)->tp_as_async;
    return methods && methods->am_aiter;
}

/* The next pair of a dict, two new references; false at the end. Never runs
 * Python code and never fails, but pairs may be missed or come twice if the
 * dict changes in between: the caller has to count. */
static inline bool python_dict_next(PyObject *dict, Py_ssize_t *at,
                                    PyObject **key, PyObject **value)
{
    if (!PyDict_Next(dict, at, key, value))
        return false;
    Py_INCREF(*key);
    Py_INCREF(*value);
    return true;
}

#endif
