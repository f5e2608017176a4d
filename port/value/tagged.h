/* SPDX-License-Identifier: Apache-2.0
 *
 * tagged: tuples that stand for what has no term of its own: {bytes, B},
 * {datetime, …}; see erlang/_tags.py. Also handles. No Python, no GIL.
 */
#ifndef PORT_VALUE_TAGGED_H
#define PORT_VALUE_TAGGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/etf.h"

enum tagged {
    TAGGED_NOT,     /* an ordinary tuple */
    TAGGED_BYTES,   /* {bytes, <<…>>} */
    TAGGED_PARTS,   /* it may be one: Python code looks at the parts */
    TAGGED_HANDLE,  /* {py_handle, Number, …}: an object that is kept here */
    TAGGED_ITER,    /* {iter, Pid} */
    TAGGED_CHANNEL, /* {py_channel, Pid} */
    TAGGED_LOST,    /* {iter, Fun | List}, which only an argument can be */
};

/* Elements, at most. */
#define TAGGED_MOST 4

/* Out of line part of tagged_kind. */
enum tagged tagged_look(const unsigned char *p, size_t n);

/* The number in a TAGGED_HANDLE whose first element is at *p; moves behind that
 * number. 0 if it has not as many bytes as those that there are. */
uint64_t tagged_number(const unsigned char **p);

/* What a tuple of n elements is, the first of which is at p; it was scanned.
 * All parts of TAGGED_PARTS are small, except for binaries. */
static inline enum tagged tagged_kind(const unsigned char *p, size_t n)
{
    if (n < 2 || n > TAGGED_MOST || !etf_is_atom(*p))
        return TAGGED_NOT;
    return tagged_look(p, n);
}

#endif
