/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: do the keys of an encoded map differ? What is inside a key is put into
 * one form first, so that equal keys have equal bytes. No Python, no GIL.
 */
#ifndef PORT_VALUE_KEYS_H
#define PORT_VALUE_KEYS_H

#include <stddef.h>

#include "wire/buf.h"

/* The most bytes of stack that keys_check and keys_sort need. */
#define KEYS_STACK ((size_t)36 * 1024)

/* Looks at the n pairs that end at the end of b and start at b->data[start].
 * Returns 0 when all keys differ; 1 when two are the same term, with their
 * numbers in same[0] < same[1]; -1 when there was no memory to look. */
int keys_check(const struct buf *b, size_t start, size_t n, size_t same[2]);

/* Puts these n pairs in the order of their keys' bytes. 0, or -1 when there
 * was no memory for that. */
int keys_sort(struct buf *b, size_t start, size_t n);

/* Of a list that starts at `start`, ends at the end of b, and whose tail starts
 * at `tail`: makes [1 | [2 | 3]] the same bytes as [1, 2 | 3]. */
void keys_join_list(struct buf *b, size_t start, size_t tail);

#endif
