/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "census/tally.h"

#define LEAST_ROOM 64

/* One more key has sums that are 0. */
static int grow(struct tally *tally)
{
    const size_t room = tally->room ? 2 * tally->room : LEAST_ROOM;
    struct tally_sums *sums =
        PyMem_RawRealloc(tally->sums, room * sizeof *sums);
    if (!sums)
        return -1;
    for (size_t i = tally->room; i < room; i++)
        sums[i] = (struct tally_sums){0, 0};
    tally->sums = sums;
    tally->room = room;
    return 0;
}

int tally_add(struct tally *tally, PyObject *key, double bytes, double count)
{
    if (tally->keys.count == tally->room && grow(tally) < 0)
        return -1;
    const size_t n = numbering_add(&tally->keys, key);
    if (n == NUMBERING_NONE)
        return -1;
    tally->sums[n].bytes += bytes;
    tally->sums[n].count += count;
    return 0;
}

static long long whole(double sum)
{
    return (long long)(sum + 0.5);
}

PyObject *tally_list(const struct tally *tally)
{
    PyObject *list = PyList_New((Py_ssize_t)tally->keys.count);
    for (size_t i = 0; list && i < tally->keys.count; i++) {
        PyObject *row = Py_BuildValue("(OLL)", tally->keys.objects[i],
                                      whole(tally->sums[i].bytes),
                                      whole(tally->sums[i].count));
        if (row)
            PyList_SET_ITEM(list, (Py_ssize_t)i, row);
        else
            Py_CLEAR(list);
    }
    return list;
}

void tally_free(struct tally *tally)
{
    numbering_free(&tally->keys);
    PyMem_RawFree(tally->sums);
    *tally = TALLY_EMPTY;
}
