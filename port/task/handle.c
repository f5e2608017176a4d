/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/handle.h"

#include <sys/random.h>

#include "wire/clock.h"

/* The least number: all have 64 bits, so that all frames that name one look
 * alike. */
#define LEAST ((uint64_t)1 << 63)

/* All that are kept, by their numbers: a dict that Python sees, too, so that
 * whoever asks what keeps an object finds it. NULL until there was one. */
static PyObject *all;

/* When they were kept, by their numbers, in milliseconds. */
static PyObject *times;

/* Those that are kept at the same time share the number that says so: it takes
 * as much memory as all else that is known of one. */
#define TOGETHER_MS 100

static PyObject *time_now(void)
{
    static PyObject *last;
    static long long at;
    const long long ms = clock_coarse() / CLOCK_NS_PER_MS;
    if (!last || ms - at >= TOGETHER_MS) {
        Py_XSETREF(last, PyLong_FromLongLong(ms));
        at = ms;
    }
    return Py_XNewRef(last);
}

static int open_tables(void)
{
    if (!all && !(all = python_attribute("erlang._handle", "kept")))
        return -1;
    if (!times && !(times = python_attribute("erlang._handle", "times")))
        return -1;
    return 0;
}

static int put_take(PyObject *table, PyObject *number, PyObject *value)
{
    const int rc = value ? PyDict_SetItem(table, number, value) : -1;
    Py_XDECREF(value);
    return rc;
}

/* What is asked of a number that is not there is no error. */
static void drop(PyObject *table, PyObject *number)
{
    if (PyDict_DelItem(table, number) < 0)
        PyErr_Clear();
}

static PyObject *draw_number(void)
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyLong_FromUnsignedLongLong(number | LEAST);
}

PyObject *handle_keep(PyObject *object)
{
    PyObject *number = open_tables() == 0 ? draw_number() : NULL;
    if (number && (put_take(times, number, time_now()) < 0 ||
                   PyDict_SetItem(all, number, object) < 0))
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
    if (object) {
        drop(times, number);
        drop(all, number);
    }
    Py_XDECREF(object);
}

PyObject *handle_types(void)
{
    return python_call("erlang._handle", "types", "(N)", time_now());
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
