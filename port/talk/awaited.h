/* SPDX-License-Identifier: Apache-2.0
 *
 * awaited: the jobs whose results are awaited by the loop (aio.h), by their Ids
 * for the reader and by their numbers for the loop. What control says of one is
 * noted here, under a lock that is never held while Python runs; the loop looks
 * at it when it is woken.
 */
#ifndef PORT_TALK_AWAITED_H
#define PORT_TALK_AWAITED_H

#include <stdbool.h>
#include <stddef.h>

#include "task/task.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/queue.h"
#include "wire/request.h"

struct awaited {
    struct queued queued; /* lock */
    bool cancelled;       /* lock */
    bool told;            /* lock; the loop knows */
    long number;
    struct form form;
    const char *root; /* what its value is called in errors, or NULL */
    bool bills;
    bool keeps; /* what it gives, for a handle */
    long long since;
    PyObject *captured; /* owned, or NULL */
    size_t id_len;
    char id[];
};

/* One that begins now, with the next number; nobody finds it yet. NULL with an
 * exception. GIL held. */
struct awaited *awaited_new(const struct task *task);

/* Frees one that nobody finds. GIL held. */
void awaited_free(struct awaited *a);

/* From now on it is found. */
void awaited_add(struct awaited *a);

/* Nobody finds the one with this number any more: its id is free for another.
 * It is the caller's; NULL: there is none. */
struct awaited *awaited_take(long number);

/* The one with the id of `req` is to be cancelled. False: there is none. Any
 * thread, no GIL. */
bool awaited_cancel(const struct request *req);

/* One that is to be cancelled, which the loop then knows of; NULL: there is
 * none. For the loop's thread. */
const struct awaited *awaited_tell(void);

/* Appends the id of the one with this number, or the atom none. */
void awaited_put_id(long number, struct buf *out);

#endif
