/* SPDX-License-Identifier: Apache-2.0
 *
 * scan: is this external format, all of it, and not too deep?
 *
 * ei checks no lengths, and ei_skip_term recurses. So each frame is walked
 * once, here, before anything else looks at it. What passed may be read with
 * ei or by hand without watching for the end: every length, arity and tag in it
 * is true. Not checked, because they cannot harm a reader: that the keys of a
 * map differ, and the value of a float that is text (1.0e999).
 *
 * Accepted is what term_to_binary of OTP 25 and later writes, and the older
 * forms that binary_to_term still reads. Refused with a reason: compressed
 * terms, atom cache references, terms that are local to a node (LOCAL_EXT),
 * native records (OTP 29; nothing in Python is like them), and a list of 0
 * elements that is not nil.
 *
 * The walk is iterative and needs no memory except about 32 KiB of stack.
 * Safe in any thread. No Python, no GIL.
 */
#ifndef PORT_WIRE_SCAN_H
#define PORT_WIRE_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/err.h"

/* A version byte, exactly one term, nothing behind it. Returns 0, or -1 with
 * the text in err: what is wrong, and at which byte. */
int scan_frame(const char *p, size_t n, struct err *err);

/* One term that starts at p[*at] (no version byte). Returns 0 with *at behind
 * it, or -1 with the text in err and *at as it was. */
int scan_term(const char *p, size_t n, size_t *at, struct err *err);

/* What is in a term, at any depth. */
struct scan_seen {
    bool funs;
    bool tails; /* of lists, that are not nil */
};

/* The same; what there is becomes true in *seen, and the rest stays. */
int scan_and_see(const char *p, size_t n, size_t *at, struct scan_seen *seen,
                 struct err *err);

/* -1 with the text in err when a frame of n bytes goes on at `at`. */
int scan_end(size_t n, size_t at, struct err *err);

#endif
