/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "memory/malloc.h"

#ifdef HAVE_MALLOPT
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1 << 20)
#define TUNABLE_SIZE 64

/* Left alone, glibc takes blocks from 128 KiB on from the kernel and gives them
 * back one by one, until a block of up to 32 MiB is freed. From then on it
 * keeps blocks of that size for later, and twice as much at the end of the
 * heap. What a worker costs, in time and in memory, then depends on the largest
 * text that it has ever had. So the thresholds are fixed, at values that take
 * as little time as after such a block, while the end of the heap keeps half as
 * much. The heap grows by 1 MiB at least. Each thread would have an arena of
 * its own, up to eight for each processor, which keep what they have free;
 * Python's threads take turns, so two are enough. bench/malloc.escript compares
 * these settings with others. */
static const struct setting {
    int parameter;
    int value;
    const char *variable;
    const char *tunable;
} settings[] = {
    {M_MMAP_THRESHOLD, 32 * MIB, "MALLOC_MMAP_THRESHOLD_", "mmap_threshold"},
    {M_TRIM_THRESHOLD, 32 * MIB, "MALLOC_TRIM_THRESHOLD_", "trim_threshold"},
    {M_TOP_PAD, MIB, "MALLOC_TOP_PAD_", "top_pad"},
    {M_ARENA_MAX, 2, "MALLOC_ARENA_MAX", "arena_max"},
};

static int is_chosen(const struct setting *setting)
{
    const char *tunables = getenv("GLIBC_TUNABLES");
    char name[TUNABLE_SIZE];
    snprintf(name, sizeof name, "glibc.malloc.%s=", setting->tunable);
    return getenv(setting->variable) || (tunables && strstr(tunables, name));
}

void malloc_set(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (!is_chosen(&settings[i]))
            (void)mallopt(settings[i].parameter, settings[i].value);
}

#else

void malloc_set(void)
{
}

#endif
