/* SPDX-License-Identifier: Apache-2.0
 *
 * malloc: how glibc's malloc is set.
 */
#ifndef PORT_MEMORY_MALLOC_H
#define PORT_MEMORY_MALLOC_H

/* Gives malloc fixed thresholds and few arenas. What the environment says of a
 * setting (MALLOC_…, GLIBC_TUNABLES) stays. Elsewhere than in glibc it does
 * nothing. Call first, before there are threads. */
void malloc_set(void);

#endif
