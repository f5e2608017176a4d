/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: the soft limits are set, so that they can be changed later. The hard
 * ones are raised where that is needed and allowed.
 */
#include "config.h"

#include "process/limit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/protocol.h"

static const struct {
    const char *name;
    int resource;
    bool is_memory; /* whether a MemoryError may come from it */
} rows[LIMITS] = {
    [LIMIT_ADDRESS_SPACE] = {"address_space", RLIMIT_AS, true},
    [LIMIT_DATA] = {"data", RLIMIT_DATA, true},
    [LIMIT_FILES] = {"files", RLIMIT_NOFILE, false},
    [LIMIT_CORE] = {"core", RLIMIT_CORE, false},
};

/* ---- names and numbers ------------------------------------------------- */

enum limit limit_named(const char *name)
{
    int i = 0;
    while (i < LIMITS && strcmp(rows[i].name, name) != 0)
        i++;
    return (enum limit)i;
}

int limit_read(const char *text, rlim_t *most)
{
    char *end = NULL;
    if (strcmp(text, "infinity") == 0) {
        *most = RLIM_INFINITY;
        return 0;
    }
    errno = 0;
    const long long n = strtoll(text, &end, 10);
    if (errno || *end || end == text || n < 0)
        return -1;
    *most = (rlim_t)n;
    return 0;
}

/* ---- files of the kernel ----------------------------------------------- */

/* The kernel says whether it takes what is written when the file is closed. */
static int write_number(const char *path, int n)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -1;
    fprintf(file, "%d", n);
    return fclose(file) == 0 ? 0 : -1;
}

static int read_number(const char *path, int *n)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    int found = fscanf(file, "%d", n);
    fclose(file);
    return found == 1 ? 0 : -1;
}

/* ---- who is taken first ------------------------------------------------ */

static const char oom_file[] = "/proc/self/oom_score_adj";

/* One's own may always be raised. Where there is no /proc, it stays. */
static void raise_oom_score_adj(void)
{
    int adj = 0;
    if (read_number(oom_file, &adj) == 0 && adj < DEFAULT_OOM_SCORE_ADJ)
        (void)write_number(oom_file, DEFAULT_OOM_SCORE_ADJ);
}

static int set_oom_score_adj(int adj, struct err *err)
{
    if (adj == INT_MIN)
        raise_oom_score_adj();
    else if (write_number(oom_file, adj) < 0)
        return err_set(err, "memory: oom_score_adj %d: %s", adj,
                       strerror(errno));
    return 0;
}

/* ---- cgroup ------------------------------------------------------------ */

/* The process that writes 0 means itself, with all of its threads. */
static int join(const char *cgroup, struct err *err)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
    if (n >= (int)sizeof path)
        return err_set(err, "memory: cgroup: the path is too long");
    if (write_number(path, 0) < 0)
        return err_set(err, "memory: cgroup %s cannot be joined: %s", cgroup,
                       strerror(errno));
    return 0;
}

/* ---- setrlimit ---------------------------------------------------------- */

static rlim_t larger(rlim_t a, rlim_t b)
{
    return a > b ? a : b; /* RLIM_INFINITY is larger than any number */
}

int limit_set(enum limit limit, rlim_t most, struct err *err)
{
    struct rlimit both;
    getrlimit(rows[limit].resource, &both);
    both.rlim_cur = most == RLIM_INFINITY ? both.rlim_max : most;
    both.rlim_max = larger(both.rlim_max, both.rlim_cur);
    if (setrlimit(rows[limit].resource, &both) == 0)
        return 0;
    const char *why = strerror(errno);
    getrlimit(rows[limit].resource, &both);
    return err_set(err, "memory: %s %llu: %s (the hard limit is %llu)",
                   rows[limit].name, (unsigned long long)most, why,
                   (unsigned long long)both.rlim_max);
}

int limit_enter(const struct limits *limits, struct err *err)
{
    if (limits->cgroup && join(limits->cgroup, err) < 0)
        return -1;
    if (set_oom_score_adj(limits->oom_score_adj, err) < 0)
        return -1;
    for (int i = 0; i < LIMITS; i++)
        if (limits->given[i] &&
            limit_set((enum limit)i, limits->most[i], err) < 0)
            return -1;
    return 0;
}

bool limit_describe(char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < LIMITS && used < size; i++) {
        struct rlimit both = {RLIM_INFINITY, RLIM_INFINITY};
        if (rows[i].is_memory)
            getrlimit(rows[i].resource, &both);
        if (both.rlim_cur != RLIM_INFINITY)
            used += (size_t)snprintf(text + used, size - used,
                                     "%slimit %s: %llu bytes", used ? ", " : "",
                                     rows[i].name,
                                     (unsigned long long)both.rlim_cur);
    }
    return used > 0;
}
