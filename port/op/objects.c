/* SPDX-License-Identifier: Apache-2.0
 *
 * How many bytes Python's large objects take. Small ones are in arenas, whose
 * size is known; large ones come from malloc, and nothing there tells them
 * from what C libraries have.
 *
 * The garbage collector knows all containers, and each of them knows what it
 * refers to. An object that the collector does not know, such as bytes, counts
 * for each reference by its share: 1 divided by its references. So nothing has
 * to be remembered of millions of objects, and references from elsewhere only
 * make the sum a little smaller.
 */
#include "config.h"

#include "op/objects.h"

#include "op/op.h"
#include "memory/heap_arena.h"
#include "memory/heap_hook.h"
#include "task/map.h"
#include "value/python.h"
#include "wire/clock.h"

/* What goes to malloc, as long as there are arenas. */
#define LARGE 512
/* How long it may run, because Python stands still meanwhile. */
#define LIMIT_MS 40
#define CLOCK_EVERY 1024
/* Containers that the collector does not know, inside one another. */
#define DEPTH_MAX 50

struct census {
    PyObject *sizers;     /* from a type to its C method __sizeof__, or None */
    PyObject *bases;      /* from a type to its attribute `base`, or None */
    PyObject *sizer_name; /* "__sizeof__" */
    PyObject *base_name;  /* "base" */
    double share;         /* of what is visited now */
    int depth;
    size_t least;
    double large;
    size_t seen; /* objects, and references to those without a turn */
    long long until;
    bool cut;
    bool hidden; /* some objects were not to be seen, or need not be */
    bool failed; /* with an exception */
};

/* ---- one object ------------------------------------------------------- */

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

/* As sys.getsizeof says it, if that is written in C. */
static size_t told_size(struct census *c, PyObject *obj)
{
    size_t size = 0;
    PyObject *sizer =
        in_type(c->sizers, Py_TYPE(obj), c->sizer_name, &PyMethodDescr_Type);
    if (sizer && sizer != Py_None) {
        PyObject *told = PyObject_CallOneArg(sizer, obj);
        size = told ? PyLong_AsSize_t(told) : 0;
        Py_XDECREF(told);
    }
    Py_XDECREF(sizer);
    if (PyErr_Occurred())
        c->failed = true;
    return size;
}

/* Whether it is a number that fits into a register, as nearly all do. */
static bool is_small_int(PyObject *obj)
{
    int overflow = 0;
    if (!PyLong_CheckExact(obj))
        return false;
    (void)PyLong_AsLongAndOverflow(obj, &overflow);
    return overflow == 0;
}

/* The usual ones are quick. */
static size_t size_of(struct census *c, PyObject *obj)
{
    if (PyUnicode_CheckExact(obj))
        return sizeof(PyASCIIObject) +
               (size_t)PyUnicode_GET_LENGTH(obj) * PyUnicode_KIND(obj);
    if (PyBytes_CheckExact(obj))
        return sizeof(PyBytesObject) + (size_t)PyBytes_GET_SIZE(obj);
    if (PyTuple_CheckExact(obj))
        return sizeof(PyTupleObject) +
               (size_t)PyTuple_GET_SIZE(obj) * sizeof(PyObject *);
    if (PyList_CheckExact(obj))
        return (size_t)((PyListObject *)obj)->allocated * sizeof(PyObject *);
    if (is_small_int(obj) || PyFloat_CheckExact(obj) || obj == Py_None ||
        PyFunction_Check(obj))
        return 0;
    return told_size(c, obj);
}

static void weigh(struct census *c, PyObject *obj)
{
    const size_t size = size_of(c, obj);
    if (size > c->least)
        c->large += (double)size * c->share;
}

/* False: enough. */
static bool go_on(struct census *c)
{
    if (++c->seen % CLOCK_EVERY == 0 && clock_thread() > c->until)
        c->cut = true;
    return !c->cut && !c->failed;
}

/* ---- what it refers to ------------------------------------------------ */

static int visit(PyObject *obj, void *census);

static void visit_inside(struct census *c, PyObject *obj)
{
    if (c->depth >= DEPTH_MAX || !Py_TYPE(obj)->tp_traverse)
        return;
    c->depth++;
    Py_TYPE(obj)->tp_traverse(obj, visit, c);
    c->depth--;
}

/* An array that shows a part of another one keeps that alive, and the collector
 * knows neither. */
static void visit_base(struct census *c, PyObject *obj)
{
    PyObject *base = NULL;
    PyObject *attribute =
        in_type(c->bases, Py_TYPE(obj), c->base_name, &PyGetSetDescr_Type);
    if (attribute && attribute != Py_None)
        base = Py_TYPE(attribute)->tp_descr_get(attribute, obj,
                                                (PyObject *)Py_TYPE(obj));
    if (base && base != Py_None) {
        Py_ssize_t references = Py_REFCNT(base) - 1; /* not this one */
        c->share *= 1.0 / (double)(references > 0 ? references : 1);
        if (!PyObject_IS_GC(base))
            weigh(c, base);
    }
    if (PyErr_Occurred())
        c->failed = true;
    Py_XDECREF(base);
    Py_XDECREF(attribute);
}

/* A reference to something. What the collector knows has its own turn. */
static int visit(PyObject *obj, void *census)
{
    struct census *c = census;
    const double share = c->share;
    const bool is_container = PyObject_IS_GC(obj);
    if (is_container && PyObject_GC_IsTracked(obj))
        return 0;
    c->share = share / (double)Py_REFCNT(obj);
    weigh(c, obj);
    if (is_container)
        visit_inside(c, obj);
    else if (!c->failed)
        visit_base(c, obj);
    c->share = share;
    return !go_on(c);
}

/* A container that the collector knows. */
static int count_in(PyObject *obj, void *census)
{
    struct census *c = census;
    c->share = 1.0;
    weigh(c, obj);
    if (!c->failed)
        visit_inside(c, obj);
    return go_on(c);
}

/* ---- all of them ------------------------------------------------------ */

/* How many objects were hidden when Python had started. */
static long hidden_by_python;

/* How many are hidden now, or -1 with an exception. */
static long count_hidden(void)
{
    PyObject *frozen = python_call("gc", "get_freeze_count", "()");
    const long n = frozen ? PyLong_AsLong(frozen) : -1;
    Py_XDECREF(frozen);
    return n;
}

int objects_init(void)
{
    hidden_by_python = count_hidden();
    return hidden_by_python < 0 ? -1 : 0;
}

static int begin(struct census *c)
{
    c->least = heap_arena_count() > 0 ? LARGE : 0;
    c->until = clock_thread() + LIMIT_MS * CLOCK_NS_PER_MS;
    c->sizers = PyDict_New();
    c->bases = PyDict_New();
    c->sizer_name = PyUnicode_InternFromString("__sizeof__");
    c->base_name = PyUnicode_InternFromString("base");
    return c->sizers && c->bases && c->sizer_name && c->base_name ? 0 : -1;
}

static void end(struct census *c)
{
    Py_XDECREF(c->sizers);
    Py_XDECREF(c->bases);
    Py_XDECREF(c->sizer_name);
    Py_XDECREF(c->base_name);
}

/* An account knows better, and would count what this takes. */
static int take_census(struct census *c)
{
    const long hidden = count_hidden();
    c->hidden = hidden > hidden_by_python || heap_hook_counts();
    if (begin(c) == 0 && hidden >= 0 && !c->hidden)
        python_visit_objects(count_in, c);
    end(c);
    return PyErr_Occurred() ? -1 : 0;
}

/* What was not seen is taken to be like what was: a block of memory, at least,
 * for each object. */
static double estimate(const struct census *c, PyObject *blocks)
{
    const double all = PyLong_AsDouble(blocks);
    return all > (double)c->seen ? c->large * (all / (double)c->seen)
                                 : c->large;
}

static int describe_large(PyObject *map, PyObject *blocks)
{
    struct census c = {.share = 1.0};
    if (take_census(&c) < 0)
        return -1;
    if (c.hidden)
        return 0;
    const double large = c.cut ? estimate(&c, blocks) : c.large;
    if (map_take(map, "large", PyLong_FromDouble(large)) < 0)
        return -1;
    return map_take(map, "whole", PyBool_FromLong(!c.cut));
}

static int describe(PyObject *map)
{
    PyObject *blocks = python_call("sys", "getallocatedblocks", "()");
    int rc = blocks ? describe_large(map, blocks) : -1;
    if (rc == 0)
        rc = map_take(map, "blocks", Py_NewRef(blocks));
    Py_XDECREF(blocks);
    return rc;
}

PyObject *op_memory_objects(struct task *task)
{
    (void)task;
    return map_make(describe);
}
