/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "census/sweep.h"

/* Containers that the collector does not know, inside one another. */
#define DEPTH_MAX 50

/* ---- what types say --------------------------------------------------- */

/* What a type has under a name, if that is C code: a new reference, or None.
 * The answers are kept in `known`. */
static PyObject *in_type(PyObject *known, PyTypeObject *type, PyObject *name,
                         PyTypeObject *kind)
{
    PyObject *found = python_dict_get(known, (PyObject *)type);
    if (found || PyErr_Occurred())
        return found;
    found = python_type_lookup(type, name);
    if (found && !Py_IS_TYPE(found, kind))
        Py_CLEAR(found);
    if (!found)
        found = Py_NewRef(Py_None);
    if (PyDict_SetItem(known, (PyObject *)type, found) < 0)
        Py_CLEAR(found);
    return found;
}

/* The method of `object` only says what the type says. */
static bool is_plain(PyObject *sizer)
{
    return sizer == Py_None || PyDescr_TYPE(sizer) == &PyBaseObject_Type;
}

bool sweep_told(struct sweep *sweep, PyObject *obj, size_t *size)
{
    PyObject *told = NULL;
    PyObject *sizer = in_type(sweep->sizers, Py_TYPE(obj), sweep->sizer_name,
                              &PyMethodDescr_Type);
    if (sizer && !is_plain(sizer) && (told = PyObject_CallOneArg(sizer, obj)))
        *size = PyLong_AsSize_t(told);
    Py_XDECREF(sizer);
    Py_XDECREF(told);
    return told && !PyErr_Occurred();
}

bool sweep_is_small_int(PyObject *obj)
{
    int overflow = 0;
    if (!PyLong_CheckExact(obj))
        return false;
    (void)PyLong_AsLongAndOverflow(obj, &overflow);
    return overflow == 0;
}

PyObject *sweep_base(struct sweep *sweep, PyObject *obj)
{
    PyObject *base = NULL;
    PyObject *attribute = in_type(sweep->bases, Py_TYPE(obj), sweep->base_name,
                                  &PyGetSetDescr_Type);
    if (attribute && attribute != Py_None)
        base = Py_TYPE(attribute)->tp_descr_get(attribute, obj,
                                                (PyObject *)Py_TYPE(obj));
    if (base == Py_None)
        Py_CLEAR(base);
    Py_XDECREF(attribute);
    return base;
}

/* ---- what an object refers to ------------------------------------------ */

static int visit(PyObject *obj, void *arg);

/* False: stop. */
static bool weigh(struct sweep *sweep, PyObject *obj)
{
    if (!sweep->over && !sweep->weigh(sweep, obj))
        sweep->over = true;
    return !sweep->over;
}

static void visit_inside(struct sweep *sweep, PyObject *obj)
{
    if (sweep->depth >= DEPTH_MAX || !Py_TYPE(obj)->tp_traverse)
        return;
    sweep->depth++;
    Py_TYPE(obj)->tp_traverse(obj, visit, sweep);
    sweep->depth--;
}

static void visit_base(struct sweep *sweep, PyObject *obj)
{
    PyObject *base = sweep_base(sweep, obj);
    if (base) {
        Py_ssize_t references = Py_REFCNT(base) - 1; /* not this one */
        sweep->share *= 1.0 / (double)(references > 0 ? references : 1);
        if (!PyObject_IS_GC(base))
            weigh(sweep, base);
        Py_DECREF(base);
    }
    if (PyErr_Occurred())
        sweep->over = true;
}

/* A reference to something. What the collector knows has its own turn. */
static int visit(PyObject *obj, void *arg)
{
    struct sweep *sweep = arg;
    const double share = sweep->share;
    const bool is_container = PyObject_IS_GC(obj);
    if (is_container && PyObject_GC_IsTracked(obj))
        return 0;
    sweep->share = share / (double)Py_REFCNT(obj);
    if (weigh(sweep, obj)) {
        if (is_container)
            visit_inside(sweep, obj);
        else
            visit_base(sweep, obj);
    }
    sweep->share = share;
    return sweep->over;
}

/* ---- all of them ------------------------------------------------------- */

/* A container that the collector knows. */
static int weigh_whole(PyObject *obj, void *arg)
{
    struct sweep *sweep = arg;
    sweep->share = 1.0;
    if (weigh(sweep, obj))
        visit_inside(sweep, obj);
    return !sweep->over;
}

int sweep_begin(struct sweep *sweep)
{
    sweep->sizers = PyDict_New();
    sweep->bases = PyDict_New();
    sweep->sizer_name = PyUnicode_InternFromString("__sizeof__");
    sweep->base_name = PyUnicode_InternFromString("base");
    return sweep->sizers && sweep->bases && sweep->sizer_name &&
                   sweep->base_name
               ? 0
               : -1;
}

void sweep_end(struct sweep *sweep)
{
    Py_CLEAR(sweep->sizers);
    Py_CLEAR(sweep->bases);
    Py_CLEAR(sweep->sizer_name);
    Py_CLEAR(sweep->base_name);
}

int sweep_all(struct sweep *sweep)
{
    if (python_visit_objects(weigh_whole, sweep) < 0)
        return -1;
    return PyErr_Occurred() ? -1 : 0;
}
