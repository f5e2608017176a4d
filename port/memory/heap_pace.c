/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_pace.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

static struct {
    _Atomic(double) rate;
    double least;
    unsigned most; /* in a second */
    unsigned left; /* until the rate doubles */
    unsigned half; /* of what may come then */
    time_t second;
} pace;

static void set_rate(double rate)
{
    atomic_store_explicit(&pace.rate, rate, memory_order_relaxed);
}

double heap_pace_rate(void)
{
    return atomic_load_explicit(&pace.rate, memory_order_relaxed);
}

double heap_pace_least(void)
{
    return pace.least;
}

/* Half of what a second may have comes at its rate, a quarter at twice that,
 * and so on: so it has never more. */
static void begin(time_t second)
{
    pace.second = second;
    pace.left = pace.half = pace.most / 2 + 1;
}

void heap_pace_init(double rate, unsigned most)
{
    pace.least = rate;
    pace.most = most;
    set_rate(rate);
    begin(0);
}

/* The kernel keeps it in a page of ours: reading it is no system call. */
static time_t now(void)
{
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return time.tv_sec;
}

/* What was too much for one second may not be for the next. */
static void relax(void)
{
    const double half = heap_pace_rate() / 2;
    set_rate(half > pace.least ? half : pace.least);
}

void heap_pace_took(void)
{
    const time_t second = now();
    if (second != pace.second) {
        relax();
        begin(second);
    }
    if (--pace.left > 0)
        return;
    set_rate(2 * heap_pace_rate());
    pace.half = pace.half / 2 + 1;
    pace.left = pace.half;
}

void heap_pace_double(void)
{
    pace.least *= 2;
    if (heap_pace_rate() < pace.least)
        set_rate(pace.least);
}
