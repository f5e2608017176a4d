/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: do the keys of an encoded map differ? No Python, no GIL.
 */
#ifndef PORT_VALUE_KEYS_H
#define PORT_VALUE_KEYS_H

#include <stddef.h>

#include "wire/buf.h"

/* Looks at the n pairs that end at the end of b and start at b->data[start].
 * Returns 0 when all keys differ; 1 when two are the same term, with their
 * numbers in same[0] < same[1]; -1 when there was no memory to look. */
int keys_check(const struct buf *b, size_t start, size_t n, size_t same[2]);

#endif
