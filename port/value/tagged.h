/* SPDX-License-Identifier: Apache-2.0
 *
 * tagged: tuples that stand for what has no term of its own: {bytes, B},
 * {datetime, …}. See erlang/_tags.py. No Python, no GIL.
 */
#ifndef PORT_VALUE_TAGGED_H
#define PORT_VALUE_TAGGED_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/etf.h"

enum tagged {
    TAGGED_NOT,   /* an ordinary tuple */
    TAGGED_BYTES, /* {bytes, <<…>>} */
    TAGGED_PARTS, /* it may be one: Python code looks at the parts */
    TAGGED_ITER,  /* {iter, Pid} */
    TAGGED_LOST,  /* {iter, Fun | List}, which only an argument can be */
};

/* Elements, at most. */
#define TAGGED_MOST 4

/* Out of line part of tagged_kind. */
enum tagged tagged_look(const unsigned char *p, size_t n);

/* What a tuple of n elements is, the first of which is at p; it was scanned.
 * All parts of TAGGED_PARTS are small, except for binaries. */
static inline enum tagged tagged_kind(const unsigned char *p, size_t n)
{
    if (n < 2 || n > TAGGED_MOST || !etf_is_atom(*p))
        return TAGGED_NOT;
    return tagged_look(p, n);
}

#endif
