/* SPDX-License-Identifier: Apache-2.0
 *
 * eval: where source code is evaluated and executed. GIL held.
 */
#ifndef PORT_OP_EVAL_H
#define PORT_OP_EVAL_H

#include "value/python.h"

/* The dict of the module __main__ as it is now. A new reference; NULL without
 * an exception: there is no such module. */
PyObject *eval_main(void);

/* The dict of __main__, where the names that exec defines live. A new
 * reference. */
PyObject *eval_names(void);

#endif
