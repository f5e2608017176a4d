/* SPDX-License-Identifier: Apache-2.0
 *
 * unique: keys are compared as bytes. Plain keys before the first one that is
 * not plain are written once more for that, because nobody noted where they
 * are.
 */
#include "config.h"

#include "value/unique.h"

#include "value/scalar.h"

static int changed(PyObject *dict)
{
    PyErr_Format(PyExc_RuntimeError, "%s changed while it was encoded",
                 Py_TYPE(dict)->tp_name);
    return -1;
}

static int put_plain(struct buf *out, PyObject *key)
{
    if (PyUnicode_CheckExact(key))
        return scalar_str(out, key);
    return PyLong_CheckExact(key) ? scalar_int(out, key)
                                  : scalar_atom(out, key);
}

static int repeat(struct unique *u, PyObject *key)
{
    struct buf *out = &u->keys.early;
    const size_t start = out->len;
    if (!unique_is_plain(key))
        return changed(u->dict);
    if (put_plain(out, key) < 0)
        return -1;
    keys_note(&u->keys, start, out->len, out->len);
    return 0;
}

static int repeat_keys(struct unique *u, size_t count)
{
    PyObject *key = NULL, *value = NULL;
    Py_ssize_t at = 0;
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (!python_dict_next(u->dict, &at, &key, &value))
            return changed(u->dict);
        rc = repeat(u, key);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    return rc;
}

int unique_note_from(struct unique *u, size_t i)
{
    u->noting = true;
    if (keys_begin(&u->keys, u->n, i) == 0 && repeat_keys(u, i) == 0)
        return 0;
    if (!PyErr_Occurred())
        PyErr_NoMemory();
    return -1;
}

/* No two keys of a dict are the same object, so if the same objects come in the
 * same order, each key came once. */
int unique_unchanged(const struct unique *u)
{
    struct unique now;
    PyObject *key = NULL, *value = NULL;
    Py_ssize_t at = 0;
    unique_init(&now, u->dict);
    while (python_dict_next(u->dict, &at, &key, &value)) {
        unique_came(&now, key);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    return now.digest == u->digest ? 0 : changed(u->dict);
}

/* A short repr of the i-th key. */
static PyObject *nth_key(PyObject *dict, size_t i)
{
    PyObject *key = NULL, *value = NULL, *repr = NULL;
    Py_ssize_t at = 0;
    for (size_t k = 0; !repr && python_dict_next(dict, &at, &key, &value);
         k++) {
        if (k == i)
            repr = python_short_repr(key);
        Py_DECREF(key);
        Py_DECREF(value);
    }
    return repr ? repr : PyUnicode_FromString("?");
}

static void refuse(PyObject *dict, const size_t same[2])
{
    PyObject *first = nth_key(dict, same[0]);
    PyObject *second = nth_key(dict, same[1]);
    if (first && second)
        PyErr_Format(PyExc_ValueError,
                     "keys %U and %U become the same Erlang term", first,
                     second);
    Py_XDECREF(first);
    Py_XDECREF(second);
}

int unique_check(const struct unique *u, const struct buf *out)
{
    size_t same[2] = {0, 0};
    int rc = keys_check(&u->keys, out, same);
    if (rc > 0)
        refuse(u->dict, same);
    else if (rc < 0)
        PyErr_NoMemory();
    return rc ? -1 : 0;
}
