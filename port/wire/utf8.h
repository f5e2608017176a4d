/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8: text as Erlang has it in atoms: no overlong forms, no surrogates;
 * where it may be cut, and how a character is written.
 */
#ifndef PORT_WIRE_UTF8_H
#define PORT_WIRE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The size of the first character of n > 0 bytes; 0: there is none. */
static inline size_t utf8_char(const unsigned char *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80)
        return 1;
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc0 || p[0] > 0xf4 || size > n)
        return 0;
    uint32_t c = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    return c < least[size] || c > 0x10ffff || surrogate ? 0 : size;
}

/* Writes c < 0x110000, which may be a surrogate; `to` has room for 4 bytes.
 * Returns how many it has taken. */
static inline size_t utf8_put(uint32_t c, char *to)
{
    static const unsigned char leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    const size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)(leads[n] | c);
    return n;
}

/* How many of the first n bytes of a longer text may be kept without cutting a
 * character in two. */
static inline size_t utf8_cut(const char *p, size_t n)
{
    while (n > 0 && (p[n] & 0xc0) == 0x80)
        n--;
    return n;
}

/* Whether there are only characters of one byte. */
static inline bool utf8_is_ascii(const char *p, size_t n)
{
    uint64_t all = 0, eight;
    for (; n >= sizeof eight; p += sizeof eight, n -= sizeof eight) {
        memcpy(&eight, p, sizeof eight);
        all |= eight;
    }
    while (n > 0)
        all |= (unsigned char)p[--n];
    return (all & 0x8080808080808080u) == 0;
}

/* The number of characters in n bytes, or -1 when they are not UTF-8. */
static inline long utf8_length(const char *p, size_t n)
{
    long chars = 0;
    if (utf8_is_ascii(p, n))
        return (long)n;
    for (size_t at = 0; at < n; chars++) {
        size_t size = utf8_char((const unsigned char *)p + at, n - at);
        if (size == 0)
            return -1;
        at += size;
    }
    return chars;
}

#endif
