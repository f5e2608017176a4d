/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: everything inside a key is written in one way only, so keys that are
 * the same term have the same bytes, and stand side by side when the keys are
 * sorted by their bytes.
 *
 * The encoder writes most terms in one way already; here that is done for maps
 * and improper lists.
 */
#include "config.h"

#include "value/keys.h"

#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "wire/scan.h"

/* Bytes of the tag and the count of a list. */
#define LIST_HEAD 5

struct key {
    const char *p;
    size_t len;
    size_t pair_len; /* with the value behind it */
    size_t i;        /* its number in the map */
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
        keys[i] = (struct key){b->data + start, at - start, 0, i};
        if (scan_term(b->data, b->len, &at, &err) < 0)
            return -1;
        keys[i].pair_len = at - start;
    }
    return 0;
}

/* The keys of n > 0 pairs, sorted; the caller frees them. NULL: no memory. */
static struct key *sorted_keys(const struct buf *b, size_t start, size_t n)
{
    struct key *keys = calloc(n, sizeof *keys);
    if (keys && find_keys(b, start, n, keys) < 0) {
        free(keys);
        keys = NULL;
    }
    if (keys)
        qsort(keys, n, sizeof *keys, compare);
    return keys;
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
    if (n == 0)
        return 0;
    struct key *keys = sorted_keys(b, start, n);
    int rc = keys ? find_same(keys, n, same) : -1;
    free(keys);
    return rc;
}

int keys_sort(struct buf *b, size_t start, size_t n)
{
    if (n < 2)
        return 0;
    const size_t len = b->len - start;
    struct key *keys = sorted_keys(b, start, n);
    char *copy = malloc(len);
    char *to = copy;
    if (keys && copy) {
        for (size_t i = 0; i < n; i++) {
            memcpy(to, keys[i].p, keys[i].pair_len);
            to += keys[i].pair_len;
        }
        memcpy(b->data + start, copy, len);
    }
    int rc = keys && copy ? 0 : -1;
    free(keys);
    free(copy);
    return rc;
}

/* The number in a list's head. */
static int list_arity(const struct buf *b, size_t at)
{
    int index = (int)at, arity = 0;
    ei_decode_list_header(b->data, &index, &arity);
    return arity;
}

void keys_join_list(struct buf *b, size_t start, size_t tail)
{
    if (b->data[tail] != ERL_LIST_EXT)
        return;
    const int arity = list_arity(b, start) + list_arity(b, tail);
    int index = (int)start;
    ei_encode_list_header(b->data, &index, arity);
    b->len -= LIST_HEAD;
    memmove(b->data + tail, b->data + tail + LIST_HEAD, b->len - tail);
}
