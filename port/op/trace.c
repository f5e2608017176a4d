/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/trace.h"

#include "op/op.h"
#include "census/tally.h"
#include "task/arg.h"
#include "task/map.h"

#define FRAMES_MAX 65535 /* tracemalloc's own limit */
#define TOP_MAX 1000

/* 1, 0, or -1 with an exception. This asks the built-in module, which also
 * knows of tracing that the environment has switched on, and costs nothing to
 * import. */
static int tracing(void)
{
    PyObject *answer = python_call("_tracemalloc", "is_tracing", "()");
    int on = answer ? PyObject_IsTrue(answer) : -1;
    Py_XDECREF(answer);
    return on;
}

int trace_describe(PyObject *map)
{
    int on = tracing();
    if (on <= 0)
        return on;
    PyObject *both = python_call("_tracemalloc", "get_traced_memory", "()");
    if (!both)
        return -1;
    int rc =
        map_take(map, "traced_memory_current", PySequence_GetItem(both, 0));
    if (rc == 0)
        rc = map_take(map, "traced_memory_peak", PySequence_GetItem(both, 1));
    Py_DECREF(both);
    return rc;
}

PyObject *op_tracemalloc_start(struct task *task)
{
    long frames = 1;
    if (task->req->op_arity == 1)
        frames = arg_integer(task, "nframe", 1, FRAMES_MAX);
    if (frames < 0)
        return NULL;
    return python_call("erlang._memory", "trace", "(l)", frames);
}

PyObject *op_tracemalloc_stop(struct task *task)
{
    (void)task;
    return python_call("_tracemalloc", "stop", "()");
}

/* ---- where all of it was allocated ------------------------------------- */

struct found {
    PyObject **items; /* not in the collector's sight */
    size_t count, room;
};

static int find_function(PyObject *obj, void *arg)
{
    struct found *found = arg;
    if (!PyFunction_Check(obj))
        return 1;
    if (found->count == found->room) {
        const size_t room = 2 * found->room + 1024;
        PyObject **items = PyMem_RawRealloc(found->items, room * sizeof *items);
        if (!items)
            return 0;
        found->items = items;
        found->room = room;
    }
    found->items[found->count++] = Py_NewRef(obj);
    return 1;
}

/* All functions, because they know their lines: memory is traced by lines. */
static PyObject *functions(void)
{
    struct found found = {NULL, 0, 0};
    PyObject *list = NULL;
    if (python_visit_objects(find_function, &found) == 0)
        list = PyList_New((Py_ssize_t)found.count);
    for (size_t i = 0; i < found.count; i++)
        if (list)
            PyList_SET_ITEM(list, (Py_ssize_t)i, found.items[i]);
        else
            Py_DECREF(found.items[i]);
    PyMem_RawFree(found.items);
    return list;
}

/* A trace is (domain, bytes, traceback, ...). Equal tracebacks are one object.
 */
static int add_trace(struct tally *tally, PyObject *trace)
{
    const long long bytes = PyLong_AsLongLong(PyTuple_GET_ITEM(trace, 1));
    return tally_add(tally, PyTuple_GET_ITEM(trace, 2), (double)bytes, 1);
}

/* [(Traceback, Bytes, Count)]. In C, because whatever Python code made here
 * would be traced, too. */
static PyObject *tracebacks(void)
{
    struct tally tally = TALLY_EMPTY;
    PyObject *traces = python_call("_tracemalloc", "_get_traces", "()");
    PyObject *list = NULL;
    int rc = traces ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PyList_GET_SIZE(traces); i++)
        rc = add_trace(&tally, PyList_GET_ITEM(traces, i));
    Py_XDECREF(traces);
    if (rc == 0)
        list = tally_list(&tally);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    tally_free(&tally);
    return list;
}

/* The lines of source whose allocations are the largest. The module
 * `tracemalloc` would be found itself: it is large. */
PyObject *op_tracemalloc_top(struct task *task)
{
    PyObject *top = NULL, *sums = NULL, *lines = NULL;
    const long n = arg_integer(task, "n", 1, TOP_MAX);
    const int on = n < 0 ? -1 : tracing();
    if (on == 0)
        PyErr_SetString(PyExc_RuntimeError,
                        "nothing is traced: tracemalloc_start comes first");
    if (on > 0 && (top = python_attribute("erlang._memory", "top")) &&
        (sums = tracebacks()))
        lines = PyObject_CallFunction(top, "Ol", sums, n);
    Py_XDECREF(top);
    Py_XDECREF(sums);
    return lines;
}

/* None: tracing is off. The module is imported first, so that its own memory is
 * in the first look as in all others. */
PyObject *op_traced(struct task *task)
{
    PyObject *make = NULL, *sums = NULL, *all = NULL, *sites = NULL;
    const int on = tracing();
    (void)task;
    if (on <= 0)
        return on < 0 ? NULL : Py_NewRef(Py_None);
    if ((make = python_attribute("erlang._sites", "sites")) &&
        (sums = tracebacks()) && (all = functions()))
        sites = PyObject_CallFunctionObjArgs(make, sums, all, NULL);
    Py_XDECREF(make);
    Py_XDECREF(sums);
    Py_XDECREF(all);
    return sites;
}
