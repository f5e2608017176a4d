/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/name.h"

#include <stdint.h>

/* Specs of modules whose import is over, and stays over: a reload makes another
 * spec. Owned, so that nothing else can have their addresses. */
#define OVER 64
static PyObject *over[OVER];

static PyObject **place_of(PyObject *spec)
{
    return &over[(uintptr_t)spec / sizeof *spec % OVER];
}

/* As in Python: a module without such an attribute is not being imported. */
static bool is_over(PyObject *spec)
{
    PyObject *begun = PyObject_GetAttrString(spec, "_initializing");
    const bool is = !begun || begun == Py_False;
    Py_XDECREF(begun);
    PyErr_Clear();
    return is;
}

/* Runs no Python code. NULL: it is not an ordinary module, or has no spec. */
static PyObject *spec_of(PyObject *module)
{
    static PyObject *key;
    if (!PyModule_CheckExact(module) ||
        (!key && !(key = PyUnicode_InternFromString("__spec__"))))
        return NULL;
    return python_dict_get(PyModule_GetDict(module), key);
}

/* The module if it is imported already, else NULL (with an exception only
 * when the look-up itself failed). PyImport_GetModule would wait for a module
 * that another thread is importing, and takes a while to find out if so. */
static PyObject *imported(PyObject *name)
{
    PyObject *module = python_imported(name);
    PyObject *spec = module ? spec_of(module) : NULL;
    if (module && (!spec || *place_of(spec) != spec)) {
        if (spec && is_over(spec))
            Py_XSETREF(*place_of(spec), Py_NewRef(spec));
        Py_SETREF(module,
                  PyErr_Occurred() ? NULL : python_imported_whole(name));
    }
    Py_XDECREF(spec);
    return module;
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

/* A module's own names come first, but for those that its class has descriptors
 * for: they begin with an underscore. */
static PyObject *own_name(PyObject *object, PyObject *name)
{
    if (!PyModule_CheckExact(object) || python_begins_with(name, '_'))
        return NULL;
    return python_dict_get(PyModule_GetDict(object), name);
}

static PyObject *attribute(PyObject *object, PyObject *name)
{
    PyObject *own = own_name(object, name);
    return own || PyErr_Occurred() ? own : PyObject_GetAttr(object, name);
}

PyObject *name_attribute(PyObject *object, PyObject *path)
{
    if (!python_has_char(path, '.'))
        return attribute(object, path);
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
