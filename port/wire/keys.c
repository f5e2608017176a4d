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

#include "wire/keys.h"

#include <ei.h>
#include <stdlib.h>
#include <string.h>

#include "wire/protocol.h"

/* Bytes of the tag and the count of a list. */
#define LIST_HEAD 5

int keys_begin(struct keys *k, size_t n, size_t first)
{
    k->n = n;
    k->noted = 0;
    k->first = first;
    buf_init(&k->early, FRAME_LIMIT);
    k->pairs = calloc(n, sizeof *k->pairs);
    return k->pairs ? 0 : -1;
}

void keys_end(struct keys *k)
{
    free(k->pairs);
    buf_free(&k->early);
}

void keys_note(struct keys *k, size_t key, size_t value, size_t end)
{
    k->pairs[k->noted++] = (struct keys_pair){key, value, end};
}

/* ---- in order ---- */

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

/* The keys, sorted; the caller frees them. NULL: no memory. */
static struct key *sorted_keys(const struct keys *k, const struct buf *b)
{
    struct key *keys = calloc(k->n, sizeof *keys);
    if (!keys)
        return NULL;
    for (size_t i = 0; i < k->n; i++) {
        const struct keys_pair *pair = &k->pairs[i];
        const char *data = i < k->first ? k->early.data : b->data;
        keys[i] = (struct key){data + pair->key, pair->value - pair->key, i};
    }
    qsort(keys, k->n, sizeof *keys, compare);
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

int keys_check(const struct keys *k, const struct buf *b, size_t same[2])
{
    struct key *keys = sorted_keys(k, b);
    int rc = keys ? find_same(keys, k->n, same) : -1;
    free(keys);
    return rc;
}

int keys_sort(const struct keys *k, struct buf *b)
{
    if (k->n < 2)
        return 0;
    const size_t start = k->pairs[0].key;
    const size_t len = k->pairs[k->n - 1].end - start;
    struct key *keys = sorted_keys(k, b);
    char *copy = malloc(len);
    char *to = copy;
    if (keys && copy) {
        for (size_t i = 0; i < k->n; i++) {
            const struct keys_pair *pair = &k->pairs[keys[i].i];
            memcpy(to, b->data + pair->key, pair->end - pair->key);
            to += pair->end - pair->key;
        }
        memcpy(b->data + start, copy, len);
    }
    int rc = keys && copy ? 0 : -1;
    free(keys);
    free(copy);
    return rc;
}

/* ---- lists ---- */

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
