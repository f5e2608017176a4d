/* SPDX-License-Identifier: Apache-2.0
 *
 * The garbage collector's numbers, and the collector itself.
 */
#include "config.h"

#include "task/arg.h"
#include "task/map.h"
#include "op/op.h"
#include "task/reply.h"
#include "op/trace.h"
#include "value/python.h"

#define GENERATION_MAX 2

static int describe(PyObject *map)
{
    if (map_take(map, "gc_stats", python_call("gc", "get_stats", "()")) < 0 ||
        map_take(map, "gc_count", python_call("gc", "get_count", "()")) < 0 ||
        map_take(map, "gc_threshold",
                 python_call("gc", "get_threshold", "()")) < 0)
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
    return reply_value_take(
        call, python_call("gc", "collect", "(l)", generation), "gc");
}
