/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/chance.h"

#include <math.h>

#include "wire/clock.h"

/* 2^-53: a double has 53 bits. */
#define STEP (1.0 / 9007199254740992.0)

static _Thread_local uint64_t state;

/* Other numbers in each thread and each process: from the time, and from where
 * this thread's memory is. */
static uint64_t first(void)
{
    return ((uint64_t)clock_now() << 20) ^ (uintptr_t)&state ^
           0x9e3779b97f4a7c15ULL;
}

/* xorshift64*, above 0 and at most 1. */
static double draw(void)
{
    if (state == 0)
        state = first();
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (double)((state * 0x2545f4914f6cdd1dULL >> 11) + 1) * STEP;
}

int64_t chance_interval(double rate)
{
    return (int64_t)(-log(draw()) * rate);
}

double chance_of(size_t n, double rate)
{
    return -expm1(-(double)n / rate);
}

bool chance_says(double probability)
{
    return draw() <= probability;
}

void chance_seed(uint64_t number)
{
    state = number;
}
