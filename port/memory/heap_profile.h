/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_profile: takes samples of what Python's allocators hand out, and keeps
 * the stack of each until it is freed.
 *
 * The hook stands above the one that counts and limits, and below tracemalloc.
 * It calls no Python function, counts no reference, takes no lock and makes no
 * system call. RAW is not sampled: nobody knows who has the GIL there. It is
 * counted (heap_account.h).
 */
#ifndef PORT_MEMORY_HEAP_PROFILE_H
#define PORT_MEMORY_HEAP_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value/python.h"

struct heap_profile_options {
    size_t rate;         /* bytes for one sample; 0: no samples */
    size_t samples;      /* the most that live */
    unsigned per_second; /* the most new ones */
};

/* Room for the samples. Call once, before there are blocks. 0, or -1: there is
 * no memory. */
int heap_profile_init(const struct heap_profile_options *options);

/* The same allocator with samples, for OBJ and MEM. Call once. */
PyMemAllocatorEx heap_profile_on(const PyMemAllocatorEx *allocator);

/* Replaces the allocator below by another one for the same blocks. GIL held. */
void heap_profile_put_below(const PyMemAllocatorEx *allocator);

/* Whether there is a profile at all. */
bool heap_profile_is_in(void);

/* Says whether samples are taken; at first they are. GIL held. */
void heap_profile_switch(bool on);
bool heap_profile_is_on(void);

/* With true, nothing that this thread allocates becomes a sample, until it says
 * false. */
void heap_profile_exempt_thread(bool exempt);

/* What is in use now is before the mark. GIL held. */
void heap_profile_set_mark(void);
uint64_t heap_profile_mark(void);

#endif
