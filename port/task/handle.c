/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/handle.h"

#include <sys/random.h>

/* The least number: all have 64 bits, so that all frames that name one look
 * alike. */
#define LEAST ((uint64_t)1 << 63)

/* All that are kept, by their numbers: a dict that Python sees, too, so that
 * whoever asks what keeps an object finds it. NULL until there was one. */
static PyObject *all;

static PyObject *draw_number(void)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromUnsignedLongLong(number | LEAST);
}

PyObject *handle_keep(PyObject *object)
{
    if (!all && !(all = python_attribute("erlang._handle", "kept")))
        return NULL;
    PyObject *number = draw_number();
    if (number && PyDict_SetItem(all, number, object) < 0)
        Py_CLEAR(number);
    return number;
}

PyObject *handle_find(uint64_t number)
{
    PyObject *key = all ? PyLong_FromUnsignedLongLong(number) : NULL;
    PyObject *object = key ? python_dict_get(all, key) : NULL;
    Py_XDECREF(key);
    return object;
}

/* It is forgotten before it is freed: whatever runs then does not find it. */
void handle_release(PyObject *number)
{
    PyObject *object = all ? python_dict_get(all, number) : NULL;
    if (!object || PyDict_DelItem(all, number) < 0)
        PyErr_Clear();
    Py_XDECREF(object);
}

void handle_release_all(void)
{
    PyObject *number = NULL, *object = NULL;
    Py_ssize_t at = 0;
    while (all && python_dict_next(all, &at, &number, &object)) {
        Py_DECREF(object);
        handle_release(number);
        Py_DECREF(number);
    }
}
