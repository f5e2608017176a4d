/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/trace.h"

#include "op/op.h"
#include "task/arg.h"
#include "task/map.h"

#define FRAMES_MAX 65535 /* tracemalloc's own limit */
#define TOP_MAX 1000

/* 1, 0, or -1 with an exception. The module that is built in knows of tracing
 * that the environment has switched on, and costs nothing to import. */
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
    return python_call("tracemalloc", "stop", "()");
}

/* The lines of source whose allocations are the largest. */
PyObject *op_tracemalloc_top(struct task *task)
{
    long n = arg_integer(task, "n", 1, TOP_MAX);
    if (n < 0)
        return NULL;
    return python_call("erlang._memory", "top", "(l)", n);
}
