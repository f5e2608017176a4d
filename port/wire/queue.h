/* SPDX-License-Identifier: Apache-2.0
 *
 * queue: things in their order of arrival. What is to be queued has a struct
 * queued for its first member, so that a pointer to one is a pointer to both.
 * Nothing is owned, nothing can fail. No lock: the caller has one. No Python.
 */
#ifndef PORT_WIRE_QUEUE_H
#define PORT_WIRE_QUEUE_H

#include <stddef.h>

struct queued {
    struct queued *next;
};

struct queue {
    struct queued *first;
    struct queued **last; /* the link that the next one is put into */
};

/* The initial value of the queue q. */
#define QUEUE_EMPTY(q) \
    { \
        .first = NULL, .last = &(q).first \
    }

static inline void queue_push(struct queue *q, struct queued *item)
{
    item->next = NULL;
    *q->last = item;
    q->last = &item->next;
}

/* Takes out what `link` points to, which may be nothing: then NULL. The link
 * is q->first or the `next` of something in the queue. */
static inline struct queued *queue_unlink(struct queue *q, struct queued **link)
{
    struct queued *item = *link;
    if (!item)
        return NULL;
    *link = item->next;
    if (q->last == &item->next)
        q->last = link;
    return item;
}

/* Takes out the oldest; NULL when the queue is empty. */
static inline struct queued *queue_pop(struct queue *q)
{
    return queue_unlink(q, &q->first);
}

#endif
