/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "census/tally.h"

#include <stdint.h>

#define LEAST_SIZE 64

/* The row of the object, or the empty one where it belongs. */
static struct tally_row *find(const struct tally *tally, PyObject *key)
{
    const size_t mask = tally->size - 1;
    size_t at =
        (size_t)(((uintptr_t)key >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 20);
    while (tally->rows[at & mask].key && tally->rows[at & mask].key != key)
        at++;
    return &tally->rows[at & mask];
}

/* Half of it stays empty. */
static int grow(struct tally *tally)
{
    struct tally larger = {NULL, 2 * tally->size, tally->used};
    if (larger.size == 0)
        larger.size = LEAST_SIZE;
    larger.rows = PyMem_RawCalloc(larger.size, sizeof *larger.rows);
    if (!larger.rows)
        return -1;
    for (size_t i = 0; i < tally->size; i++)
        if (tally->rows[i].key)
            *find(&larger, tally->rows[i].key) = tally->rows[i];
    PyMem_RawFree(tally->rows);
    *tally = larger;
    return 0;
}

int tally_add(struct tally *tally, PyObject *key, double bytes, double count)
{
    if (2 * tally->used >= tally->size && grow(tally) < 0)
        return -1;
    struct tally_row *row = find(tally, key);
    if (!row->key) {
        row->key = Py_NewRef(key);
        tally->used++;
    }
    row->bytes += bytes;
    row->count += count;
    return 0;
}

static long long whole(double sum)
{
    return (long long)(sum + 0.5);
}

PyObject *tally_list(const struct tally *tally)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < tally->size; i++) {
        const struct tally_row *row = &tally->rows[i];
        if (!row->key)
            continue;
        PyObject *sums = Py_BuildValue("(OLL)", row->key, whole(row->bytes),
                                       whole(row->count));
        if (!sums || PyList_Append(list, sums) < 0)
            Py_CLEAR(list);
        Py_XDECREF(sums);
    }
    return list;
}

void tally_free(struct tally *tally)
{
    for (size_t i = 0; i < tally->size; i++)
        Py_XDECREF(tally->rows[i].key);
    PyMem_RawFree(tally->rows);
    *tally = TALLY_EMPTY;
}
