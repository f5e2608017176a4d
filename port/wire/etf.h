/* SPDX-License-Identifier: Apache-2.0
 *
 * etf: small looks at external format that was scanned before: no lengths are
 * checked. No Python, no GIL.
 */
#ifndef PORT_WIRE_ETF_H
#define PORT_WIRE_ETF_H

#include <ei.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/bytes.h"

/* Bytes of a binary's tag and length. */
#define ETF_BINARY_HEAD 5

/* Bytes of an atom's text, at most: 255 characters in UTF-8. */
#define ETF_ATOM_SIZE (255 * 4)

/* The number in the next `width` (0..4) bytes; moves behind them. */
static inline uint32_t etf_number(const unsigned char **p, size_t width)
{
    const uint32_t v = bytes_get(*p, width);
    *p += width;
    return v;
}

static inline bool etf_is_atom(unsigned char tag)
{
    return tag == ERL_SMALL_ATOM_UTF8_EXT || tag == ERL_ATOM_EXT ||
           tag == ERL_ATOM_UTF8_EXT || tag == ERL_SMALL_ATOM_EXT;
}

/* If an atom is at *p: its text and *p behind it; else NULL and *p as it was.
 * The text is UTF-8, in place or in `scratch`, without a zero behind it. */
const char *etf_atom(const unsigned char **p, char scratch[ETF_ATOM_SIZE],
                     size_t *len);

/* Moves behind the atom at *p, if there is one. Returns its length, and its
 * text in `name` with a zero behind it; -1 when there is no atom, or one whose
 * text does not fit or contains a zero: then name is "". */
int etf_name(const unsigned char **p, char *name, size_t size);

#endif
