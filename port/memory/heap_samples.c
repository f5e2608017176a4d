/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_samples.h"

#include "memory/chance.h"
#include "memory/heap_pace.h"
#include "memory/pages.h"

/* A block that is no longer a sample keeps its entry until it is freed.
 * Whenever the heap has doubled, half of the samples have become such blocks.
 * So of the entries that are left a quarter may be samples: there are an eighth
 * fewer of them each time, and always some. */
#define ENTRIES_FOR_EACH 4

/* Lists of larger blocks, by their addresses. */
#define LISTS 4096

/* Dropping leaves at most this much of the samples. */
#define KEPT_OF_EACH_4 3

/* An index is one more than it is in C: 0 means none. */
static struct {
    struct heap_sample *entries;
    char *range;
    size_t room;
    size_t begun; /* the entries from here on were never used */
    uint32_t unused;
    uint32_t lists[LISTS];
    size_t used;
    size_t live;
    size_t in_range;
    uint64_t last;
    uint64_t cleared; /* samples up to this number do not count */
    uint64_t thinned;
    double missed;
} table;

int heap_samples_init(size_t samples)
{
    table.room = samples * ENTRIES_FOR_EACH;
    table.entries = pages_reserve(table.room * sizeof *table.entries);
    table.range = pages_reserve(table.room * HEAP_SAMPLES_SLOT);
    return table.entries && table.range ? 0 : -1;
}

void heap_samples_range(uintptr_t *begin, size_t *size)
{
    *begin = (uintptr_t)table.range;
    *size = table.room * HEAP_SAMPLES_SLOT;
}

/* ---- entries ---------------------------------------------------------- */

static uint32_t index_of(const struct heap_sample *sample)
{
    return (uint32_t)(sample - table.entries) + 1;
}

static struct heap_sample *entry(uint32_t index)
{
    return &table.entries[index - 1];
}

struct heap_sample *heap_samples_new(void)
{
    if (table.used == table.room)
        return NULL;
    table.used++;
    if (!table.unused)
        return &table.entries[table.begun++];
    struct heap_sample *sample = entry(table.unused);
    table.unused = sample->next;
    return sample;
}

char *heap_samples_slot(const struct heap_sample *sample)
{
    return table.range + (size_t)(sample - table.entries) * HEAP_SAMPLES_SLOT;
}

static uint32_t *list_of(const void *block)
{
    const uintptr_t page = (uintptr_t)block / HEAP_SAMPLES_PAGE;
    return &table.lists[(page ^ page >> 12) % LISTS];
}

static void cut_out(struct heap_sample *sample)
{
    uint32_t *link = list_of(sample->block);
    while (*link != index_of(sample))
        link = &entry(*link)->next;
    *link = sample->next;
}

/* ---- which of them count ---------------------------------------------- */

static bool counts(const struct heap_sample *sample)
{
    return sample->block && sample->rate > 0 && sample->number > table.cleared;
}

/* From now on the block is not a sample, but the entry stays. */
static void forget(struct heap_sample *sample)
{
    table.live -= counts(sample);
    sample->rate = 0;
}

/* It is a sample with a higher rate now, or no longer one. */
static void thin(struct heap_sample *sample, double rate)
{
    const double was = chance_of(sample->size, sample->rate);
    if (chance_says(chance_of(sample->size, rate) / was)) {
        sample->rate = rate;
        return;
    }
    forget(sample);
    table.thinned++;
}

static void thin_all(double rate)
{
    for (size_t i = 0; i < table.begun; i++)
        if (counts(&table.entries[i]) && table.entries[i].rate < rate)
            thin(&table.entries[i], rate);
}

/* How many samples there may be. */
static size_t most(void)
{
    return (table.room - (table.used - table.live)) / ENTRIES_FOR_EACH;
}

bool heap_samples_are_few(void)
{
    return table.live < most() / 4;
}

/* Large blocks are samples at almost any rate. */
static void make_room(void)
{
    do {
        heap_pace_double();
        thin_all(heap_pace_least());
    } while (table.live > most() / 4 * KEPT_OF_EACH_4);
}

/* ---- blocks ----------------------------------------------------------- */

static void link_in(struct heap_sample *sample)
{
    uint32_t *list = list_of(sample->block);
    sample->next = *list;
    *list = index_of(sample);
}

void heap_samples_put(struct heap_sample *sample)
{
    if (sample->base)
        link_in(sample);
    else
        table.in_range += sample->size;
    sample->number = ++table.last;
    table.live += counts(sample);
    if (sample->rate > 0 && sample->rate < heap_pace_least())
        thin(sample, heap_pace_least());
    if (table.live > most())
        make_room();
}

static struct heap_sample *find_large(const void *block)
{
    for (uint32_t i = *list_of(block); i; i = entry(i)->next)
        if (entry(i)->block == block)
            return entry(i);
    return NULL;
}

struct heap_sample *heap_samples_find(const void *block)
{
    const uintptr_t offset = (uintptr_t)block - (uintptr_t)table.range;
    return offset < table.room * HEAP_SAMPLES_SLOT
               ? &table.entries[offset / HEAP_SAMPLES_SLOT]
               : find_large(block);
}

void heap_samples_remove(struct heap_sample *sample)
{
    forget(sample);
    if (sample->base)
        cut_out(sample);
    else if (sample->block)
        table.in_range -= sample->size;
    sample->block = NULL;
    sample->base = NULL;
    sample->next = table.unused;
    table.unused = index_of(sample);
    table.used--;
}

void heap_samples_miss(size_t n, double rate)
{
    table.missed += (double)n / chance_of(n, rate);
}

void heap_samples_clear(void)
{
    table.cleared = table.last;
    table.live = 0;
}

static void rename_frames(struct heap_sample *sample,
                          uint32_t (*again)(uint32_t number))
{
    for (uint32_t i = 0; i < sample->depth; i++)
        sample->frames[i] = again(sample->frames[i]);
}

void heap_samples_rename(uint32_t (*again)(uint32_t number))
{
    for (size_t i = 0; i < table.begun; i++)
        if (counts(&table.entries[i]))
            rename_frames(&table.entries[i], again);
}

void heap_samples_visit(uint64_t after,
                        void (*visit)(const struct heap_sample *, void *),
                        void *arg)
{
    for (size_t i = 0; i < table.begun; i++)
        if (counts(&table.entries[i]) && table.entries[i].number > after)
            visit(&table.entries[i], arg);
}

void heap_samples_read(struct heap_samples_numbers *numbers)
{
    *numbers = (struct heap_samples_numbers){
        table.live, table.in_range, table.thinned, table.missed, table.last};
}
