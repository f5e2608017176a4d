/* SPDX-License-Identifier: Apache-2.0
 *
 * dict: a dict that is filled from a map. GIL held.
 */
#ifndef PORT_VALUE_DICT_H
#define PORT_VALUE_DICT_H

#include "value/python.h"

/* Adds one pair. 0, or -1 with an exception: erlang.BadArg, naming the keys,
 * when the key cannot be in a dict or equals one that is there. */
int dict_add(PyObject *dict, PyObject *key, PyObject *value);

#endif
