/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/gc_pause.h"

#include "task/map.h"
#include "wire/clock.h"

#define GENERATIONS 3

struct pause {
    long long count;
    long long total; /* nanoseconds, like all times here */
    long long longest;
};

static struct {
    struct pause of[GENERATIONS];
    PyObject *key; /* "generation" */
    long long since;
} pauses;

static void add(long generation, long long took)
{
    if (generation < 0 || generation >= GENERATIONS)
        return;
    struct pause *pause = &pauses.of[generation];
    pause->count++;
    pause->total += took;
    if (took > pause->longest)
        pause->longest = took;
}

/* One collection begins after the other has ended, whatever thread it is. */
static int note(PyObject *phase, PyObject *info)
{
    if (PyUnicode_CompareWithASCIIString(phase, "start") == 0) {
        pauses.since = clock_now();
        return 0;
    }
    PyObject *generation = python_dict_get(info, pauses.key);
    if (!generation)
        return -1;
    add(PyLong_AsLong(generation), clock_now() - pauses.since);
    Py_DECREF(generation);
    return 0;
}

/* User code may call it, too: it gets an exception for what makes no sense. */
static PyObject *note_pause(PyObject *module, PyObject *args)
{
    PyObject *phase, *info;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!", &phase, &PyDict_Type, &info))
        return NULL;
    if (note(phase, info) < 0 && !PyErr_Occurred())
        PyErr_SetObject(PyExc_KeyError, pauses.key);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef method = {"gc_pause", note_pause, METH_VARARGS,
                             "gc.callbacks: counts the time."};

int gc_pause_init(void)
{
    PyObject *callbacks = python_attribute("gc", "callbacks");
    PyObject *callback = PyCFunction_New(&method, NULL);
    pauses.key = PyUnicode_InternFromString("generation");
    const int rc = callbacks && callback && pauses.key
                       ? PyList_Append(callbacks, callback)
                       : -1;
    Py_XDECREF(callbacks);
    Py_XDECREF(callback);
    return rc;
}

void gc_pause_sum(long long *runs, long long *total)
{
    *runs = *total = 0;
    for (int i = 0; i < GENERATIONS; i++) {
        *runs += pauses.of[i].count;
        *total += pauses.of[i].total;
    }
}

static int fill(PyObject *map, const struct pause *pause)
{
    if (map_take(map, "count", PyLong_FromLongLong(pause->count)) < 0 ||
        map_take(map, "total",
                 PyLong_FromLongLong(pause->total / CLOCK_NS_PER_US)) < 0)
        return -1;
    return map_take(map, "longest",
                    PyLong_FromLongLong(pause->longest / CLOCK_NS_PER_US));
}

static PyObject *describe(const struct pause *pause)
{
    PyObject *map = PyDict_New();
    if (map && fill(map, pause) < 0)
        Py_CLEAR(map);
    return map;
}

PyObject *gc_pause_list(void)
{
    PyObject *list = PyList_New(0);
    for (int i = 0; list && i < GENERATIONS; i++) {
        PyObject *map = describe(&pauses.of[i]);
        if (!map || PyList_Append(list, map) < 0)
            Py_CLEAR(list);
        Py_XDECREF(map);
    }
    return list;
}
