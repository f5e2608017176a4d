/* SPDX-License-Identifier: Apache-2.0
 *
 * How the garbage collector works: when, and on which objects.
 */
#include "config.h"

#include <limits.h>

#include "op/op.h"
#include "task/arg.h"
#include "value/python.h"

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
