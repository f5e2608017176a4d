/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reader does about what Python says of its own accord: whether lines
 * of logs become events or go where they went before, how many bytes it takes
 * ahead, and whether it answers messages.
 */
#include "config.h"

#include "op/op.h"
#include "talk/message.h"
#include "talk/window.h"
#include "task/arg.h"
#include "value/python.h"
#include "wire/protocol.h"

static PyObject *listen(PyObject *on, long window, bool answers)
{
    PyObject *none = python_call("erlang._log", "listen", "(O)", on);
    if (none) {
        window_set(window);
        message_answered(answers);
    }
    return none;
}

PyObject *op_listen(struct task *task)
{
    PyObject *on = arg_boolean(task, "on");
    long window = on ? arg_integer(task, "window", 0, COUNT_MAX) : -1;
    PyObject *answers = NULL, *none = NULL;
    if (window >= 0)
        answers = task->req->op_arity == 3 ? arg_boolean(task, "answers")
                                           : Py_NewRef(Py_False);
    if (answers)
        none = listen(on, window, answers == Py_True);
    Py_XDECREF(answers);
    Py_XDECREF(on);
    return none;
}
