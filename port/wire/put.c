/* SPDX-License-Identifier: Apache-2.0
 *
 * put: the pieces of external format, written by hand.
 *
 * Not with ei's encoders: they write without looking at the room that is left
 * and count in ints, so each call needs its exact size worked out before, and
 * with the size known there is nothing left for them to do. The tests hold the
 * two against each other.
 */
#include "config.h"

#include "wire/put.h"

#include <ei.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/protocol.h"
#include "wire/utf8.h"

/* Appends bytes; the room is there. */
static inline void add(struct buf *b, const void *p, size_t n)
{
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
}

/* Appends the lowest `width` bytes of v; the room is there. */
static inline void add_number(struct buf *b, uint64_t v, size_t width)
{
    bytes_put(b->data + b->len, v, width);
    b->len += width;
}

/* Appends a tag and a count of `width` bytes, and makes room for at least
 * `follow` bytes behind them: so a piece is appended whole or not at all, and a
 * list that cannot fit fails before its first element. A count of 2^32 or more
 * cannot fit, as no buf is that large. */
static inline int head(struct buf *b, int tag, size_t width, size_t count,
                       size_t follow)
{
    if (follow > b->max)
        return buf_fail(b, BUF_TOO_LARGE);
    if (buf_reserve(b, 1 + width + follow) < 0)
        return -1;
    b->data[b->len++] = (char)tag;
    add_number(b, count, width);
    return 0;
}

int put_version(struct buf *b)
{
    return head(b, TERM_VERSION, 0, 0, 0);
}

int put_tuple(struct buf *b, size_t arity)
{
    if (arity <= UINT8_MAX)
        return head(b, ERL_SMALL_TUPLE_EXT, 1, arity, arity);
    return head(b, ERL_LARGE_TUPLE_EXT, 4, arity, arity);
}

int put_list(struct buf *b, size_t n)
{
    if (n == 0)
        return put_nil(b);
    return head(b, ERL_LIST_EXT, 4, n, n);
}

int put_nil(struct buf *b)
{
    return head(b, ERL_NIL_EXT, 0, 0, 0);
}

int put_map(struct buf *b, size_t n)
{
    return head(b, ERL_MAP_EXT, 4, n, 2 * n);
}

int put_atom(struct buf *b, const char *text, size_t len)
{
    long chars = utf8_length(text, len);
    if (chars < 0 || chars > 255)
        return buf_fail(b, BUF_BAD_VALUE);
    int rc = len <= UINT8_MAX ? head(b, ERL_SMALL_ATOM_UTF8_EXT, 1, len, len)
                              : head(b, ERL_ATOM_UTF8_EXT, 2, len, len);
    if (rc == 0)
        add(b, text, len);
    return rc;
}

int put_atom_z(struct buf *b, const char *text)
{
    return put_atom(b, text, strlen(text));
}

int put_binary(struct buf *b, const void *p, size_t n)
{
    if (head(b, ERL_BINARY_EXT, 4, n, n) < 0)
        return -1;
    add(b, p, n);
    return 0;
}

char *put_binary_room(struct buf *b, size_t n)
{
    if (head(b, ERL_BINARY_EXT, 4, n, n) < 0)
        return NULL;
    b->len += n;
    return b->data + b->len - n;
}

int put_bitstring(struct buf *b, const void *p, size_t n, int bits_in_last)
{
    if (n == 0 || bits_in_last == 8)
        return put_binary(b, p, n);
    if (bits_in_last < 1 || bits_in_last > 8)
        return buf_fail(b, BUF_BAD_VALUE);
    if (head(b, ERL_BIT_BINARY_EXT, 4, n, 1 + n) < 0)
        return -1;
    add_number(b, (uint64_t)bits_in_last, 1);
    add(b, p, n);
    b->data[b->len - 1] &= (char)(0xff << (8 - bits_in_last));
    return 0;
}

int put_long(struct buf *b, long long v)
{
    if (v >= 0 && v <= UINT8_MAX)
        return head(b, ERL_SMALL_INTEGER_EXT, 1, (size_t)v, 0);
    if (v >= INT32_MIN && v <= INT32_MAX)
        return head(b, ERL_INTEGER_EXT, 4, (size_t)v, 0);
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    unsigned char bytes[sizeof left];
    size_t n = 0;
    for (; left > 0; left >>= 8)
        bytes[n++] = (unsigned char)left;
    return put_big(b, v < 0, bytes, n);
}

int put_big(struct buf *b, bool negative, const void *bytes, size_t n)
{
    int rc = n <= UINT8_MAX ? head(b, ERL_SMALL_BIG_EXT, 1, n, 1 + n)
                            : head(b, ERL_LARGE_BIG_EXT, 4, n, 1 + n);
    if (rc == 0) {
        add_number(b, negative, 1);
        add(b, bytes, n);
    }
    return rc;
}

int put_double(struct buf *b, double d)
{
    uint64_t bits;
    _Static_assert(sizeof bits == sizeof d, "a double has 64 bits");
    if (!isfinite(d))
        return buf_fail(b, BUF_BAD_VALUE);
    if (head(b, NEW_FLOAT_EXT, 0, 0, sizeof bits) < 0)
        return -1;
    memcpy(&bits, &d, sizeof bits);
    add_number(b, bits, sizeof bits);
    return 0;
}

int put_raw(struct buf *b, const void *p, size_t n)
{
    if (buf_reserve(b, n) < 0)
        return -1;
    add(b, p, n);
    return 0;
}
