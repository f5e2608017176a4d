/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/heap.h"

#include "process/heap_account.h"
#include "process/heap_arena.h"
#include "process/heap_hook.h"
#include "task/map.h"

static int describe_arenas(PyObject *map)
{
    const size_t count = heap_arena_count();
    const size_t bytes = count * HEAP_ARENA_SIZE;
    return map_take(map, "count", PyLong_FromSize_t(count)) < 0 ||
                   map_take(map, "bytes", PyLong_FromSize_t(bytes)) < 0
               ? -1
               : 0;
}

static int describe_heap(PyObject *map)
{
    struct heap_numbers heap;
    heap_account_read(&heap);
    if (map_take(map, "current", PyLong_FromSize_t(heap.current)) < 0 ||
        map_take(map, "peak", PyLong_FromSize_t(heap.peak)) < 0)
        return -1;
    if (heap.limit == HEAP_NO_LIMIT)
        return 0;
    return map_take(map, "limit", PyLong_FromSize_t(heap.limit));
}

int heap_describe(PyObject *map)
{
    if (map_take(map, "arenas", map_make(describe_arenas)) < 0)
        return -1;
    if (!heap_hook_counts())
        return 0;
    return map_take(map, "heap", map_make(describe_heap));
}
