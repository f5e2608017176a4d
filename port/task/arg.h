/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments: each function decodes the next one of a call and moves on.
 * All return a new reference, or NULL with an exception. GIL held.
 */
#ifndef PORT_TASK_ARG_H
#define PORT_TASK_ARG_H

#include "op/op.h"
#include "value/python.h"

/* A name or a piece of code (atom, binary or chardata) as an exact str. */
PyObject *arg_text(struct op_call *call, const char *what);

/* A map with names for keys as a dict with exact str keys. */
PyObject *arg_names(struct op_call *call, const char *what);

/* A list of values, as a list. */
PyObject *arg_list(struct op_call *call, const char *what);

/* true or false as a bool. */
PyObject *arg_boolean(struct op_call *call, const char *what);

/* An integer between least and most; -1 with an exception, so least >= 0. */
long arg_integer(struct op_call *call, const char *what, long least, long most);

#endif
