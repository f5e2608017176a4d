/* SPDX-License-Identifier: Apache-2.0
 *
 * What the threads of this process are doing right now.
 */
#include "config.h"

#include "op/op.h"

PyObject *op_stack(struct task *task)
{
    (void)task;
    return python_call("erlang._stack", "stacks", "()");
}
