/* SPDX-License-Identifier: Apache-2.0
 *
 * dict: Erlang allows keys that Python does not (lists, maps), and tells keys
 * apart that are equal in Python (1 and 1.0, an atom and a binary).
 */
#include "config.h"

#include "value/dict.h"

#include "value/classes.h"

/* Says that the dict did not take the key. */
static void refuse_key(PyObject *key)
{
    if (!PyErr_ExceptionMatches(PyExc_TypeError))
        return; /* no memory, or an error of Python's own */
    PyObject *why = python_fetch_error();
    PyObject *repr = python_short_repr(key);
    if (repr)
        PyErr_Format(classes_badarg(),
                     "%U cannot be a key of a dict: %S; a key is a binary, an "
                     "atom, a number or a tuple of these",
                     repr, why);
    Py_XDECREF(repr);
    Py_XDECREF(why);
}

/* The key in the dict that equals this one, or this one if none is found. */
static PyObject *equal_key(PyObject *dict, PyObject *key)
{
    Py_ssize_t at = 0;
    PyObject *other = NULL, *value = NULL;
    while (python_dict_next(dict, &at, &other, &value)) {
        Py_DECREF(value);
        if (PyObject_RichCompareBool(other, key, Py_EQ) == 1)
            return other;
        Py_DECREF(other);
    }
    return Py_NewRef(key);
}

static void refuse_equal_key(PyObject *dict, PyObject *key)
{
    PyObject *other = equal_key(dict, key);
    PyObject *repr = python_short_repr(key);
    PyObject *other_repr = python_short_repr(other);
    if (repr && other_repr)
        PyErr_Format(classes_badarg(), "keys %U and %U are equal in Python",
                     other_repr, repr);
    Py_XDECREF(other_repr);
    Py_XDECREF(repr);
    Py_DECREF(other);
}

int dict_add(PyObject *dict, PyObject *key, PyObject *value)
{
    const Py_ssize_t before = PyDict_GET_SIZE(dict);
    if (PyDict_SetItem(dict, key, value) < 0) {
        refuse_key(key);
        return -1;
    }
    if (PyDict_GET_SIZE(dict) == before) {
        refuse_equal_key(dict, key);
        return -1;
    }
    return 0;
}
