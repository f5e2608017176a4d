/* SPDX-License-Identifier: Apache-2.0
 *
 * numbering: objects by numbers, from 0, in the order in which they come.
 * Identity counts, not equality. It keeps a reference to each object, and the
 * collector sees nothing of it. No Python code runs. GIL held.
 */
#ifndef PORT_CENSUS_NUMBERING_H
#define PORT_CENSUS_NUMBERING_H

#include <stdbool.h>

#include "value/python.h"

#define NUMBERING_NONE SIZE_MAX

struct numbering {
    PyObject **objects;
    size_t count;
    size_t room;
    size_t *slots; /* a hash table of numbers: its size is a power of two */
    size_t size;
};

#define NUMBERING_EMPTY ((struct numbering){NULL, 0, 0, NULL, 0})

/* The object's number; a new one if it has none yet. NUMBERING_NONE: there is
 * no memory; no exception is set. */
size_t numbering_add(struct numbering *numbering, PyObject *obj);

/* The object's number, or NUMBERING_NONE. */
size_t numbering_find(const struct numbering *numbering, const PyObject *obj);

/* Adds what a list holds. -1 with an exception. */
int numbering_add_list(struct numbering *numbering, PyObject *list);

/* Frees it. Finalizers may run. */
void numbering_free(struct numbering *numbering);

#endif
