/* SPDX-License-Identifier: Apache-2.0
 *
 * trace: memory tracing (tracemalloc). GIL held.
 */
#ifndef PORT_OP_TRACE_H
#define PORT_OP_TRACE_H

#include "value/python.h"

/* Adds the traced bytes to the map while tracing is on. 0, or -1 with an
 * exception. */
int trace_describe(PyObject *map);

#endif
