/* SPDX-License-Identifier: Apache-2.0
 *
 * What the reader does about what Python says of its own accord: whether lines
 * of logs become events or go where they went before, how many bytes it takes
 * ahead, and whether it answers messages and calls.
 */
#include "config.h"

#include "op/op.h"
#include "talk/call.h"
#include "talk/message.h"
#include "talk/window.h"
#include "task/arg.h"
#include "value/python.h"
#include "wire/protocol.h"

static PyObject *listen(PyObject *on, long window, bool answers, bool calls)
{
    PyObject *none = python_call("erlang._log", "listen", "(O)", on);
    if (none) {
        window_set(window);
        message_answered(answers);
        call_answered(calls);
    }
    return none;
}

/* An argument that may be left out. */
static PyObject *optional(struct task *task, int place, const char *what)
{
    return task->req->op_arity >= place ? arg_boolean(task, what)
                                        : Py_NewRef(Py_False);
}

PyObject *op_listen(struct task *task)
{
    PyObject *on = arg_boolean(task, "on");
    long window = on ? arg_integer(task, "window", 0, COUNT_MAX) : -1;
    PyObject *answers = window >= 0 ? optional(task, 3, "answers") : NULL;
    PyObject *calls = answers ? optional(task, 4, "calls") : NULL;
    PyObject *none = NULL;
    if (calls)
        none = listen(on, window, answers == Py_True, calls == Py_True);
    Py_XDECREF(calls);
    Py_XDECREF(answers);
    Py_XDECREF(on);
    return none;
}
