/* SPDX-License-Identifier: Apache-2.0
 *
 * Source code: evaluation of expressions and execution of statements in the
 * worker's __main__. GIL held.
 */
#ifndef PORT_OP_EVAL_H
#define PORT_OP_EVAL_H

#include "op/op.h"
#include "value/python.h"

/* The dict of __main__, where the names that exec defines live. A new
 * reference. */
PyObject *eval_names(void);

/* Decodes Code and Locals of the call and evaluates. A new reference. */
PyObject *eval_expression(struct op_call *call);

#endif
