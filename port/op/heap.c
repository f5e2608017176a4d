/* SPDX-License-Identifier: Apache-2.0
 *
 * What Python's and C's allocators have taken, and the lane; and giving what is
 * free of malloc's and of the lane's memory back to the kernel. It needs no
 * Python: it is needed most while C code holds the GIL.
 */
#include "config.h"

#ifdef HAVE_MALLOC_TRIM
#include <malloc.h>
#endif

#include "op/op.h"
#include "memory/heap_account.h"
#include "memory/heap_arena.h"
#include "memory/heap_hook.h"
#include "memory/mallinfo.h"
#include "task/reply.h"
#include "wire/lane.h"
#include "wire/put.h"

static void put_number(struct buf *out, const char *key, size_t n)
{
    put_atom_z(out, key);
    put_long(out, (long long)n);
}

static void put_arenas(struct buf *out)
{
    const size_t count = heap_arena_count();
    put_atom_z(out, "arenas");
    put_map(out, 3);
    put_number(out, "count", count);
    put_number(out, "bytes", count * HEAP_ARENA_SIZE);
    put_number(out, "unused", heap_arena_unused());
}

static void put_malloc(struct buf *out, const struct mallinfo_numbers *numbers)
{
    put_atom_z(out, "malloc");
    put_map(out, 3);
    put_number(out, "used", numbers->used);
    put_number(out, "free", numbers->free);
    put_number(out, "pieces", numbers->pieces);
}

static void put_heap(struct buf *out)
{
    struct heap_numbers heap;
    heap_account_read(&heap);
    const bool limited = heap.limit != HEAP_NO_LIMIT;
    put_atom_z(out, "heap");
    put_map(out, limited ? 3 : 2);
    put_number(out, "current", heap.current);
    put_number(out, "peak", heap.peak);
    if (limited)
        put_number(out, "limit", heap.limit);
}

void op_memory_detail(const struct task *task, struct buf *out)
{
    (void)task;
    struct mallinfo_numbers numbers;
    const bool counts = heap_hook_counts();
    const bool tells = mallinfo_read(&numbers);
    put_tuple(out, 2);
    put_atom_z(out, "ok");
    put_map(out, 2 + (tells ? 1 : 0) + (counts ? 1 : 0));
    put_number(out, "lane", lane_bytes());
    put_arenas(out);
    if (tells)
        put_malloc(out, &numbers);
    if (counts)
        put_heap(out);
}

/* With a million free blocks this takes 100 milliseconds, and whoever needs
 * malloc meanwhile waits. */
void op_trim(const struct task *task, struct buf *out)
{
    (void)task;
    lane_tidy();
#ifdef HAVE_MALLOC_TRIM
    (void)malloc_trim(0);
    reply_ok(out);
#else
    reply_error(out, "unsupported");
#endif
}
