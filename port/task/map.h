/* SPDX-License-Identifier: Apache-2.0
 *
 * map: maps with atoms for keys, the results of operations. GIL held.
 */
#ifndef PORT_TASK_MAP_H
#define PORT_TASK_MAP_H

#include "value/python.h"

/* A new dict that `fill` filled, or NULL with the exception of `fill`. */
PyObject *map_make(int (*fill)(PyObject *map));

/* Adds a key. Takes the value; NULL passes an exception on. 0/-1. */
int map_take(PyObject *map, const char *key, PyObject *value);

#endif
