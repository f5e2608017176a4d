/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/moment.h"

/* The module that imports others, and what it is called once somebody has
 * imported it. */
#define FROZEN "_frozen_importlib"
#define IMPORTLIB "importlib._bootstrap"

/* How many frames are looked at. */
#define FRAMES_MAX 200

static PyObject *locking; /* a frozenset of names, constant afterwards */

/* Where the main thread was last seen in one of these modules. The frame is
 * owned: another one cannot have its address. */
static struct {
    PyObject *frame;
    long instruction;
    unsigned tick;
} seen;

int moment_init(void)
{
    locking = python_attribute("erlang._locks", "LOCKING");
    return locking ? 0 : -1;
}

void moment_forget(void)
{
    Py_CLEAR(seen.frame);
}

/* The name of the module whose code the frame runs; NULL: it has no name that
 * is a str. May leave an exception. */
static PyObject *module_name(PyObject *frame)
{
    PyObject *globals = PyObject_GetAttrString(frame, "f_globals");
    PyObject *key = PyUnicode_FromString("__name__");
    PyObject *name = globals && key && PyDict_Check(globals)
                         ? python_dict_get(globals, key)
                         : NULL;
    Py_XDECREF(globals);
    Py_XDECREF(key);
    if (name && !PyUnicode_CheckExact(name))
        Py_CLEAR(name);
    return name;
}

/* The part of the name in front of the first dot; all of it if it has no dot.
 */
static PyObject *package(PyObject *name)
{
    const Py_ssize_t n = PyUnicode_GET_LENGTH(name);
    const Py_ssize_t dot = PyUnicode_FindChar(name, '.', 0, n, 1);
    return PyUnicode_Substring(name, 0, dot < 0 ? n : dot);
}

bool moment_takes_locks(PyObject *frame)
{
    PyObject *name = module_name(frame);
    PyObject *root = name ? package(name) : NULL;
    const bool takes = root && (PySet_Contains(locking, name) > 0 ||
                                PySet_Contains(locking, root) > 0);
    Py_XDECREF(name);
    Py_XDECREF(root);
    PyErr_Clear();
    return takes;
}

static bool is_importlib(PyObject *frame)
{
    PyObject *name = module_name(frame);
    const bool is =
        name && (PyUnicode_CompareWithASCIIString(name, FROZEN) == 0 ||
                 PyUnicode_CompareWithASCIIString(name, IMPORTLIB) == 0);
    Py_XDECREF(name);
    PyErr_Clear();
    return is;
}

bool moment_imports(PyObject *frame)
{
    bool found = false;
    Py_INCREF(frame);
    for (int i = 0; frame && frame != Py_None && i < FRAMES_MAX && !found;
         i++) {
        found = is_importlib(frame);
        Py_SETREF(frame, PyObject_GetAttrString(frame, "f_back"));
    }
    Py_XDECREF(frame);
    PyErr_Clear();
    return found;
}

static long instruction_of(PyObject *frame)
{
    PyObject *number = PyObject_GetAttrString(frame, "f_lasti");
    const long instruction = number ? PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    PyErr_Clear();
    return instruction;
}

/* If it is still at the same place, the signal at which it was first seen there
 * counts. */
static bool is_blocked(PyObject *frame, unsigned tick)
{
    const long instruction = instruction_of(frame);
    if (seen.frame == frame && seen.instruction == instruction)
        return seen.tick != tick;
    moment_forget();
    seen.frame = Py_NewRef(frame);
    seen.instruction = instruction;
    seen.tick = tick;
    return false;
}

bool moment_is_good(PyObject *frame, unsigned tick)
{
    if (frame != Py_None && moment_takes_locks(frame) &&
        !is_blocked(frame, tick))
        return false;
    moment_forget();
    return true;
}
