/* SPDX-License-Identifier: Apache-2.0
 *
 * search: what keeps some objects alive. From each of them it goes to the
 * objects that refer to it, and to those that refer to these, until it comes to
 * a root: an object that is known to be kept. Each step is one look at all
 * objects, on behalf of all that are searched for. GIL held; between the steps
 * others may have it.
 */
#ifndef PORT_CENSUS_SEARCH_H
#define PORT_CENSUS_SEARCH_H

#include "census/numbering.h"
#include "value/python.h"

/* Takes, at random, at most n objects whose classes are among these. It looks
 * at the same objects as a sweep. 0, or -1 with an exception. */
int search_sample(struct numbering *objects, const struct numbering *classes,
                  size_t n);

/* A list with (Root, Kept, Chain) for each of the objects: the number of a
 * root, or -1; whether something unknown keeps the first of the chain, so that
 * -1 and False mean a cycle; and the chain, the object itself last, the root
 * first. Those that are ignored keep nothing. */
PyObject *search_run(const struct numbering *objects,
                     const struct numbering *roots,
                     const struct numbering *ignored);

#endif
