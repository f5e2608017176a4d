/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: the encoder writes a term in one way only, so keys that are the same
 * term have the same bytes. They meet when the keys are sorted by their bytes.
 */
#include "config.h"

#include "value/keys.h"

#include <stdlib.h>
#include <string.h>

#include "wire/scan.h"

struct key {
    const char *p;
    size_t len;
    size_t i; /* its number in the map */
};

static int compare(const void *left, const void *right)
{
    const struct key *a = left, *b = right;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return memcmp(a->p, b->p, a->len);
}

/* Finds where each key is. The bytes are our own: scanning them cannot fail,
 * but if it does nothing is known about the keys. */
static int find_keys(const struct buf *b, size_t at, size_t n, struct key *keys)
{
    struct err err = {""};
    for (size_t i = 0; i < n; i++) {
        const size_t start = at;
        if (scan_term(b->data, b->len, &at, &err) < 0)
            return -1;
        keys[i] = (struct key){b->data + start, at - start, i};
        if (scan_term(b->data, b->len, &at, &err) < 0)
            return -1;
    }
    return 0;
}

static int find_same(const struct key *keys, size_t n, size_t same[2])
{
    for (size_t k = 1; k < n; k++) {
        size_t i = keys[k - 1].i, j = keys[k].i;
        if (compare(&keys[k - 1], &keys[k]) == 0) {
            same[0] = i < j ? i : j;
            same[1] = i < j ? j : i;
            return 1;
        }
    }
    return 0;
}

int keys_check(const struct buf *b, size_t start, size_t n, size_t same[2])
{
    struct key *keys = n ? calloc(n, sizeof *keys) : NULL;
    if (!keys)
        return n ? -1 : 0;
    int rc = find_keys(b, start, n, keys);
    if (rc == 0) {
        qsort(keys, n, sizeof *keys, compare);
        rc = find_same(keys, n, same);
    }
    free(keys);
    return rc;
}
