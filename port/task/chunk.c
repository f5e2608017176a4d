/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/chunk.h"

#include <ei.h>

#include "task/reply.h"
#include "value/classes.h"
#include "wire/put.h"

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

int chunk_put_failed(struct chunk *c, size_t mark, struct form *form)
{
    const bool fits_alone = c->out->why == BUF_TOO_LARGE && c->used > 0;
    buf_rewind(c->out, mark);
    if (fits_alone) {
        PyErr_Clear();
        return 0;
    }
    if (PyErr_Occurred())
        form->stage = STAGE_REPLY;
    else
        PyErr_SetString(classes_badarg(), "item: larger than max_frame");
    return -1;
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
