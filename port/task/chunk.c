/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/chunk.h"

#include <ei.h>

#include "task/reply.h"
#include "value/classes.h"
#include "value/encode.h"
#include "wire/clock.h"
#include "wire/put.h"

/* A chunk ends when it has this many bytes, or was begun about this long ago.
 */
#define CHUNK_BYTES (64 * 1024)
#define CHUNK_MS 10

/* The length stands in front of the items and is known only behind them, so it
 * is written twice. */
void chunk_begin(struct chunk *c, struct buf *out, const char *id, size_t n,
                 long most)
{
    reply_begin(out, id, n);
    put_tuple(out, 2);
    put_atom_z(out, "chunk");
    *c = (struct chunk){
        .out = out,
        .head = buf_mark(out),
        .most = most,
        .until = clock_coarse() + CHUNK_MS * CLOCK_NS_PER_MS,
    };
    put_list(out, 1);
}

bool chunk_is_full(const struct chunk *c)
{
    return c->used >= c->most || c->out->len >= CHUNK_BYTES ||
           (c->used > 0 && clock_coarse() >= c->until);
}

/* An item, and room for the end of the list behind it. */
static int put_item(struct buf *out, PyObject *item, struct form *form)
{
    if (value_encode(out, item, form, "item") < 0) {
        form->stage = STAGE_REPLY;
        return -1;
    }
    if (buf_reserve(out, 1) == 0)
        return 1;
    PyErr_SetString(classes_badarg(), "item: larger than max_frame");
    return -1;
}

int chunk_put(struct chunk *c, PyObject *item, struct form *form)
{
    const size_t mark = buf_mark(c->out);
    int rc = put_item(c->out, item, form);
    if (rc < 0 && c->out->why == BUF_TOO_LARGE && c->used > 0) {
        PyErr_Clear();
        rc = 0;
    }
    if (rc <= 0)
        buf_rewind(c->out, mark);
    else
        c->used++;
    return rc;
}

void chunk_send(struct chunk *c)
{
    int at = (int)c->head;
    if (c->used == 0)
        return;
    ei_encode_list_header(c->out->data, &at, (int)c->used);
    put_nil(c->out);
    reply_send(c->out);
}
