/* SPDX-License-Identifier: Apache-2.0
 *
 * The garbage collector: its numbers, running it, and when and on which objects
 * it runs by itself.
 */
#include "config.h"

#include <limits.h>

#include "op/op.h"
#include "op/trace.h"
#include "memory/heap_account.h"
#include "task/arg.h"
#include "task/gc_pause.h"
#include "task/map.h"
#include "value/python.h"
#include "wire/lane.h"

#define GENERATION_MAX 2

static int describe(PyObject *map)
{
    if (map_take(map, "gc_stats", python_call("gc", "get_stats", "()")) < 0 ||
        map_take(map, "gc_count", python_call("gc", "get_count", "()")) < 0 ||
        map_take(map, "gc_threshold",
                 python_call("gc", "get_threshold", "()")) < 0 ||
        map_take(map, "gc_pauses", gc_pause_list()) < 0)
        return -1;
    return trace_describe(map);
}

PyObject *op_memory_stats(struct task *task)
{
    (void)task;
    lane_tidy();
    return map_make(describe);
}

PyObject *op_reset_peak(struct task *task)
{
    (void)task;
    heap_account_reset_peak();
    return python_call("_tracemalloc", "reset_peak", "()");
}

PyObject *op_gc(struct task *task)
{
    long generation = GENERATION_MAX;
    if (task->req->op_arity == 1)
        generation = arg_integer(task, "generation", 0, GENERATION_MAX);
    if (generation < 0)
        return NULL;
    return python_call("gc", "collect", "(l)", generation);
}

PyObject *op_gc_threshold(struct task *task)
{
    long counts[3] = {0, 0, 0};
    if (task->req->op_arity == 0)
        return python_call("gc", "get_threshold", "()");
    for (int i = 0; i < 3; i++)
        if ((counts[i] = arg_integer(task, "threshold", 0, INT_MAX)) < 0)
            return NULL;
    return python_call("gc", "set_threshold", "(lll)", counts[0], counts[1],
                       counts[2]);
}

PyObject *op_gc_enable(struct task *task)
{
    (void)task;
    return python_call("gc", "enable", "()");
}

PyObject *op_gc_disable(struct task *task)
{
    (void)task;
    return python_call("gc", "disable", "()");
}

PyObject *op_gc_freeze(struct task *task)
{
    (void)task;
    return python_call("gc", "freeze", "()");
}
