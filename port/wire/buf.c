/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: memory for one output frame.
 */
#include "config.h"

#include "wire/buf.h"

#include <stdlib.h>
#include <string.h>

#include "wire/lane.h"
#include "wire/protocol.h"

/* The first allocation: most replies fit. */
#define FIRST_SIZE 4096

/* What is kept from one frame to the next; of one that may share only so much
 * that the next large one moves into the lane. */
#define KEEP_SIZE (1024 * 1024)

void buf_init(struct buf *b, size_t max)
{
    const size_t limit = (size_t)FRAME_LIMIT + FRAME_HEADER;
    *b = (struct buf){.max = max < limit ? max : limit};
}

void buf_let_go(struct buf *b)
{
    const bool may_share = b->may_share;
    buf_init(b, b->max);
    b->may_share = may_share;
}

void buf_free(struct buf *b)
{
    if (b->shared)
        lane_return();
    else
        free(b->data);
    buf_let_go(b);
}

int buf_fail(struct buf *b, enum buf_why why)
{
    if (b->why == BUF_OK)
        b->why = why;
    return -1;
}

/* NULL: it stays where it is. */
static char *move(struct buf *b, size_t cap)
{
    char *data = lane_lend(cap);
    if (!data)
        return NULL;
    if (b->len > 0)
        memcpy(data, b->data, b->len);
    free(b->data);
    b->shared = true;
    return data;
}

static char *resize(struct buf *b, size_t cap)
{
    if (b->shared)
        return lane_extend(cap);
    char *data = b->may_share && cap >= LANE_LEAST ? move(b, cap) : NULL;
    return data ? data : realloc(b->data, cap);
}

int buf_grow(struct buf *b, size_t n)
{
    if (b->why != BUF_OK)
        return -1;
    if (b->len > b->max || n > b->max - b->len)
        return buf_fail(b, BUF_TOO_LARGE);
    size_t need = b->len + n;
    size_t cap = b->cap < FIRST_SIZE ? FIRST_SIZE : 2 * b->cap;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    char *data = resize(b, cap);
    if (data == NULL)
        return buf_fail(b, BUF_NO_MEMORY);
    b->data = data;
    b->cap = cap;
    return 0;
}

size_t buf_mark(const struct buf *b)
{
    return b->len;
}

void buf_rewind(struct buf *b, size_t mark)
{
    b->len = mark;
    b->why = BUF_OK;
}

void buf_shrink(struct buf *b)
{
    if (b->shared || b->cap > (b->may_share ? LANE_LEAST : KEEP_SIZE))
        buf_free(b);
    buf_rewind(b, 0);
}
