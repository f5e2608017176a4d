/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/arg.h"

#include <ei.h>

#include "value/decode.h"
#include "value/erltypes.h"
#include "value/text.h"

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

PyObject *arg_list(struct op_call *call, const char *what)
{
    PyObject *list =
        value_decode(call->req->frame, &call->at, &call->opts.value, what);
    if (list && !PyList_CheckExact(list)) {
        Py_DECREF(list);
        PyErr_Format(erltypes_badarg(), "%s: not a list", what);
        return NULL;
    }
    return list;
}

long arg_integer(struct op_call *call, const char *what, long least, long most)
{
    int at = (int)call->at;
    long n = 0;
    if (ei_decode_long(call->req->frame, &at, &n) < 0 || n < least ||
        n > most) {
        PyErr_Format(erltypes_badarg(), "%s: not an integer from %ld to %ld",
                     what, least, most);
        return -1;
    }
    call->at = (size_t)at;
    return n;
}
