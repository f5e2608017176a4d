/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/heap_profile.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "memory/chance.h"
#include "memory/heap_account.h"
#include "memory/heap_names.h"
#include "memory/heap_pace.h"
#include "memory/heap_samples.h"
#include "value/frames.h"

/* From this size on a block that is reallocated stays where it is if it can,
 * even if it is no longer a sample. */
#define STAYS ((size_t)32 * 1024)

/* How much more a block may need to begin at the start of a page. */
#define PAGE HEAP_SAMPLES_PAGE

/* A multiple of the rate that was asked for. */
#define FAR 4

static struct {
    PyMemAllocatorEx below;
    uintptr_t begin; /* the range of small samples */
    size_t size;
    int64_t far; /* nobody draws further ahead: the rate may change */
    uint64_t mark;
    bool is_in;
    bool is_on;
} hook;

/* Each thread draws for itself: that needs no lock, and gives the same result.
 */
static _Thread_local struct {
    int64_t left;   /* bytes until the next sample; below 0: it is due */
    double rate;    /* with which they were drawn */
    bool is_sample; /* what is due; else it is only time to draw again */
    bool is_exempt;
    bool is_inside; /* the hook */
} drawn;

/* ---- is it a sample --------------------------------------------------- */

/* In builds for tests: nothing that the hook does may end up in it. */
static void enter(void)
{
#ifdef PYPORT_CHECKS
    if (drawn.is_inside)
        abort();
#endif
}

static bool is_due(size_t n)
{
    enter();
    drawn.left -= (int64_t)n;
    return drawn.left < 0;
}

static void draw(void)
{
    drawn.rate = heap_pace_rate();
    drawn.left = chance_interval(drawn.rate);
    drawn.is_sample = drawn.left <= hook.far;
    if (!drawn.is_sample)
        drawn.left = hook.far;
}

/* The rate with which the block that was due is a sample; 0: it is not one. */
static double rate_of_due(void)
{
    const bool can_sample = frames_can_read() && hook.is_on && !drawn.is_exempt;
    if (can_sample)
        heap_pace_look(heap_samples_are_few());
    while (drawn.left < 0 && !drawn.is_sample) {
        const int64_t past = -drawn.left;
        draw();
        drawn.left -= past;
    }
    if (drawn.left >= 0)
        return 0;
    const double rate = drawn.rate;
    draw();
    return can_sample ? rate : 0;
}

static bool is_in_range(const void *block)
{
    return (uintptr_t)block - hook.begin < hook.size;
}

static bool may_be_sample(const void *block)
{
    return is_in_range(block) || (uintptr_t)block % PAGE == 0;
}

/* Interpreters with a GIL of their own have none of the samples, and must not
 * look for any. */
static struct heap_sample *find(const void *block)
{
    if (!block || (!is_in_range(block) && frames_are_apart()))
        return NULL;
    return heap_samples_find(block);
}

/* ---- samples ---------------------------------------------------------- */

/* Code that is generated again and again always has new names. */
static void make_room_for_names(void)
{
    if (!heap_names_are_full())
        return;
    heap_names_renew();
    heap_samples_rename(heap_names_again);
}

static void take_stack(struct heap_sample *sample)
{
    struct frame_place places[HEAP_SAMPLES_DEPTH];
    make_room_for_names();
    const int n = frames_read(places, HEAP_SAMPLES_DEPTH);
    sample->depth = (uint32_t)n;
    for (int i = 0; i < n; i++)
        sample->frames[i] = heap_names_number(&places[i]);
}

/* The entry has its block. */
static void *sampled(struct heap_sample *sample, size_t n, double rate)
{
    if (rate > 0) {
        take_stack(sample);
        heap_pace_took();
    }
    sample->size = n;
    sample->rate = rate;
    void *block = sample->block;
    heap_samples_put(sample);
    return block;
}

static char *next_page(void *base)
{
    const uintptr_t past = (uintptr_t)base % PAGE;
    return (char *)base + (past ? PAGE - past : 0);
}

static void put_in_range(struct heap_sample *sample, size_t n, bool zero)
{
    sample->base = NULL;
    sample->block = heap_samples_slot(sample);
    if (zero)
        memset(sample->block, 0, n);
    heap_account_add(n);
}

static bool put_on_page(struct heap_sample *sample, void *base)
{
    sample->base = base;
    sample->block = base ? next_page(base) : NULL;
    return base != NULL;
}

static void *allocate_below(size_t n, bool zero)
{
    const PyMemAllocatorEx *below = &hook.below;
    return zero ? below->calloc(below->ctx, 1, n)
                : below->malloc(below->ctx, n);
}

/* NULL: there is no room. */
static void *allocate_sample(size_t n, double rate, bool zero)
{
    struct heap_sample *sample = heap_samples_new();
    if (!sample) {
        heap_samples_miss(n, rate);
        return NULL;
    }
    if (n <= HEAP_SAMPLES_SLOT)
        put_in_range(sample, n, zero);
    else if (!put_on_page(sample, allocate_below(n + PAGE, zero))) {
        heap_samples_remove(sample);
        return NULL;
    }
    return sampled(sample, n, rate);
}

static void *allocate(size_t n, bool zero)
{
    const double rate = rate_of_due();
    void *block = NULL;
    n = n ? n : 1;
    drawn.is_inside = true;
    if (rate > 0)
        block = allocate_sample(n, rate, zero);
    if (!block)
        block = allocate_below(n, zero);
    drawn.is_inside = false;
    return block;
}

static void release(struct heap_sample *sample)
{
    void *base = sample->base;
    const size_t n = sample->size;
    heap_samples_remove(sample);
    if (base)
        hook.below.free(hook.below.ctx, base);
    else
        heap_account_sub(n);
}

/* ---- blocks that change their size ------------------------------------ */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A large block stays with its entry: there may be no memory for a second one.
 */
static void *resize(struct heap_sample *sample, size_t n, double rate)
{
    const size_t offset = (size_t)(sample->block - (char *)sample->base);
    const size_t was = sample->size;
    char *base = hook.below.realloc(hook.below.ctx, sample->base, n + PAGE);
    if (!base)
        return n <= was ? sample->block : NULL;
    heap_samples_remove(sample);
    sample = heap_samples_new();
    put_on_page(sample, base);
    if (sample->block != base + offset)
        memmove(sample->block, base + offset, smaller(n, was));
    return sampled(sample, n, rate);
}

/* A block that shrinks stays if there is no place for a smaller one. */
static void *move(struct heap_sample *sample, size_t n, double rate)
{
    void *block = rate > 0 ? allocate_sample(n, rate, false) : NULL;
    if (!block)
        block = allocate_below(n, false);
    if (!block)
        return n <= sample->size ? sample->block : NULL;
    memcpy(block, sample->block, smaller(n, sample->size));
    release(sample);
    return block;
}

/* It was not a sample; its old size is not known. */
static void *become_large(void *block, size_t n, double rate)
{
    struct heap_sample *sample = heap_samples_new();
    char *base = NULL;
    if (!sample)
        heap_samples_miss(n, rate);
    else if ((base = hook.below.realloc(hook.below.ctx, block, n + PAGE))) {
        put_on_page(sample, base);
        memmove(sample->block, base, n);
        return sampled(sample, n, rate);
    } else
        heap_samples_remove(sample);
    return hook.below.realloc(hook.below.ctx, block, n);
}

static void *become_small(void *block, size_t n, double rate)
{
    void *now = hook.below.realloc(hook.below.ctx, block, n);
    void *sample = now ? allocate_sample(n, rate, false) : NULL;
    if (!sample)
        return now;
    memcpy(sample, now, n);
    hook.below.free(hook.below.ctx, now);
    return sample;
}

static void *reallocate(void *block, struct heap_sample *sample, size_t n,
                        double rate)
{
    if (sample && sample->base && n >= STAYS)
        return resize(sample, n, rate);
    if (sample)
        return move(sample, n, rate);
    if (rate == 0)
        return hook.below.realloc(hook.below.ctx, block, n);
    return n <= HEAP_SAMPLES_SLOT ? become_small(block, n, rate)
                                  : become_large(block, n, rate);
}

/* ---- the hook --------------------------------------------------------- */

static void *profile_malloc(void *ctx, size_t n)
{
    (void)ctx;
    return is_due(n) ? allocate(n, false)
                     : hook.below.malloc(hook.below.ctx, n);
}

/* Their product is a size: Python has looked. */
static void *profile_calloc(void *ctx, size_t n, size_t size)
{
    (void)ctx;
    return is_due(n * size) ? allocate(n * size, true)
                            : hook.below.calloc(hook.below.ctx, n, size);
}

static void *profile_realloc(void *ctx, void *block, size_t n)
{
    if (!block)
        return profile_malloc(ctx, n);
    const bool due = is_due(n);
    struct heap_sample *sample = may_be_sample(block) ? find(block) : NULL;
    if (!due && !sample)
        return hook.below.realloc(hook.below.ctx, block, n);
    const double rate = due ? rate_of_due() : 0;
    drawn.is_inside = true;
    block = reallocate(block, sample, n ? n : 1, rate);
    drawn.is_inside = false;
    return block;
}

static void profile_free(void *ctx, void *block)
{
    (void)ctx;
    enter();
    struct heap_sample *sample = may_be_sample(block) ? find(block) : NULL;
    if (sample)
        release(sample);
    else
        hook.below.free(hook.below.ctx, block);
}

/* ---- for others ------------------------------------------------------- */

/* Nobody asks a child, and it has less time than its parent. */
static void begin_child(void)
{
    hook.is_on = false;
    heap_samples_clear();
}

int heap_profile_init(const struct heap_profile_options *options)
{
    if (heap_names_init() < 0 || heap_samples_init(options->samples) < 0 ||
        pthread_atfork(NULL, NULL, begin_child) != 0)
        return -1;
    heap_samples_range(&hook.begin, &hook.size);
    heap_pace_init((double)options->rate, options->per_second);
    hook.far = FAR * (int64_t)options->rate;
    hook.is_in = true;
    hook.is_on = true;
    return 0;
}

PyMemAllocatorEx heap_profile_on(const PyMemAllocatorEx *allocator)
{
    hook.below = *allocator;
    return (PyMemAllocatorEx){allocator->ctx, profile_malloc, profile_calloc,
                              profile_realloc, profile_free};
}

void heap_profile_put_below(const PyMemAllocatorEx *allocator)
{
    hook.below = *allocator;
}

bool heap_profile_is_in(void)
{
    return hook.is_in;
}

void heap_profile_switch(bool on)
{
    hook.is_on = on;
}

bool heap_profile_is_on(void)
{
    return hook.is_on;
}

void heap_profile_exempt_thread(bool exempt)
{
    drawn.is_exempt = exempt;
}

void heap_profile_set_mark(void)
{
    struct heap_samples_numbers numbers;
    heap_samples_read(&numbers);
    hook.mark = numbers.last;
}

uint64_t heap_profile_mark(void)
{
    return hook.mark;
}
