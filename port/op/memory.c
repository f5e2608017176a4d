/* SPDX-License-Identifier: Apache-2.0
 *
 * The garbage collector's numbers, and the collector itself.
 */
#include "config.h"

#include "op/arg.h"
#include "op/map.h"
#include "op/op.h"
#include "op/reply.h"
#include "op/trace.h"
#include "value/python.h"

#define GENERATION_MAX 2

static PyObject *gc_call(const char *method)
{
    PyObject *gc = python_module("gc");
    PyObject *value = gc ? PyObject_CallMethod(gc, method, NULL) : NULL;
    Py_XDECREF(gc);
    return value;
}

static int describe(PyObject *map)
{
    if (map_take(map, "gc_stats", gc_call("get_stats")) < 0 ||
        map_take(map, "gc_count", gc_call("get_count")) < 0 ||
        map_take(map, "gc_threshold", gc_call("get_threshold")) < 0)
        return -1;
    return trace_describe(map);
}

enum op_end op_memory_stats(struct op_call *call)
{
    return reply_value_take(call, map_make(describe), "memory_stats");
}

enum op_end op_gc(struct op_call *call)
{
    long generation = GENERATION_MAX;
    if (call->req->op_arity == 1)
        generation = arg_integer(call, "generation", 0, GENERATION_MAX);
    if (generation < 0)
        return OP_FAILED;
    PyObject *gc = python_module("gc");
    PyObject *found = NULL;
    if (gc)
        found = PyObject_CallMethod(gc, "collect", "l", generation);
    Py_XDECREF(gc);
    return reply_value_take(call, found, "gc");
}
