/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/bill.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "memory/chance.h"
#include "memory/heap_account.h"
#include "memory/heap_arena.h"
#include "memory/heap_hook.h"
#include "task/gc_pause.h"
#include "task/reply.h"
#include "wire/clock.h"
#include "wire/protocol.h"
#include "wire/put.h"

/* A look at this many arenas takes tens of microseconds. */
#define ARENAS 16

static struct bill lowest; /* of the main thread */
static _Thread_local struct bill *bill = &lowest;

void bill_enter(struct bill *own)
{
    own->below = bill;
    bill = own;
}

void bill_leave(void)
{
    bill = bill->below;
}

/* The second number of statm. Without stdio, because nothing is to be allocated
 * for it. */
static long long read_rss(void)
{
    char text[128];
    long long pages = -1;
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    if (sscanf(text, "%*s %lld", &pages) != 1)
        return -1;
    return pages * sysconf(_SC_PAGESIZE);
}

static long long read_used(void)
{
    struct heap_numbers heap;
    if (!bill->looks)
        return -1;
    heap_account_read(&heap);
    return (long long)heap.current;
}

/* What others do meanwhile is not known apart. */
static struct reading take_aside(void)
{
    return (struct reading){.at = clock_now(), .rss = -1, .used = -1};
}

static struct reading take(void)
{
    if (task_is_aside())
        return take_aside();
    struct reading now = {
        .at = clock_now(), .rss = read_rss(), .used = read_used()};
    gc_pause_sum(&now.runs, &now.pause);
    return now;
}

/* At random, so that a job that comes every second time is not always looked
 * at. */
void bill_begin(enum bill_kind kind)
{
    bill->one_in = kind == BILL_SOME ? 1 + heap_arena_count() / ARENAS : 1;
    bill->looks = bill == &lowest && heap_hook_counts() &&
                  chance_says(1.0 / (double)bill->one_in);
    bill->before = take();
    if (bill == &lowest)
        bill->held = heap_account_watch();
    bill->before.at = clock_now(); /* last, because looking takes time */
}

/* What the job found free in arenas, and took, was held before. */
static long long peak(long long grown)
{
    const long long more =
        (long long)heap_account_watched() - (long long)bill->held;
    return more > grown ? more : grown > 0 ? grown : 0;
}

static void put_number(struct buf *out, const char *key, long long n)
{
    put_atom_z(out, key);
    put_long(out, n);
}

static void put_heap(struct buf *out, long long grown)
{
    put_number(out, "heap_delta", grown);
    put_number(out, "heap_peak", peak(grown));
    if (bill->one_in > 1)
        put_number(out, "one_in", (long long)bill->one_in);
}

static void put_bill(struct buf *out, const struct reading *now)
{
    const struct reading *before = &bill->before;
    const bool counts = now->used >= 0;
    const bool sees = now->rss >= 0 && before->rss >= 0;
    put_tuple(out, 2);
    put_atom_z(out, "bill");
    put_map(out, 3 + (counts ? 2 + (bill->one_in > 1) : 0) + (sees ? 1 : 0));
    put_number(out, "time", (now->at - before->at) / CLOCK_NS_PER_US);
    put_number(out, "gc_runs", now->runs - before->runs);
    put_number(out, "gc_pause", (now->pause - before->pause) / CLOCK_NS_PER_US);
    if (counts)
        put_heap(out, now->used - before->used);
    if (sees)
        put_number(out, "rss_delta", now->rss - before->rss);
}

void bill_send(const struct task *task)
{
    const struct request *req = task->req;
    const struct reading now = take();
    struct buf out;

    buf_init(&out, 0);
    reply_begin(&out, req->frame + req->id_at, req->id_len);
    put_bill(&out, &now);
    if (out.why == BUF_OK)
        reply_send(&out);
    buf_free(&out);
}
