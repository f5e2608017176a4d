/* SPDX-License-Identifier: Apache-2.0
 *
 * chunk: some items of a stream, in one frame: {Id, {chunk, [Item]}}. GIL held.
 */
#ifndef PORT_TASK_CHUNK_H
#define PORT_TASK_CHUNK_H

#include <stdbool.h>
#include <stddef.h>

#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"

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
bool chunk_is_full(const struct chunk *c);

/* Appends an item. 1; 0: it does not fit behind the others, and goes into the
 * next one; -1 with an exception. */
int chunk_put(struct chunk *c, PyObject *item, struct form *form);

/* Sends it, unless it has no items. In a forked child it does not return. */
void chunk_send(struct chunk *c);

#endif
