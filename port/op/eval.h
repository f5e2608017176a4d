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

#endif
