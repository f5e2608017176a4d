/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_arena: the arenas, in which Python keeps all objects of up to 512 bytes.
 * Any thread, no GIL: what is read while Python works is a little old.
 */
#ifndef PORT_MEMORY_HEAP_ARENA_H
#define PORT_MEMORY_HEAP_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/* Of CPython since 3.10, with its default settings. */
#define HEAP_ARENA_SIZE ((size_t)1 << 20)

/* Call once, before there are threads. 0, or -1: no memory. */
int heap_arena_init(void);

/* An arena was mapped, or is about to be unmapped. False: no memory to remember
 * it, and it must not be used. */
bool heap_arena_put(const void *arena);
void heap_arena_remove(const void *arena);

/* Whether a block is in an arena. */
bool heap_arena_has(const void *block);

size_t heap_arena_count(void);

/* How many bytes of the arenas no object has. Takes a microsecond or two for
 * each. */
size_t heap_arena_unused(void);

#endif
