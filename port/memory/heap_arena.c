/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_arena.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* An arena has pools, each with blocks of one size. */
#define POOL_SIZE ((size_t)16 * 1024)
#define BLOCK_STEP 16
#define SIZES 32

/* How a pool begins (CPython's struct pool_header). Both numbers are 0 if there
 * was no pool yet. */
struct pool {
    unsigned blocks; /* in use */
    void *links[3];
    unsigned arena;
    unsigned size; /* the index of its blocks' size */
};

/* In order of their addresses. */
static struct {
    pthread_mutex_t lock;
    const char **at;
    size_t n;
    size_t room;
} arenas = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock(void)
{
    pthread_mutex_lock(&arenas.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&arenas.lock);
}

/* A forked child does not inherit a lock that nobody unlocks. */
int heap_arena_init(void)
{
    return pthread_atfork(lock, unlock, unlock) == 0 ? 0 : -1;
}

/* ---- the list (with the lock) ----------------------------------------- */

/* How many arenas begin at this address or below. */
static size_t rank(const char *address)
{
    size_t low = 0, high = arenas.n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uintptr_t)arenas.at[middle] <= (uintptr_t)address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool has_room(void)
{
    if (arenas.n < arenas.room)
        return true;
    const size_t room = arenas.room ? 2 * arenas.room : 64;
    const char **at = realloc(arenas.at, room * sizeof *at);
    if (!at)
        return false;
    arenas.at = at;
    arenas.room = room;
    return true;
}

static void insert(const char *arena)
{
    const size_t i = rank(arena);
    memmove(arenas.at + i + 1, arenas.at + i,
            (arenas.n - i) * sizeof *arenas.at);
    arenas.at[i] = arena;
    arenas.n++;
}

static void cut_out(const char *arena)
{
    const size_t i = rank(arena);
    if (i == 0 || arenas.at[i - 1] != arena)
        return;
    memmove(arenas.at + i - 1, arenas.at + i,
            (arenas.n - i) * sizeof *arenas.at);
    arenas.n--;
}

/* ---- counting (with the lock) ----------------------------------------- */

/* What cannot be a pool counts as full. */
static size_t used_in_pool(const struct pool *pool)
{
    if (pool->size >= SIZES)
        return POOL_SIZE;
    const size_t used = (size_t)pool->blocks * BLOCK_STEP * (pool->size + 1);
    return used < POOL_SIZE ? used : POOL_SIZE;
}

/* Pools begin at multiples of their size. */
static size_t used_in_arena(const char *arena)
{
    const size_t past = (uintptr_t)arena % POOL_SIZE;
    const char *end = arena + HEAP_ARENA_SIZE;
    size_t used = 0;
    for (const char *pool = past ? arena + POOL_SIZE - past : arena;
         pool + POOL_SIZE <= end; pool += POOL_SIZE)
        used += used_in_pool((const void *)pool);
    return used;
}

/* ---- for everybody ---------------------------------------------------- */

bool heap_arena_put(const void *arena)
{
    lock();
    const bool fits = has_room();
    if (fits)
        insert(arena);
    unlock();
    return fits;
}

void heap_arena_remove(const void *arena)
{
    lock();
    cut_out(arena);
    unlock();
}

bool heap_arena_has(const void *block)
{
    lock();
    const size_t i = rank(block);
    const bool has = i > 0 && (size_t)((const char *)block - arenas.at[i - 1]) <
                                  HEAP_ARENA_SIZE;
    unlock();
    return has;
}

size_t heap_arena_count(void)
{
    lock();
    const size_t n = arenas.n;
    unlock();
    return n;
}

size_t heap_arena_unused(void)
{
    size_t unused = 0;
    lock();
    for (size_t i = 0; i < arenas.n; i++)
        unused += HEAP_ARENA_SIZE - used_in_arena(arenas.at[i]);
    unlock();
    return unused;
}
