/* SPDX-License-Identifier: Apache-2.0
 *
 * What the samples of the heap say: their stacks, and how many bytes each
 * stands for. A block that becomes a sample with a probability of p stands for
 * 1/p blocks like it; this adds (1 - p) / p² times the square of its size to
 * the variance of the sum.
 */
#include "config.h"

#include "op/op.h"

#include <stdlib.h>

#include "memory/heap_account.h"
#include "memory/heap_arena.h"
#include "memory/heap_names.h"
#include "memory/heap_pace.h"
#include "memory/heap_profile.h"
#include "memory/heap_samples.h"
#include "memory/heap_sites.h"
#include "task/arg.h"
#include "task/map.h"

/* ---- frames ----------------------------------------------------------- */

static PyObject *text(const char *chars, size_t n)
{
    return n ? PyUnicode_DecodeUTF8(chars, (Py_ssize_t)n, "replace")
             : PyUnicode_FromString("<unknown>");
}

static PyObject *describe_frame(uint32_t number)
{
    const struct heap_name name = heap_names_get(number);
    PyObject *map = PyDict_New();
    if (map && (map_take(map, "file", text(name.file, name.file_size)) < 0 ||
                map_take(map, "line", PyLong_FromLong(name.line)) < 0 ||
                map_take(map, "function", text(name.name, name.name_size)) < 0))
        Py_CLEAR(map);
    return map;
}

/* Its index in the list, to which it is added if necessary. `places` are one
 * more than that; 0: it is not there. */
static PyObject *place_of(uint32_t number, uint32_t *places, PyObject *list)
{
    if (!places[number]) {
        PyObject *map = describe_frame(number);
        const int rc = map ? PyList_Append(list, map) : -1;
        Py_XDECREF(map);
        if (rc < 0)
            return NULL;
        places[number] = (uint32_t)PyList_GET_SIZE(list);
    }
    return PyLong_FromUnsignedLong(places[number] - 1);
}

/* What C code allocated without being called from Python code has one unknown
 * frame. */
static PyObject *stack_of(const struct heap_site *site, uint32_t *places,
                          PyObject *list)
{
    const uint32_t depth = site->depth ? site->depth : 1;
    PyObject *stack = PyList_New(depth);
    for (uint32_t i = 0; stack && i < depth; i++) {
        const uint32_t number =
            site->depth ? site->frames[i] : HEAP_NAMES_UNKNOWN;
        PyObject *place = place_of(number, places, list);
        if (place)
            PyList_SET_ITEM(stack, i, place);
        else
            Py_CLEAR(stack);
    }
    return stack;
}

/* ---- the reply -------------------------------------------------------- */

static int add_site(PyObject *list, const struct heap_site *site,
                    uint32_t *places, PyObject *frames)
{
    PyObject *stack = stack_of(site, places, frames);
    PyObject *row = stack ? Py_BuildValue("(Nddd)", stack, site->bytes,
                                          site->variance, site->count)
                          : NULL;
    const int rc = row ? PyList_Append(list, row) : -1;
    Py_XDECREF(row);
    return rc;
}

static int put_sites(PyObject *map, const struct heap_sites *sites)
{
    uint32_t *places = calloc(HEAP_NAMES_MOST, sizeof *places);
    PyObject *frames = PyList_New(0), *list = PyList_New(0);
    int rc = places && frames && list ? 0 : -1;
    if (!places)
        PyErr_NoMemory();
    for (size_t i = 0; rc == 0 && i < sites->n; i++)
        rc = add_site(list, &sites->all[i], places, frames);
    if (rc == 0)
        rc = map_take(map, "frames", Py_NewRef(frames));
    if (rc == 0)
        rc = map_take(map, "sites", Py_NewRef(list));
    Py_XDECREF(frames);
    Py_XDECREF(list);
    free(places);
    return rc;
}

/* What Python has from malloc, besides small blocks. */
static size_t in_raw(size_t in_range)
{
    struct heap_numbers heap;
    heap_account_read(&heap);
    const size_t arenas = heap_arena_count() * HEAP_ARENA_SIZE;
    const size_t elsewhere = arenas - heap_arena_unused() + in_range;
    return heap.current > elsewhere ? heap.current - elsewhere : 0;
}

static int put_numbers(PyObject *map)
{
    struct heap_samples_numbers numbers;
    heap_samples_read(&numbers);
    const size_t raw = in_raw(numbers.bytes);
    if (map_take(map, "rate", PyLong_FromDouble(heap_pace_rate())) < 0 ||
        map_take(map, "samples", PyLong_FromSize_t(numbers.live)) < 0 ||
        map_take(map, "thinned", PyLong_FromUnsignedLongLong(numbers.thinned)) <
            0 ||
        map_take(map, "missed", PyLong_FromDouble(numbers.missed)) < 0 ||
        map_take(map, "unnamed", PyLong_FromSize_t(heap_names_missing())) < 0 ||
        map_take(map, "on", PyBool_FromLong(heap_profile_is_on())) < 0)
        return -1;
    return map_take(map, "raw", PyLong_FromSize_t(raw));
}

static PyObject *describe(uint64_t after)
{
    struct heap_sites sites;
    if (heap_sites_read(after, &sites) < 0)
        return PyErr_NoMemory();
    PyObject *map = PyDict_New();
    if (map && (put_numbers(map) < 0 || put_sites(map, &sites) < 0))
        Py_CLEAR(map);
    free(sites.all);
    return map;
}

/* None: there is no profile. What the reply itself takes is not part of it. */
PyObject *op_heap_profile(struct task *task)
{
    PyObject *since = arg_boolean(task, "since");
    PyObject *map = NULL;
    if (!since)
        return NULL;
    if (heap_profile_is_in()) {
        heap_profile_exempt_thread(true);
        map = describe(since == Py_True ? heap_profile_mark() : 0);
        heap_profile_exempt_thread(false);
    } else
        map = Py_NewRef(Py_None);
    Py_DECREF(since);
    return map;
}

/* ---- settings --------------------------------------------------------- */

static PyObject *is_in(void)
{
    return heap_profile_is_in() ? Py_NewRef(Py_True) : Py_NewRef(Py_None);
}

PyObject *op_profile_mark(struct task *task)
{
    (void)task;
    heap_profile_set_mark();
    return is_in();
}

PyObject *op_profile_switch(struct task *task)
{
    PyObject *on = arg_boolean(task, "on");
    if (!on)
        return NULL;
    heap_profile_switch(on == Py_True);
    Py_DECREF(on);
    return is_in();
}
