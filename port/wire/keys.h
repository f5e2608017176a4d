/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: do the keys of an encoded map differ? What is inside a key is put into
 * one form first, so that equal keys have equal bytes. No Python, no GIL.
 */
#ifndef PORT_WIRE_KEYS_H
#define PORT_WIRE_KEYS_H

#include <stddef.h>

#include "wire/buf.h"

/* The most bytes of stack that keys_check and keys_sort need. */
#define KEYS_STACK ((size_t)36 * 1024)

/* Where a key and its value are in a buf: from, between and to. */
struct keys_pair {
    size_t key, value, end;
};

/* The pairs of a map, noted while they are written, so that nobody has to
 * search nested terms for them. */
struct keys {
    struct keys_pair *pairs; /* owned */
    size_t n;                /* of the map */
    size_t noted;
    size_t first;     /* how many keys were written before this began … */
    struct buf early; /* … and once more here. Owned */
};

/* For a map of n > 0 pairs, `first` of which are written: the caller writes the
 * keys of these into k->early, too, and notes them. 0/-1: no memory. Then and
 * later keys_end frees what there is. */
int keys_begin(struct keys *k, size_t n, size_t first);
void keys_end(struct keys *k);

/* The next pair; there is room for n. */
void keys_note(struct keys *k, size_t key, size_t value, size_t end);

/* Looks at all n pairs, which were noted. Returns 0 when all keys differ; 1
 * when two are the same term, with their numbers in same[0] < same[1]; -1 when
 * there was no memory to look. */
int keys_check(const struct keys *k, const struct buf *b, size_t same[2]);

/* Puts the pairs in the order of their keys' bytes; k->first is 0. 0, or -1
 * when there was no memory for that. */
int keys_sort(const struct keys *k, struct buf *b);

/* For a list that starts at `start` and ends at the end of b, and whose tail
 * starts at `tail`: makes [1 | [2 | 3]] the same bytes as [1, 2 | 3]. */
void keys_join_list(struct buf *b, size_t start, size_t tail);

#endif
