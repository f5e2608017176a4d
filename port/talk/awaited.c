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
    a->credit = task->opts.credit;
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

/* One that is stopped and cancelled, in either order, is cancelled. */
static bool end(const struct request *req, bool stopped)
{
    lock();
    struct awaited *a = find(req);
    if (a && stopped && !a->is_stream)
        a = NULL;
    if (a) {
        a->stopped = stopped && (a->stopped || !a->cancelled);
        a->cancelled = true;
    }
    unlock();
    return a != NULL;
}

bool awaited_cancel(const struct request *req)
{
    return end(req, false);
}

bool awaited_stop(const struct request *req)
{
    return end(req, true);
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

bool awaited_put_id(long number, struct buf *out)
{
    lock();
    const struct awaited *a = awaited_of(*link_of(number));
    if (a)
        put_raw(out, a->id, a->id_len);
    else
        put_atom_z(out, "none");
    unlock();
    return a != NULL;
}

/* ---- streams ---------------------------------------------------------- */

bool awaited_more(const struct request *req, long long n)
{
    lock();
    struct awaited *a = find(req);
    if (a) {
        a->credit += n;
        a->more = true;
    }
    unlock();
    return a != NULL;
}

long awaited_next_given(void)
{
    lock();
    struct queued *q = awaited.all.first;
    while (q && !awaited_of(q)->more)
        q = q->next;
    if (q)
        awaited_of(q)->more = false;
    const long number = q ? awaited_of(q)->number : 0;
    unlock();
    return number;
}

long long awaited_credit(long number)
{
    lock();
    const struct awaited *a = awaited_of(*link_of(number));
    const long long credit = a ? a->credit : 0;
    unlock();
    return credit;
}

long long awaited_use_credit(long number, long n)
{
    lock();
    struct awaited *a = awaited_of(*link_of(number));
    const long long left = a ? a->credit -= n : 0;
    unlock();
    return left;
}

void awaited_blame_reply(long number)
{
    lock();
    struct awaited *a = awaited_of(*link_of(number));
    if (a)
        a->form.stage = STAGE_REPLY;
    unlock();
}
