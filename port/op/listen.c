/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether lines of logs become events, or go where they went before.
 */
#include "config.h"

#include "op/op.h"
#include "talk/event.h"
#include "task/arg.h"
#include "value/python.h"
#include "wire/protocol.h"

PyObject *op_listen(struct task *task)
{
    PyObject *on = arg_boolean(task, "on");
    long window = on ? arg_integer(task, "window", 0, COUNT_MAX) : -1;
    PyObject *none = NULL;
    if (window >= 0)
        none = python_call("erlang._log", "listen", "(O)", on);
    Py_XDECREF(on);
    if (none)
        event_set_window(window);
    return none;
}
