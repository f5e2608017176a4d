/* SPDX-License-Identifier: Apache-2.0
 *
 * tally: bytes and counts, summed up by objects. Identity counts, not equality.
 * The collector sees nothing of it. GIL held.
 */
#ifndef PORT_CENSUS_TALLY_H
#define PORT_CENSUS_TALLY_H

#include "census/numbering.h"
#include "value/python.h"

/* The counts may be fractions of objects. */
struct tally {
    struct numbering keys;
    struct tally_sums {
        double bytes;
        double count;
    } * sums; /* by the numbers of the keys */
    size_t room;
};

#define TALLY_EMPTY ((struct tally){NUMBERING_EMPTY, NULL, 0})

/* Adds to the object's sums; the tally keeps a reference to it. -1: there is no
 * memory; no exception is set, and no Python code runs. */
int tally_add(struct tally *tally, PyObject *key, double bytes, double count);

/* A list of (object, bytes, count), in whole numbers, in any order. */
PyObject *tally_list(const struct tally *tally);

/* Frees it. */
void tally_free(struct tally *tally);

#endif
