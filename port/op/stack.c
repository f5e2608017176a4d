/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of this process are doing right now.
 */
#include "config.h"

#include "op/op.h"
#include "op/reply.h"
#include "value/python.h"

enum op_end op_stack(struct op_call *call)
{
    PyObject *helper = python_module("erlang._stack");
    PyObject *stacks = NULL;
    if (helper)
        stacks = PyObject_CallMethod(helper, "stacks", NULL);
    Py_XDECREF(helper);
    return reply_value_take(call, stacks, "stack");
}
