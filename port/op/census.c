/* SPDX-License-Identifier: Apache-2.0
 *
 * How many objects of each type there are, and how many bytes they take: of all
 * objects, and of those that the collector has found and cannot free. And what
 * keeps objects of a type.
 */
#include "config.h"

#include "op/op.h"
#include "task/arg.h"
#include "census/search.h"
#include "census/sweep.h"
#include "census/tally.h"

/* What the collector keeps before an object. */
#define GC_HEADER (2 * sizeof(void *))

struct census {
    struct sweep sweep;
    struct tally types;
};

/* ---- one object ------------------------------------------------------- */

/* What is before it in memory, as sys.getsizeof counts it. */
static size_t headers(PyObject *obj)
{
    size_t size = PyObject_IS_GC(obj) ? GC_HEADER : 0;
#ifdef Py_TPFLAGS_MANAGED_DICT
    if (PyType_HasFeature(Py_TYPE(obj), Py_TPFLAGS_MANAGED_DICT))
        size += 2 * sizeof(void *);
#endif
    return size;
}

/* What its type says. */
static size_t plain_size(PyObject *obj)
{
    const PyTypeObject *type = Py_TYPE(obj);
    size_t size = (size_t)type->tp_basicsize;
    if (type->tp_itemsize > 0) {
        const Py_ssize_t items = Py_SIZE(obj);
        size +=
            (size_t)(items < 0 ? -items : items) * (size_t)type->tp_itemsize;
    }
    return size;
}

static size_t text_size(PyObject *obj)
{
    const size_t header = PyUnicode_IS_COMPACT_ASCII(obj)
                              ? sizeof(PyASCIIObject)
                              : sizeof(PyCompactUnicodeObject);
    return header + ((size_t)PyUnicode_GET_LENGTH(obj) + 1) *
                        (size_t)PyUnicode_KIND(obj);
}

/* The usual ones are quick. */
static size_t size_of(struct census *c, PyObject *obj)
{
    size_t size = 0;
    if (PyUnicode_CheckExact(obj))
        return text_size(obj);
    if (sweep_is_small_int(obj))
        return (size_t)(PyLong_Type.tp_basicsize + PyLong_Type.tp_itemsize);
    if (PyList_CheckExact(obj))
        return (size_t)PyList_Type.tp_basicsize +
               (size_t)((PyListObject *)obj)->allocated * sizeof(PyObject *);
    if (PyTuple_CheckExact(obj) || PyFloat_CheckExact(obj) ||
        PyBytes_CheckExact(obj) || PyFunction_Check(obj))
        return plain_size(obj);
    return sweep_told(&c->sweep, obj, &size) ? size : plain_size(obj);
}

/* An object that cannot say all of its size counts with the size with which its
 * type's objects begin: no object is left out because of that. */
static bool add(struct sweep *sweep, PyObject *obj)
{
    struct census *c = (struct census *)sweep;
    const double size = (double)(size_of(c, obj) + headers(obj));
    PyErr_Clear();
    if (tally_add(&c->types, (PyObject *)Py_TYPE(obj), size * sweep->share,
                  sweep->share) == 0)
        return true;
    PyErr_NoMemory();
    return false;
}

/* ---- all of them ------------------------------------------------------ */

static int add_all(struct census *c)
{
    return sweep_all(&c->sweep);
}

/* What gc.garbage holds. */
static int add_garbage(struct census *c)
{
    PyObject *garbage = python_attribute("gc", "garbage");
    const bool is_list = garbage && PyList_Check(garbage);
    int rc = garbage ? 0 : -1;
    c->sweep.share = 1.0;
    for (Py_ssize_t i = 0; is_list && rc == 0 && i < PyList_GET_SIZE(garbage);
         i++)
        rc = add(&c->sweep, PyList_GET_ITEM(garbage, i)) ? 0 : -1;
    Py_XDECREF(garbage);
    return rc;
}

/* What a function of erlang._census makes of [(Type, Bytes, Count)]. */
static PyObject *described(const char *function, int (*fill)(struct census *))
{
    struct census c = {.sweep = {.weigh = add}, .types = TALLY_EMPTY};
    PyObject *types = NULL, *described = NULL;
    PyObject *describe = python_attribute("erlang._census", function);
    if (describe && sweep_begin(&c.sweep) == 0 && fill(&c) == 0 &&
        (types = tally_list(&c.types)))
        described = PyObject_CallOneArg(describe, types);
    sweep_end(&c.sweep);
    tally_free(&c.types);
    Py_XDECREF(types);
    Py_XDECREF(describe);
    return described;
}

PyObject *op_census(struct task *task)
{
    (void)task;
    return described("by_type", add_all);
}

PyObject *op_growth(struct task *task)
{
    (void)task;
    return described("growth", add_all);
}

PyObject *op_uncollectable(struct task *task)
{
    (void)task;
    return described("by_type", add_garbage);
}

/* ---- who keeps them ---------------------------------------------------- */

#define SAMPLE_MAX 100

struct wanted {
    struct numbering classes, objects, roots, ignored;
    PyObject *labels; /* of the roots */
};

/* The lists are gone when the search begins, or it would find them. */
static int find_classes(struct wanted *w, PyObject *name)
{
    PyObject *list = python_call("erlang._holders", "classes", "(O)", name);
    int rc = list ? numbering_add_list(&w->classes, list) : -1;
    Py_XDECREF(list);
    return rc;
}

static int find_roots(struct wanted *w)
{
    PyObject *held = NULL, *ignored = NULL;
    PyObject *found = python_call("erlang._holders", "roots", "()");
    int rc = -1;
    if (found && PyArg_ParseTuple(found, "O!O!O", &PyList_Type, &held,
                                  &PyList_Type, &ignored, &w->labels)) {
        Py_INCREF(w->labels);
        rc = numbering_add_list(&w->roots, held);
        if (rc == 0)
            rc = numbering_add_list(&w->ignored, ignored);
    }
    Py_XDECREF(found);
    return rc;
}

static PyObject *search(struct wanted *w, size_t n)
{
    if (w->classes.count == 0)
        return Py_NewRef(Py_None);
    if (search_sample(&w->objects, &w->classes, n) < 0 || find_roots(w) < 0)
        return NULL;
    PyObject *chains = search_run(&w->objects, &w->roots, &w->ignored);
    PyObject *described = NULL;
    if (chains)
        described = python_call("erlang._holders", "described", "(OO)", chains,
                                w->labels);
    Py_XDECREF(chains);
    return described;
}

/* None: there is no such type. */
PyObject *op_referrers(struct task *task)
{
    struct wanted w = {NUMBERING_EMPTY, NUMBERING_EMPTY, NUMBERING_EMPTY,
                       NUMBERING_EMPTY, NULL};
    PyObject *name = arg_text(task, "type");
    const long n = name ? arg_integer(task, "sample", 1, SAMPLE_MAX) : -1;
    PyObject *rows = NULL;
    if (n > 0 && find_classes(&w, name) == 0)
        rows = search(&w, (size_t)n);
    Py_XDECREF(w.labels);
    numbering_free(&w.ignored);
    numbering_free(&w.roots);
    numbering_free(&w.objects);
    numbering_free(&w.classes);
    Py_XDECREF(name);
    return rows;
}
