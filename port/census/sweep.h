/* SPDX-License-Identifier: Apache-2.0
 *
 * sweep: a look at all objects. The garbage collector knows all containers, and
 * each of them knows what it refers to. An object that the collector does not
 * know, such as bytes, counts for each reference by its share: 1 divided by its
 * references. So nothing has to be remembered of millions of objects, and
 * references from elsewhere only make the sums a little smaller.
 *
 * Python stands still meanwhile, and no Python code runs. GIL held.
 */
#ifndef PORT_CENSUS_SWEEP_H
#define PORT_CENSUS_SWEEP_H

#include <stdbool.h>

#include "value/python.h"

struct sweep {
    /* Gets each object; `share` is the part of it that this visit stands for.
     * False: stop; an exception may be set. */
    bool (*weigh)(struct sweep *sweep, PyObject *obj);
    double share;
    int depth;
    bool over;
    PyObject *sizers;     /* from a type to its C method __sizeof__, or None */
    PyObject *bases;      /* from a type to its attribute `base`, or None */
    PyObject *sizer_name; /* "__sizeof__" */
    PyObject *base_name;  /* "base" */
};

/* Makes it ready for sweep_all and for the functions below it. -1 with an
 * exception; call sweep_end in either case. */
int sweep_begin(struct sweep *sweep);
void sweep_end(struct sweep *sweep);

/* Weighs all objects. 0, or -1 with an exception. */
int sweep_all(struct sweep *sweep);

/* The size that the object's own __sizeof__ tells, if that is written in C and
 * can be asked. False if not, or if it only says what the type says; an
 * exception may be set then. */
bool sweep_told(struct sweep *sweep, PyObject *obj, size_t *size);

/* An array that shows a part of another one keeps that alive, and the collector
 * knows neither: the other one, as a new reference. NULL: there is none, or an
 * exception is set. */
PyObject *sweep_base(struct sweep *sweep, PyObject *obj);

/* Whether it is a number that fits into a register, as nearly all do. */
bool sweep_is_small_int(PyObject *obj);

#endif
