/* SPDX-License-Identifier: Apache-2.0
 *
 * err: what went wrong in wire/, as text for the peer or the log.
 *
 * The first error wins: whoever saw the cause says it, and callers further up
 * may call err_set again without looking. No memory is owned. No Python, no
 * GIL.
 */
#ifndef PORT_WIRE_ERR_H
#define PORT_WIRE_ERR_H

struct err {
    char text[256]; /* "" = no error */
};

/* Sets the text, cut to fit, unless one is set already. Always returns -1. */
int err_set(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
