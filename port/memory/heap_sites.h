/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_sites: what the samples of the heap stand for, summed up by their
 * stacks.
 *
 * A block that becomes a sample with a probability of p stands for 1/p blocks
 * like it, and adds (1 - p) / p² times the square of its size to the variance
 * of the sum.
 */
#ifndef PORT_MEMORY_HEAP_SITES_H
#define PORT_MEMORY_HEAP_SITES_H

#include "memory/heap_samples.h"

struct heap_site {
    double bytes;
    double variance;
    double count;
    uint32_t depth;
    uint32_t frames[HEAP_SAMPLES_DEPTH];
};

struct heap_sites {
    struct heap_site *all;
    size_t n;
    size_t room;
};

/* A copy of all live samples with a number above `after`; the caller frees
 * `all`. 0, or -1: there is no memory. GIL held. */
int heap_sites_read(uint64_t after, struct heap_sites *sites);

#endif
