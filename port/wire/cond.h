/* SPDX-License-Identifier: Apache-2.0
 *
 * cond: condition variables that wait by the monotonic clock, so that nobody
 * waits for hours because somebody has set the time. No Python, no GIL.
 */
#ifndef PORT_WIRE_COND_H
#define PORT_WIRE_COND_H

#include <pthread.h>

/* Call once, before there are threads. */
void cond_init(pthread_cond_t *cond);

/* Waits for a signal, or so many nanoseconds (less than a second), with the
 * mutex held before and after. */
void cond_wait_ns(pthread_cond_t *cond, pthread_mutex_t *mutex, long ns);

#endif
