/* SPDX-License-Identifier: Apache-2.0
 *
 * pages: memory beside malloc, which costs nothing until somebody touches it.
 * Any thread, no GIL.
 */
#ifndef PORT_MEMORY_PAGES_H
#define PORT_MEMORY_PAGES_H

#include <stddef.h>

/* `size` bytes, all 0, for ever; NULL: there is no room. */
void *pages_reserve(size_t size);

#endif
