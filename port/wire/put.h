/* SPDX-License-Identifier: Apache-2.0
 *
 * put: append one piece of a term in external format to a buf.
 *
 * All return 0, or -1 with b->why set and nothing appended. Heads (tuple,
 * list, map) only announce: the caller appends that many elements after them,
 * for a list of one or more also its tail (put_nil). Counts are of elements,
 * lengths are of bytes. No Python, no GIL.
 */
#ifndef PORT_WIRE_PUT_H
#define PORT_WIRE_PUT_H

#include <stdbool.h>

#include "wire/buf.h"

int put_version(struct buf *b);

int put_tuple(struct buf *b, size_t arity);
int put_list(struct buf *b, size_t n); /* n == 0 is nil: no tail follows */
int put_nil(struct buf *b);
int put_map(struct buf *b, size_t n); /* n pairs: key, value, key, value… */

/* text is UTF-8 of at most 255 characters, else -1 with BUF_BAD_VALUE. */
int put_atom(struct buf *b, const char *text, size_t len);
int put_atom_z(struct buf *b, const char *text);

int put_binary(struct buf *b, const void *p, size_t n);

/* A binary whose n bytes the caller writes: returns where to, or NULL. */
char *put_binary_room(struct buf *b, size_t n);

/* n bytes of which the last has 1..8 bits (the upper ones); 8 and the empty
 * one are plain binaries. Else -1 with BUF_BAD_VALUE. */
int put_bitstring(struct buf *b, const void *p, size_t n, int bits_in_last);

int put_long(struct buf *b, long long v);

/* An integer of any size from its absolute value, least byte first. */
int put_big(struct buf *b, bool negative, const void *bytes, size_t n);

/* d is finite (Erlang knows no other), else -1 with BUF_BAD_VALUE. */
int put_double(struct buf *b, double d);

/* n bytes that are external format already. */
int put_raw(struct buf *b, const void *p, size_t n);

#endif
