/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_sized.h"

#include <stddef.h>
#include <stdint.h>

#include "memory/heap_account.h"

/* What follows it is aligned as malloc aligns. */
union head {
    size_t size; /* including the head */
    max_align_t align;
};

static PyMemAllocatorEx below; /* constant once Python has started */

static union head *head_of(void *block)
{
    return block ? (union head *)block - 1 : NULL;
}

/* The size with a head; 0: it is too large. */
static size_t with_head(size_t n)
{
    return n <= SIZE_MAX - sizeof(union head) ? n + sizeof(union head) : 0;
}

/* Counts a block that had this size before, or 0. */
static void *counted(union head *head, size_t before, size_t size)
{
    if (!head)
        return NULL;
    head->size = size;
    heap_account_change(before, size);
    return head + 1;
}

static void *sized_malloc(void *ctx, size_t n)
{
    const size_t size = with_head(n);
    return size ? counted(below.malloc(ctx, size), 0, size) : NULL;
}

static void *sized_calloc(void *ctx, size_t n, size_t each)
{
    if (each > 0 && n > SIZE_MAX / each)
        return NULL;
    const size_t size = with_head(n * each);
    return size ? counted(below.calloc(ctx, 1, size), 0, size) : NULL;
}

static void *sized_realloc(void *ctx, void *block, size_t n)
{
    const size_t before = block ? heap_sized_of(block) : 0;
    const size_t size = with_head(n);
    return size
               ? counted(below.realloc(ctx, head_of(block), size), before, size)
               : NULL;
}

static void sized_free(void *ctx, void *block)
{
    if (block)
        heap_account_sub(heap_sized_of(block));
    below.free(ctx, head_of(block));
}

PyMemAllocatorEx heap_sized_on(const PyMemAllocatorEx *allocator)
{
    below = *allocator;
    return (PyMemAllocatorEx){below.ctx, sized_malloc, sized_calloc,
                              sized_realloc, sized_free};
}

size_t heap_sized_of(const void *block)
{
    return ((const union head *)block - 1)->size;
}
