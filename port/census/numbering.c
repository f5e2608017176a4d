/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "census/numbering.h"

#include <stdint.h>

#define LEAST_SIZE 64

/* The slot of the object, or the empty one where it belongs. */
static size_t *slot(const struct numbering *numbering, const PyObject *obj)
{
    const size_t mask = numbering->size - 1;
    const uint64_t mixed = (uint64_t)((uintptr_t)obj >> 4);
    size_t at = (size_t)(mixed * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    for (;; at++) {
        size_t *found = &numbering->slots[at & mask];
        if (*found == NUMBERING_NONE || numbering->objects[*found] == obj)
            return found;
    }
}

/* Half of the slots stay empty. */
static int grow_slots(struct numbering *numbering)
{
    const size_t size = numbering->size ? 2 * numbering->size : LEAST_SIZE;
    size_t *slots = PyMem_RawMalloc(size * sizeof *slots);
    if (!slots)
        return -1;
    for (size_t i = 0; i < size; i++)
        slots[i] = NUMBERING_NONE;
    PyMem_RawFree(numbering->slots);
    numbering->slots = slots;
    numbering->size = size;
    for (size_t i = 0; i < numbering->count; i++)
        *slot(numbering, numbering->objects[i]) = i;
    return 0;
}

static int grow_objects(struct numbering *numbering)
{
    const size_t room = numbering->room ? 2 * numbering->room : LEAST_SIZE;
    PyObject **objects =
        PyMem_RawRealloc(numbering->objects, room * sizeof *objects);
    if (!objects)
        return -1;
    numbering->objects = objects;
    numbering->room = room;
    return 0;
}

size_t numbering_add(struct numbering *numbering, PyObject *obj)
{
    if (2 * numbering->count >= numbering->size && grow_slots(numbering) < 0)
        return NUMBERING_NONE;
    size_t *found = slot(numbering, obj);
    if (*found != NUMBERING_NONE)
        return *found;
    if (numbering->count == numbering->room && grow_objects(numbering) < 0)
        return NUMBERING_NONE;
    numbering->objects[numbering->count] = Py_NewRef(obj);
    *found = numbering->count;
    return numbering->count++;
}

size_t numbering_find(const struct numbering *numbering, const PyObject *obj)
{
    return numbering->size ? *slot(numbering, obj) : NUMBERING_NONE;
}

int numbering_add_list(struct numbering *numbering, PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(list); i++)
        if (numbering_add(numbering, PyList_GET_ITEM(list, i)) ==
            NUMBERING_NONE) {
            PyErr_NoMemory();
            return -1;
        }
    return 0;
}

void numbering_free(struct numbering *numbering)
{
    struct numbering old = *numbering;
    *numbering = NUMBERING_EMPTY;
    PyMem_RawFree(old.slots);
    for (size_t i = 0; i < old.count; i++)
        Py_DECREF(old.objects[i]);
    PyMem_RawFree(old.objects);
}
