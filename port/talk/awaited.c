/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/awaited.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wire/clock.h"
#include "wire/put.h"

static struct {
    pthread_mutex_t lock; /* never held while Python runs */
    struct queue all;     /* owned */
    long last;            /* number */
} awaited = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .all = QUEUE_EMPTY(awaited.all),
};

static void lock(void)
{
    pthread_mutex_lock(&awaited.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&awaited.lock);
}

static struct awaited *awaited_of(struct queued *queued)
{
    return (struct awaited *)queued;
}

struct awaited *awaited_new(const struct task *task)
{
    const struct request *req = task->req;
    struct awaited *a = calloc(1, sizeof *a + req->id_len);
    if (!a) {
        PyErr_NoMemory();
        return NULL;
    }
    a->number = ++awaited.last;
    a->form = task->opts.form;
    a->form.stage = STAGE_CODE;
    a->bills = task->opts.bill != BILL_NONE;
    a->since = clock_now();
    a->id_len = req->id_len;
    memcpy(a->id, req->frame + req->id_at, req->id_len);
    return a;
}

void awaited_free(struct awaited *a)
{
    Py_XDECREF(a->captured);
    free(a);
}

void awaited_add(struct awaited *a)
{
    lock();
    queue_push(&awaited.all, &a->queued);
    unlock();
}

/* ---- finding (with the lock) ------------------------------------------ */

/* The link that points to the one with this number, or to NULL. */
static struct queued **link_of(long number)
{
    struct queued **link = &awaited.all.first;
    while (*link && awaited_of(*link)->number != number)
        link = &(*link)->next;
    return link;
}

static struct awaited *find(const struct request *req)
{
    struct queued *q = awaited.all.first;
    while (q && !request_has_id(req, awaited_of(q)->id, awaited_of(q)->id_len))
        q = q->next;
    return awaited_of(q);
}

/* ---- by id, by number ------------------------------------------------- */

struct awaited *awaited_take(long number)
{
    lock();
    struct awaited *a = awaited_of(queue_unlink(&awaited.all, link_of(number)));
    unlock();
    return a;
}

bool awaited_cancel(const struct request *req)
{
    lock();
    struct awaited *a = find(req);
    if (a)
        a->cancelled = true;
    unlock();
    return a != NULL;
}

const struct awaited *awaited_tell(void)
{
    lock();
    struct queued *q = awaited.all.first;
    while (q && !(awaited_of(q)->cancelled && !awaited_of(q)->told))
        q = q->next;
    struct awaited *a = awaited_of(q);
    if (a)
        a->told = true;
    unlock();
    return a;
}

void awaited_put_id(long number, struct buf *out)
{
    lock();
    const struct awaited *a = awaited_of(*link_of(number));
    if (a)
        put_raw(out, a->id, a->id_len);
    else
        put_atom_z(out, "none");
    unlock();
}
