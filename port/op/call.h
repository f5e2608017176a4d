/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of functions by name. GIL held.
 */
#ifndef PORT_OP_CALL_H
#define PORT_OP_CALL_H

#include "op/op.h"
#include "value/python.h"

/* Decodes Module, Function, Args and Kwargs and calls. A new reference. */
PyObject *call_function(struct op_call *call);

#endif
