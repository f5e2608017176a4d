/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc: how glibc's malloc is set.
 */
#ifndef PORT_MEMORY_MALLOC_H
#define PORT_MEMORY_MALLOC_H

/* Gives malloc fixed thresholds and few arenas. Settings that the environment
 * makes (MALLOC_…, GLIBC_TUNABLES) stay. Without glibc it does nothing. Call
 * first, before there are threads. */
void malloc_set(void);

#endif
