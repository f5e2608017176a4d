/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes: big-endian numbers in bytes, as frames and external format have them.
 * No length is checked. No Python, no GIL; safe in a signal handler.
 */
#ifndef PORT_WIRE_BYTES_H
#define PORT_WIRE_BYTES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The number in the first `width` (0..4) bytes. */
static inline uint32_t bytes_get(const void *p, size_t width)
{
    const unsigned char *byte = p;
    uint32_t v = 0;
    if (width == 1)
        return *byte;
    if (width == 2)
        return (uint32_t)byte[0] << 8 | byte[1];
    if (width == 4) {
        memcpy(&v, p, 4);
        return be32toh(v);
    }
    for (size_t i = 0; i < width; i++)
        v = v << 8 | byte[i];
    return v;
}

/* Writes the lowest `width` (0..8) bytes of v. */
static inline void bytes_put(void *p, uint64_t v, size_t width)
{
    if (width > 0) {
        v = htobe64(v << (64 - 8 * width));
        memcpy(p, &v, width);
    }
}

#endif
