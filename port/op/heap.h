/* SPDX-License-Identifier: Apache-2.0
 *
 * heap: what Python's own allocators have, as the operations say it. GIL held.
 */
#ifndef PORT_OP_HEAP_H
#define PORT_OP_HEAP_H

#include "value/python.h"

/* Adds `arenas` and, where it is counted, `heap`. 0/-1. */
int heap_describe(PyObject *map);

#endif
