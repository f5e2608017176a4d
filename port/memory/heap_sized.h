/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_sized: allocators that do not say how large a block is (mimalloc): each
 * block gets a head that does, and is counted.
 */
#ifndef PORT_MEMORY_HEAP_SIZED_H
#define PORT_MEMORY_HEAP_SIZED_H

#include "value/python.h"

/* The same allocator with heads. Call once, before there are blocks. */
PyMemAllocatorEx heap_sized_on(const PyMemAllocatorEx *allocator);

/* What a block takes, its head included. */
size_t heap_sized_of(const void *block);

#endif
