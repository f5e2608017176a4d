/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/arg.h"

#include <ei.h>

#include "value/decode.h"
#include "value/classes.h"

PyObject *arg_text(struct op_call *call, const char *what)
{
    return value_decode_text(call->req->frame, &call->at, &call->opts.value,
                             what);
}

PyObject *arg_names(struct op_call *call, const char *what)
{
    return value_decode_names(call->req->frame, &call->at, &call->opts.value,
                              what);
}

/* The argument, if it is of that type. */
static PyObject *arg_typed(struct op_call *call, const char *what,
                           PyTypeObject *type, const char *name)
{
    PyObject *value =
        value_decode(call->req->frame, &call->at, &call->opts.value, what);
    if (value && !Py_IS_TYPE(value, type)) {
        Py_DECREF(value);
        PyErr_Format(classes_badarg(), "%s: not a %s", what, name);
        return NULL;
    }
    return value;
}

PyObject *arg_list(struct op_call *call, const char *what)
{
    return arg_typed(call, what, &PyList_Type, "list");
}

PyObject *arg_boolean(struct op_call *call, const char *what)
{
    return arg_typed(call, what, &PyBool_Type, "boolean");
}

long arg_integer(struct op_call *call, const char *what, long least, long most)
{
    int at = (int)call->at;
    long n = 0;
    if (ei_decode_long(call->req->frame, &at, &n) < 0 || n < least ||
        n > most) {
        PyErr_Format(classes_badarg(), "%s: not an integer from %ld to %ld",
                     what, least, most);
        return -1;
    }
    call->at = (size_t)at;
    return n;
}
