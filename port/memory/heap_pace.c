/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_pace.h"

#include <math.h>
#include <stdatomic.h>
#include <time.h>

/* How many turns a second has. If a turn had too many samples, the next one
 * begins with half of its rate, so that the rate becomes right. */
#define TURNS 8
#define PARTS 32

static struct {
    _Atomic(double) rate;
    double wanted; /* the rate that was asked for */
    double least;
    unsigned most; /* in a second */
    unsigned left; /* until the rate doubles */
    long turn;
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

/* Half of the samples that a turn may have come at its first rate, and then the
 * rate doubles with each small part: so there are hardly ever more. */
static void begin(long turn)
{
    pace.turn = turn;
    pace.left = pace.most / TURNS / 2 + 1;
}

void heap_pace_init(double rate, unsigned most)
{
    pace.wanted = pace.least = rate;
    pace.most = most;
    set_rate(rate);
    begin(0);
}

/* The kernel keeps the time in a page of ours: reading it takes no system call.
 */
static long now(void)
{
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return (long)time.tv_sec * TURNS + time.tv_nsec * TURNS / 1000000000;
}

/* What was too much for some turns may not be too much for the next, and a heap
 * may shrink. */
static void relax(long turns, bool has_room)
{
    if (has_room && pace.least > pace.wanted)
        pace.least /= 2;
    const double rate =
        ldexp(heap_pace_rate(), turns < 100 ? -(int)turns : -100);
    set_rate(rate > pace.least ? rate : pace.least);
}

void heap_pace_look(bool has_room)
{
    const long turn = now();
    if (turn == pace.turn)
        return;
    relax(turn - pace.turn, has_room);
    begin(turn);
}

void heap_pace_took(void)
{
    if (--pace.left > 0)
        return;
    set_rate(2 * heap_pace_rate());
    pace.left = pace.most / TURNS / PARTS + 1;
}

void heap_pace_double(void)
{
    pace.least *= 2;
    if (heap_pace_rate() < pace.least)
        set_rate(pace.least);
}
