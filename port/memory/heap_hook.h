/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_hook: counts what Python's allocators take and give back in the account
 * of its heap (heap_account.h), and refuses what is too much.
 *
 * It is installed before Python starts, right above the allocators that take
 * memory from the system; what is installed later, tracemalloc or Python's own
 * checks, goes above it. It is never removed.
 */
#ifndef PORT_MEMORY_HEAP_HOOK_H
#define PORT_MEMORY_HEAP_HOOK_H

#include <stdbool.h>
#include <stddef.h>

#include "memory/heap_profile.h"
#include "value/python.h"

struct heap_hook_options {
    size_t limit; /* bytes, or HEAP_NO_LIMIT; 0: none is given */
    bool account;
    struct heap_profile_options profile;
};

/* Prepares Python (Py_PreInitialize) and installs the hook. Only arenas are
 * counted, unless there is a limit or a profile, or `account` asks for more.
 * Call once, before Python starts. */
PyStatus heap_hook_install(const struct heap_hook_options *options);

/* Whether Python's heap is counted. */
bool heap_hook_counts(void);

/* A job, or a step of a stream, begins and ends: in between, what it may have
 * is limited. `failed`: with an exception. GIL held. Never raises.
 */
void heap_hook_begin_job(void);
void heap_hook_end_job(bool failed);

/* A new limit, or HEAP_NO_LIMIT. 0, or -1: the heap is not counted, or it had
 * no limit so far and tracemalloc stands where the hook belongs. GIL held. */
int heap_hook_limit(size_t limit);

#endif
