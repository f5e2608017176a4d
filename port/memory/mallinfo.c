/* SPDX-License-Identifier: Apache-2.0
 *
 * It uses glibc's malloc_info, because mallinfo2 says only how many free blocks
 * there are, not how large: a thousand small ones may lie beside a large one.
 */
#include "config.h"

#include "memory/mallinfo.h"

#ifdef HAVE_MALLOC_INFO
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The totals come for each of malloc's arenas, and at the end for all. */
struct totals {
    size_t pieces; /* a sum */
    size_t fast;
    size_t rest; /* free, but not in fast bins */
    size_t mapped;
    size_t system;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* At both ends of a free block there is part of a page that is in use: about
 * one page in all. The largest block is counted separately. */
static size_t in_pieces(size_t largest, size_t count, size_t total)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (count == 0)
        return 0;
    return smaller(largest, page) +
           smaller(total - largest, (count - 1) * page);
}

static void read_line(const char *line, struct totals *t)
{
    size_t largest, total, count;
    if (sscanf(line,
               " <%*[a-z] from=\"%*u\" to=\"%zu\" total=\"%zu\" "
               "count=\"%zu\"",
               &largest, &total, &count) == 3)
        t->pieces += in_pieces(largest, count, total);
    sscanf(line, "<total type=\"fast\" count=\"%*u\" size=\"%zu\"", &t->fast);
    sscanf(line, "<total type=\"rest\" count=\"%*u\" size=\"%zu\"", &t->rest);
    sscanf(line, "<total type=\"mmap\" count=\"%*u\" size=\"%zu\"", &t->mapped);
    sscanf(line, "<system type=\"current\" size=\"%zu\"", &t->system);
}

static void read_lines(char *text, struct totals *t)
{
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest))
        read_line(line, t);
}

/* The caller frees it. */
static char *report(void)
{
    char *text = NULL;
    size_t length;
    FILE *file = open_memstream(&text, &length);
    if (!file)
        return NULL;
    const bool whole = malloc_info(0, file) == 0;
    if (fclose(file) == 0 && whole)
        return text;
    free(text);
    return NULL;
}

bool mallinfo_read(struct mallinfo_numbers *numbers)
{
    struct totals t = {0, 0, 0, 0, 0};
    char *text = report();
    if (!text)
        return false;
    read_lines(text, &t);
    free(text);
    numbers->free = t.rest + t.fast;
    numbers->used = t.system - numbers->free + t.mapped;
    numbers->pieces = smaller(t.pieces + t.fast, numbers->free);
    return true;
}

#else

bool mallinfo_read(struct mallinfo_numbers *numbers)
{
    (void)numbers;
    return false;
}

#endif
