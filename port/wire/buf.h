/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: an output frame under construction.
 *
 * Grows geometrically and never beyond `max`. A failure is sticky: once
 * buf_reserve has failed, it fails until buf_rewind, so that an encoder may
 * check late and nothing half written is ever sent. A reply is transactional:
 * buf_mark, append, and buf_rewind to the mark when something went wrong.
 *
 * The frame of a buf that may share moves into the lane when it gets large, if
 * that is free (see lane.h), so that it need not be copied to be sent.
 *
 * A buf belongs to one thread at a time. No Python, no GIL.
 */
#ifndef PORT_WIRE_BUF_H
#define PORT_WIRE_BUF_H

#include <stdbool.h>
#include <stddef.h>

enum buf_why {
    BUF_OK,
    BUF_TOO_LARGE, /* more than max bytes */
    BUF_NO_MEMORY,
    BUF_BAD_VALUE, /* see put.h: Erlang could not read it */
};

struct buf {
    char *data; /* owned; NULL while cap is 0 */
    size_t len;
    size_t cap;
    size_t max;
    enum buf_why why;
    bool may_share;
    bool shared; /* data is in the lane */
};

/* Nothing is allocated yet. max bounds len, all of it: for a frame that is the
 * frame's limit + FRAME_HEADER. At most FRAME_LIMIT + FRAME_HEADER. */
void buf_init(struct buf *b, size_t max);

/* Frees the memory; b is as after buf_init. */
void buf_free(struct buf *b);

/* Out of line part of buf_reserve. */
int buf_grow(struct buf *b, size_t n);

/* Makes room for n bytes at data + len; len stays. Returns 0, or -1 with why
 * set. Pointers into data are void afterwards. */
static inline int buf_reserve(struct buf *b, size_t n)
{
    if (b->why == BUF_OK && n <= b->cap - b->len)
        return 0;
    return buf_grow(b, n);
}

/* Records a failure (the first one wins). Always returns -1. */
int buf_fail(struct buf *b, enum buf_why why);

size_t buf_mark(const struct buf *b);

/* Forgets all that was appended since the mark, and the failure. */
void buf_rewind(struct buf *b, size_t mark);

/* Between two frames: empties b, and gives the memory of a large frame back. */
void buf_shrink(struct buf *b);

/* The memory in the lane is somebody else's now: b is empty. */
void buf_let_go(struct buf *b);

#endif
