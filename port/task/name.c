/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/name.h"

/* The module if it is imported already, else NULL (with an exception only
 * when the look-up itself failed). */
static PyObject *imported(PyObject *name)
{
    return PyImport_GetModule(name);
}

static PyObject *split(PyObject *path)
{
    PyObject *dot = PyUnicode_FromString(".");
    PyObject *parts = dot ? PyUnicode_Split(path, dot, -1) : NULL;
    Py_XDECREF(dot);
    return parts;
}

/* One step of a module path: `full` names a module that is imported, or
 * `part` an attribute of the parent, or `full` a submodule yet to import. */
static PyObject *step(PyObject *parent, PyObject *part, PyObject *full)
{
    PyObject *next = imported(full);
    if (next || PyErr_Occurred())
        return next;
    bool package = PyObject_HasAttrString(parent, "__path__");
    next = PyObject_GetAttr(parent, part);
    if (next || !package || !PyErr_ExceptionMatches(PyExc_AttributeError))
        return next;
    PyErr_Clear();
    return PyImport_Import(full);
}

static PyObject *walk(PyObject *parts)
{
    PyObject *full = python_list_get(parts, 0);
    PyObject *object = full ? PyImport_Import(full) : NULL;

    for (Py_ssize_t i = 1; object && i < PyList_Size(parts); i++) {
        PyObject *part = python_list_get(parts, i);
        PyObject *longer = NULL, *next = NULL;
        if (part && (longer = PyUnicode_FromFormat("%U.%U", full, part)))
            next = step(object, part, longer);
        Py_DECREF(full);
        full = longer;
        Py_DECREF(object);
        object = next;
        Py_XDECREF(part);
        if (!full)
            break;
    }
    Py_XDECREF(full);
    return object;
}

PyObject *name_module(PyObject *module)
{
    PyObject *object = imported(module);
    if (object || PyErr_Occurred())
        return object;
    PyObject *parts = split(module);
    if (!parts)
        return NULL;
    object = walk(parts);
    Py_DECREF(parts);
    return object;
}

PyObject *name_attribute(PyObject *object, PyObject *path)
{
    if (PyUnicode_FindChar(path, '.', 0, PyUnicode_GetLength(path), 1) < 0)
        return PyObject_GetAttr(object, path);
    PyObject *parts = split(path);
    if (!parts)
        return NULL;
    Py_INCREF(object);
    for (Py_ssize_t i = 0; object && i < PyList_Size(parts); i++) {
        PyObject *part = python_list_get(parts, i);
        PyObject *next = part ? PyObject_GetAttr(object, part) : NULL;
        Py_XDECREF(part);
        Py_DECREF(object);
        object = next;
    }
    Py_DECREF(parts);
    return object;
}
