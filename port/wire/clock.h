/* SPDX-License-Identifier: Apache-2.0
 *
 * clock: the monotonic clock, so that nobody waits for hours because somebody
 * has set the time. No Python, no GIL.
 */
#ifndef PORT_WIRE_CLOCK_H
#define PORT_WIRE_CLOCK_H

#include <pthread.h>

#define CLOCK_NS_PER_US 1000L
#define CLOCK_NS_PER_MS 1000000L

/* Nanoseconds since some moment in the past. */
long long clock_now(void);

/* The same as of the kernel's last tick, which is 10 milliseconds ago at most:
 * for who looks at the clock all the time. */
long long clock_coarse(void);

/* Nanoseconds for which the calling thread has run. */
long long clock_thread(void);

/* Sleeps for `ms` milliseconds. */
void clock_sleep(long ms);

/* A condition variable that waits by this clock. Call once, before there are
 * threads. */
void clock_init_cond(pthread_cond_t *cond);

/* Waits for a signal, for `ms` milliseconds at most, with the mutex held before
 * and after. */
void clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, long ms);

#endif
