/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "wire/clock.h"

#include <time.h>

#define NS_PER_S 1000000000LL

static struct timespec from_ns(long long ns)
{
    return (struct timespec){ns / NS_PER_S, ns % NS_PER_S};
}

static long long read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

long long clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

long long clock_coarse(void)
{
    return read_clock(CLOCK_MONOTONIC_COARSE);
}

long long clock_thread(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

void clock_sleep(long ms)
{
    const struct timespec t = from_ns(ms * CLOCK_NS_PER_MS);
    nanosleep(&t, NULL);
}

void clock_init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void clock_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, long ms)
{
    const struct timespec until = from_ns(clock_now() + ms * CLOCK_NS_PER_MS);
    pthread_cond_timedwait(cond, mutex, &until);
}
