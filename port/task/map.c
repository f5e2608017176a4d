/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/map.h"

#include <string.h>

#include "value/atoms.h"

PyObject *map_make(int (*fill)(PyObject *map))
{
    PyObject *map = PyDict_New();
    if (map && fill(map) < 0)
        Py_CLEAR(map);
    return map;
}

int map_take(PyObject *map, const char *key, PyObject *value)
{
    PyObject *atom = value ? atoms_get(key, strlen(key)) : NULL;
    int rc = atom ? PyDict_SetItem(map, atom, value) : -1;
    Py_XDECREF(atom);
    Py_XDECREF(value);
    return rc;
}
