/* SPDX-License-Identifier: Apache-2.0
 *
 * How many bytes Python's large objects take. Small ones are in arenas, whose
 * size is known; large ones come from malloc, where nothing distinguishes them
 * from what C libraries have.
 */
#include "config.h"

#include "op/objects.h"

#include "op/op.h"
#include "census/sweep.h"
#include "memory/heap_arena.h"
#include "memory/heap_hook.h"
#include "task/code.h"
#include "task/map.h"
#include "value/python.h"
#include "wire/clock.h"

/* Larger objects go to malloc, if there are arenas. */
#define LARGE 512
/* How long it may run, because Python stands still meanwhile. */
#define LIMIT_MS 40
#define CLOCK_EVERY 1024
struct census {
    struct sweep sweep;
    size_t least;
    double large;
    size_t seen; /* objects, and references to those the collector ignores */
    long long until;
    bool cut;
    bool hidden; /* some objects could not be seen, or need not be */
};

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
    if (sweep_is_small_int(obj) || PyFloat_CheckExact(obj) || obj == Py_None ||
        PyFunction_Check(obj))
        return 0;
    size_t size = 0;
    return sweep_told(&c->sweep, obj, &size) ? size : 0;
}

/* False: stop. */
static bool go_on(struct census *c)
{
    if (++c->seen % CLOCK_EVERY == 0 && clock_thread() > c->until)
        c->cut = true;
    return !c->cut && !PyErr_Occurred();
}

static bool weigh(struct sweep *sweep, PyObject *obj)
{
    struct census *c = (struct census *)sweep;
    const size_t size = size_of(c, obj);
    if (size > c->least)
        c->large += (double)size * sweep->share;
    return go_on(c);
}

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

static int count_all(struct census *c)
{
    c->least = heap_arena_count() > 0 ? LARGE : 0;
    c->until = clock_thread() + LIMIT_MS * CLOCK_NS_PER_MS;
    int rc = sweep_begin(&c->sweep);
    if (rc == 0)
        rc = sweep_all(&c->sweep);
    sweep_end(&c->sweep);
    return rc;
}

/* If the heap is counted, that number is better, and would include what this
 * takes. */
static int take_census(struct census *c)
{
    const long hidden = count_hidden();
    if (hidden < 0)
        return -1;
    c->hidden = hidden > hidden_by_python || heap_hook_counts();
    return c->hidden ? 0 : count_all(c);
}

/* What was not seen is taken to be like what was: at least one block of memory
 * for each object. */
static double estimate(const struct census *c, PyObject *blocks)
{
    const double all = PyLong_AsDouble(blocks);
    return all > (double)c->seen ? c->large * (all / (double)c->seen)
                                 : c->large;
}

static int describe_large(PyObject *map, PyObject *blocks)
{
    struct census c = {.sweep = {.weigh = weigh}};
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
    if (rc == 0)
        rc = map_take(map, "compiled", code_kept());
    Py_XDECREF(blocks);
    return rc;
}

PyObject *op_memory_objects(struct task *task)
{
    (void)task;
    return map_make(describe);
}
