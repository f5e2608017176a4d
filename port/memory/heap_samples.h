/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_samples: the blocks that are samples, in a table that does not grow. GIL
 * held, unless said otherwise.
 *
 * A small block lies in a range of addresses in which there is nothing else, so
 * that two numbers say whether a block is one of them. A larger one is from the
 * allocator below, but begins at the start of a page, where hardly any other
 * block begins.
 */
#ifndef PORT_MEMORY_HEAP_SAMPLES_H
#define PORT_MEMORY_HEAP_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest block that lies in the range. */
#define HEAP_SAMPLES_SLOT 512
#define HEAP_SAMPLES_PAGE 4096

/* Frames of its stack, the innermost ones. */
#define HEAP_SAMPLES_DEPTH 64

struct heap_sample {
    char *block; /* NULL: the entry is free */
    void *base;  /* what the allocator below knows; NULL: it is in the range */
    size_t size;
    double rate;     /* 0: the block is no longer a sample */
    uint64_t number; /* in the order in which they came, from 1 */
    uint32_t next;   /* in a list */
    uint32_t depth;
    uint32_t frames[HEAP_SAMPLES_DEPTH]; /* heap_names.h; innermost first */
};

struct heap_samples_numbers {
    size_t live;
    size_t bytes;     /* what they take in the range */
    uint64_t thinned; /* samples that were dropped: there were too many */
    double missed;    /* bytes that have no sample: there was no room */
    uint64_t last;    /* number */
};

/* Room for that many live samples. Call once. 0, or -1: there is no memory. */
int heap_samples_init(size_t samples);

/* Where the range is. */
void heap_samples_range(uintptr_t *begin, size_t *size);

/* An entry, or NULL: no entry is free, or the range is full. It has no block
 * yet, and is given back by heap_samples_remove. */
struct heap_sample *heap_samples_new(void);

/* Whether there could be many more samples. */
bool heap_samples_are_few(void);

/* Its place in the range. */
char *heap_samples_slot(const struct heap_sample *sample);

/* The entry has block, base and size now, and a rate or 0. A sample gets its
 * number; if there are too many then, the rate doubles and some are dropped.
 */
void heap_samples_put(struct heap_sample *sample);

/* The entry of a block, or NULL. */
struct heap_sample *heap_samples_find(const void *block);

/* The entry is free again. */
void heap_samples_remove(struct heap_sample *sample);

/* A block of n bytes did not fit, when the rate was this. */
void heap_samples_miss(size_t n, double rate);

/* None of the samples so far counts: this process is a child. */
void heap_samples_clear(void);

/* Their places have other numbers now. */
void heap_samples_rename(uint32_t (*again)(uint32_t number));

/* Shows all live samples with a number above `after`. */
void heap_samples_visit(uint64_t after,
                        void (*visit)(const struct heap_sample *, void *),
                        void *arg);

void heap_samples_read(struct heap_samples_numbers *numbers);

#endif
