/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: memory for one output frame.
 */
#include "config.h"

#include "wire/buf.h"

#include <stdlib.h>

#include "wire/protocol.h"

/* The first allocation: most replies fit. */
#define FIRST_SIZE 4096

/* What is kept from one frame to the next. */
#define KEEP_SIZE (1024 * 1024)

void buf_init(struct buf *b, size_t max)
{
    const size_t limit = (size_t)FRAME_LIMIT + FRAME_HEADER;
    *b = (struct buf){.max = max < limit ? max : limit};
}

void buf_free(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

int buf_fail(struct buf *b, enum buf_why why)
{
    if (b->why == BUF_OK)
        b->why = why;
    return -1;
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
    char *data = realloc(b->data, cap);
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
    if (b->cap > KEEP_SIZE)
        buf_free(b);
    buf_rewind(b, 0);
}
