/* SPDX-License-Identifier: Apache-2.0
 *
 * batch: many requests in one frame.
 *
 *     [Binary, ...]    each in external format, as in a frame of its own
 *
 * What has piled up while the program was at work comes at once. The parts are
 * told apart by their lengths, and nothing in them is looked at here. A batch
 * owns nothing: it points into the frame, which the caller keeps. No Python, no
 * GIL.
 */
#ifndef PORT_WIRE_BATCH_H
#define PORT_WIRE_BATCH_H

#include <stdbool.h>
#include <stddef.h>

struct batch {
    const char *at; /* the next part's head */
    size_t left;    /* parts */
};

/* Whether the whole frame is a batch; then it can be split. */
bool batch_begin(struct batch *b, const char *frame, size_t len);

/* The next part: *part is borrowed. False: there is none. */
bool batch_next(struct batch *b, const char **part, size_t *len);

/* Whether the scanned term at `head` is a binary, which may be a part; then
 * *part is borrowed. */
bool batch_part(const char *head, const char **part, size_t *len);

#endif
