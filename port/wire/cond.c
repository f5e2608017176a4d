/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "wire/cond.h"

#include <time.h>

#define NS_PER_S 1000000000L

void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void cond_wait_ns(pthread_cond_t *cond, pthread_mutex_t *mutex, long ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ns;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    pthread_cond_timedwait(cond, mutex, &until);
}
