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
    bool stopped;         /* lock: it was, and not cancelled otherwise */
    bool told;            /* lock; the loop knows */
    bool more;            /* lock: there is credit that it has not heard of */
    long long credit;     /* lock: items of a stream that are wanted */
    long number;
    struct form form;
    const char *root; /* what its value is called in errors, or NULL */
    bool bills;
    bool keeps;     /* what it gives, for a handle */
    bool is_stream; /* its items are awaited */
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

/* The same for a stream, whose final reply will be ok. */
bool awaited_stop(const struct request *req);

/* Gives a stream credit for n more items. */
bool awaited_more(const struct request *req, long long n);

/* One that is to be cancelled, which the loop then knows of; NULL: there is
 * none. For the loop's thread. */
const struct awaited *awaited_tell(void);

/* The number of a stream that was given credit since this was asked last; 0:
 * there is none. */
long awaited_next_given(void);

/* How much credit the stream with this number has; and how much is left when n
 * items were sent. */
long long awaited_credit(long number);
long long awaited_use_credit(long number, long n);

/* What the one with this number raises now is about its reply. GIL held. */
void awaited_blame_reply(long number);

/* Appends the id of the one with this number, or the atom none: then it returns
 * false. */
bool awaited_put_id(long number, struct buf *out);

#endif
