/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/pages.h"

#include <sys/mman.h>

void *pages_reserve(size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    /* cppcheck-suppress invalidFunctionArg */
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    /* cppcheck-suppress memleak */
    return pages == MAP_FAILED ? NULL : pages;
}
