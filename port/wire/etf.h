/* SPDX-License-Identifier: Apache-2.0
 *
 * etf: small looks at external format that was scanned: no lengths are
 * checked. No Python, no GIL.
 */
#ifndef PORT_WIRE_ETF_H
#define PORT_WIRE_ETF_H

#include <ei.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of an atom's text, at most: 255 characters in UTF-8. */
#define ETF_ATOM_SIZE (255 * 4)

/* A big-endian number of that many bytes (0..4), and moves behind it. */
static inline uint32_t etf_number(const unsigned char **p, int width)
{
    uint32_t v = 0;
    for (int i = 0; i < width; i++)
        v = v << 8 | *(*p)++;
    return v;
}

/* If an atom is at *p: its text and *p behind it; else NULL and *p as it was.
 * The text is UTF-8, in place or in `scratch`, without a zero behind it. */
const char *etf_atom(const unsigned char **p, char scratch[ETF_ATOM_SIZE],
                     size_t *len);

/* True for the head {bytes, <<…>>} of a tuple of two behind its arity; then *p
 * is at the binary's length. */
bool etf_is_bytes(const unsigned char **p);

#endif
