/* SPDX-License-Identifier: Apache-2.0
 *
 * profiled: a Python inside a C test whose heap is sampled, and what the
 * samples say.
 */
#ifndef TEST_C_PROFILED_H
#define TEST_C_PROFILED_H

#include "embed.h"
#include "memory/chance.h"
#include "memory/heap_account.h"
#include "memory/heap_hook.h"
#include "memory/heap_samples.h"

#define RATE 2048
#define SAMPLES 4096

struct sums {
    double bytes;
    double variance;
    size_t n;
};

static inline void add(const struct heap_sample *sample, void *arg)
{
    struct sums *sums = arg;
    const double p = chance_of(sample->size, sample->rate);
    const double size = (double)sample->size;
    sums->bytes += size / p;
    sums->variance += size * size * (1 - p) / p / p;
    sums->n++;
}

static inline struct sums since(uint64_t mark)
{
    struct sums sums = {0, 0, 0};
    heap_samples_visit(mark, add, &sums);
    return sums;
}

static inline struct heap_samples_numbers numbers(void)
{
    struct heap_samples_numbers read;
    heap_samples_read(&read);
    return read;
}

static inline size_t exact(void)
{
    struct heap_numbers heap;
    heap_account_read(&heap);
    return heap.current;
}

/* The allocator that this test is about, and always the same numbers. */
static inline int start(void **state)
{
    (void)state;
    unsetenv("PYTHONMALLOC");
    const struct heap_hook_options options = {
        .profile = {RATE, SAMPLES, 1000000000}};
    PyStatus status = heap_hook_install(&options);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    embed_start();
    chance_seed(20261125);
    return 0;
}

static inline int stop(void **state)
{
    (void)state;
    embed_stop();
    return 0;
}

#endif
