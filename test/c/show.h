/* SPDX-License-Identifier: Apache-2.0
 *
 * show: external format as text, for tests to compare: [1,<<"a">>,#{ok=>2.0}].
 *
 * Knows what our encoder writes, all else is its tag; strings with a byte that
 * is not ASCII show as <<1,2,3>>.
 */
#ifndef TEST_C_SHOW_H
#define TEST_C_SHOW_H

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "wire/etf.h"

/* Writes text behind what is there; too much of it is cut off. */
struct show {
    const unsigned char *p;
    char *text;
    size_t left;
};

#define SHOW(s, ...) \
    do { \
        int n_ = snprintf((s)->text, (s)->left, __VA_ARGS__); \
        size_t used_ = (size_t)n_ < (s)->left ? (size_t)n_ : (s)->left - 1; \
        (s)->text += used_; \
        (s)->left -= used_; \
    } while (0)

static inline void show_term(struct show *s);

/* n elements with commas; every second comma is "=>" for a map. */
static inline void show_elements(struct show *s, uint32_t n, bool map)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            SHOW(s, "%s", map && i % 2 == 1 ? "=>" : ",");
        show_term(s);
    }
}

static inline void show_list(struct show *s)
{
    SHOW(s, "[");
    show_elements(s, etf_number(&s->p, 4), false);
    if (*s->p == ERL_NIL_EXT) {
        s->p++;
    } else {
        SHOW(s, "|");
        show_term(s);
    }
    SHOW(s, "]");
}

static inline void show_bytes(struct show *s, uint32_t n, int bits)
{
    bool text = bits == 8;
    for (uint32_t i = 0; i < n; i++)
        text = text && isprint(s->p[i]);
    SHOW(s, "<<");
    if (text)
        SHOW(s, "\"%.*s\"", (int)n, (const char *)s->p);
    for (uint32_t i = 0; !text && i < n; i++)
        SHOW(s, "%s%d", i ? "," : "", s->p[i]);
    if (bits != 8)
        SHOW(s, ":%d", bits);
    SHOW(s, ">>");
    s->p += n;
}

static inline void show_bitstring(struct show *s)
{
    uint32_t n = etf_number(&s->p, 4);
    int bits = (int)etf_number(&s->p, 1);
    show_bytes(s, n, bits);
}

/* In hex, as it is not longer than that. */
static inline void show_big(struct show *s, int width)
{
    uint32_t n = etf_number(&s->p, width);
    SHOW(s, "%s0x", etf_number(&s->p, 1) ? "-" : "");
    for (uint32_t i = n; i > 0; i--)
        SHOW(s, "%02x", s->p[i - 1]);
    s->p += n;
}

static inline void show_float(struct show *s)
{
    double v;
    uint64_t bits = (uint64_t)etf_number(&s->p, 4) << 32;
    bits |= etf_number(&s->p, 4);
    memcpy(&v, &bits, sizeof v);
    SHOW(s, "%#.17g", v);
}

static inline void show_tuple(struct show *s, int width)
{
    SHOW(s, "{");
    show_elements(s, etf_number(&s->p, width), false);
    SHOW(s, "}");
}

static inline void show_term(struct show *s)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    const char *atom = etf_atom(&s->p, scratch, &len);
    if (atom) {
        SHOW(s, "%.*s", (int)len, atom);
        return;
    }
    switch (*s->p++) {
    case ERL_SMALL_INTEGER_EXT:
        SHOW(s, "%d", (int)etf_number(&s->p, 1));
        break;
    case ERL_INTEGER_EXT:
        SHOW(s, "%d", (int)(int32_t)etf_number(&s->p, 4));
        break;
    case ERL_SMALL_BIG_EXT:
        show_big(s, 1);
        break;
    case ERL_LARGE_BIG_EXT:
        show_big(s, 4);
        break;
    case NEW_FLOAT_EXT:
        show_float(s);
        break;
    case ERL_BINARY_EXT:
        show_bytes(s, etf_number(&s->p, 4), 8);
        break;
    case ERL_BIT_BINARY_EXT:
        show_bitstring(s);
        break;
    case ERL_NIL_EXT:
        SHOW(s, "[]");
        break;
    case ERL_LIST_EXT:
        show_list(s);
        break;
    case ERL_SMALL_TUPLE_EXT:
        show_tuple(s, 1);
        break;
    case ERL_LARGE_TUPLE_EXT:
        show_tuple(s, 4);
        break;
    case ERL_MAP_EXT:
        SHOW(s, "#{");
        show_elements(s, 2 * etf_number(&s->p, 4), true);
        SHOW(s, "}");
        break;
    default:
        SHOW(s, "?%c", s->p[-1]);
    }
}

/* Shows the term at p, which was scanned, in text of that size. */
static inline void show(const char *p, char *text, size_t size)
{
    struct show s = {(const unsigned char *)p, text, size};
    *text = '\0';
    show_term(&s);
}

#endif
