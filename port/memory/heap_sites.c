/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_sites.h"

#include <stdlib.h>
#include <string.h>

#include "memory/chance.h"

static void add_sample(const struct heap_sample *sample, void *arg)
{
    struct heap_sites *sites = arg;
    if (sites->n == sites->room)
        return;
    const double p = chance_of(sample->size, sample->rate);
    const double size = (double)sample->size;
    struct heap_site *site = &sites->all[sites->n++];
    site->bytes = size / p;
    site->variance = size * size * (1 - p) / p / p;
    site->count = 1 / p;
    site->depth = sample->depth;
    memcpy(site->frames, sample->frames,
           sample->depth * sizeof *sample->frames);
}

static int compare(const void *a, const void *b)
{
    const struct heap_site *one = a, *other = b;
    if (one->depth != other->depth)
        return one->depth < other->depth ? -1 : 1;
    return memcmp(one->frames, other->frames, one->depth * sizeof *one->frames);
}

/* Sites with the same stack become one. */
static void add_up(struct heap_sites *sites)
{
    size_t n = 0;
    qsort(sites->all, sites->n, sizeof *sites->all, compare);
    for (size_t i = 0; i < sites->n; i++) {
        const struct heap_site *site = &sites->all[i];
        if (n == 0 || compare(&sites->all[n - 1], site) != 0) {
            sites->all[n++] = *site;
            continue;
        }
        sites->all[n - 1].bytes += site->bytes;
        sites->all[n - 1].variance += site->variance;
        sites->all[n - 1].count += site->count;
    }
    sites->n = n;
}

int heap_sites_read(uint64_t after, struct heap_sites *sites)
{
    struct heap_samples_numbers numbers;
    heap_samples_read(&numbers);
    *sites = (struct heap_sites){.room = numbers.live + 1};
    sites->all = malloc(sites->room * sizeof *sites->all);
    if (!sites->all)
        return -1;
    heap_samples_visit(after, add_sample, sites);
    add_up(sites);
    return 0;
}
