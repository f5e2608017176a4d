/* SPDX-License-Identifier: Apache-2.0
 *
 * chunk: some items of a stream, in one frame: {Id, {chunk, [Item]}}. GIL held.
 */
#ifndef PORT_TASK_CHUNK_H
#define PORT_TASK_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "value/encode.h"
#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/clock.h"

/* A chunk ends when it has this many bytes, or was begun about this long ago.
 */
#define CHUNK_BYTES (64 * 1024)
#define CHUNK_MS 10

struct chunk {
    struct buf *out; /* borrowed: where it is made */
    size_t head;     /* where its list begins */
    long used;       /* its items */
    long most;
    long long until; /* clock_coarse() */
};

/* Begins one in `out` for the stream with this id, with that many items at
 * most. */
void chunk_begin(struct chunk *c, struct buf *out, const char *id, size_t n,
                 long most);

/* Whether it has as many items or bytes as it may, or was begun a while ago and
 * has some. */
static inline bool chunk_is_full(const struct chunk *c)
{
    return c->used >= c->most || c->out->len >= CHUNK_BYTES ||
           (c->used > 0 && clock_coarse() >= c->until);
}

/* The part of chunk_put that mostly is not needed. */
int chunk_put_failed(struct chunk *c, size_t mark, struct form *form);

/* Appends an item, and there is room for the end of the list behind it. 1; 0:
 * it does not fit behind the others, and goes into the next one; -1 with an
 * exception. */
static inline int chunk_put(struct chunk *c, PyObject *item, struct form *form)
{
    const size_t mark = buf_mark(c->out);
    if (value_encode(c->out, item, form, "item") < 0 ||
        buf_reserve(c->out, 1) < 0)
        return chunk_put_failed(c, mark, form);
    c->used++;
    return 1;
}

/* Sends it, unless it has no items. In a forked child it does not return. */
void chunk_send(struct chunk *c);

#endif
