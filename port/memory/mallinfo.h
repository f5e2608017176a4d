/* SPDX-License-Identifier: Apache-2.0
 *
 * mallinfo: what C's allocator has in use and what it keeps free. Any thread,
 * no GIL.
 */
#ifndef PORT_MEMORY_MALLINFO_H
#define PORT_MEMORY_MALLINFO_H

#include <stdbool.h>
#include <stddef.h>

struct mallinfo_numbers {
    size_t used;
    size_t free;
    size_t pieces; /* free, but in pieces that no page fits into */
};

/* With a million free blocks this takes 100 milliseconds, and whoever needs
 * malloc meanwhile waits. False: the C library does not say, or there was no
 * memory. */
bool mallinfo_read(struct mallinfo_numbers *numbers);

#endif
