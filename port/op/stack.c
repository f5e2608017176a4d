/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of this process are doing right now.
 */
#include "config.h"

#include "op/op.h"
#include "task/reply.h"
#include "value/python.h"

enum op_end op_stack(struct op_call *call)
{
    return reply_value_take(call, python_call("erlang._stack", "stacks", "()"),
                            "stack");
}
