/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: of what setrlimit(2) has, the soft limits are set, so that they can be
 * changed later. The hard ones are raised where that is needed and allowed.
 */
#include "config.h"

#include "process/limit.h"

#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "wire/protocol.h"

#define INFINITE "infinity"

/* The cgroup that was joined; "": none. */
static char cgroup[PATH_MAX];

static int set_resource(int resource, const char *value);
static int set_in_cgroup(const char *file, const char *value);
static int set_in_proc(const char *file, const char *value);

/* A limit is a resource, or a file in the cgroup or of the process. */
static const struct row {
    const char *name;
    int resource; /* if there is no file */
    const char *file;
    int (*set_file)(const char *file, const char *value);
} rows[LIMITS] = {
    [LIMIT_ADDRESS_SPACE] = {"address_space", RLIMIT_AS, NULL, NULL},
    [LIMIT_DATA] = {"data", RLIMIT_DATA, NULL, NULL},
    [LIMIT_FILES] = {"files", RLIMIT_NOFILE, NULL, NULL},
    [LIMIT_CORE] = {"core", RLIMIT_CORE, NULL, NULL},
    [LIMIT_CGROUP_MAX] = {"cgroup_max", 0, "memory.max", set_in_cgroup},
    [LIMIT_CGROUP_HIGH] = {"cgroup_high", 0, "memory.high", set_in_cgroup},
    [LIMIT_CGROUP_PIDS] = {"cgroup_pids", 0, "pids.max", set_in_cgroup},
    [LIMIT_OOM_SCORE_ADJ] = {"oom_score_adj", 0, "/proc/self/oom_score_adj",
                             set_in_proc},
};

enum limit limit_named(const char *name)
{
    int i = 0;
    while (i < LIMITS && strcmp(rows[i].name, name) != 0)
        i++;
    return (enum limit)i;
}

/* ---- setrlimit ---------------------------------------------------------- */

static int read_value(const char *text, rlim_t *most)
{
    char *end = NULL;
    if (strcmp(text, INFINITE) == 0) {
        *most = RLIM_INFINITY;
        return 0;
    }
    errno = 0;
    const long long n = strtoll(text, &end, 10);
    if (errno == 0 && (*end || end == text || n < 0))
        errno = EINVAL;
    *most = (rlim_t)n;
    return errno ? -1 : 0;
}

/* RLIM_INFINITY is larger than any number. Without a limit there is still the
 * hard one. */
static int set_resource(int resource, const char *value)
{
    struct rlimit both;
    rlim_t most;
    if (read_value(value, &most) < 0 || getrlimit(resource, &both) < 0)
        return -1;
    both.rlim_cur = most == RLIM_INFINITY ? both.rlim_max : most;
    if (both.rlim_max < both.rlim_cur)
        both.rlim_max = both.rlim_cur;
    return setrlimit(resource, &both);
}

/* The main thread's stack grows as it is used, which a limit of address space
 * may forbid: then deep recursion would end the process. So we make it grow
 * before there is a limit. */
#define STACK_ROOM ((size_t)4 << 20)

/* The pages that it touches are given back; their place stays. */
static __attribute__((noinline)) void touch_stack(void)
{
    volatile char room[STACK_ROOM];
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    room[0] = 0;
    const uintptr_t first = ((uintptr_t)room + page - 1) / page * page;
    (void)madvise((void *)first, STACK_ROOM - 2 * page, MADV_DONTNEED);
}

static void reserve_stack(void)
{
    struct rlimit both;
    if (getrlimit(RLIMIT_STACK, &both) == 0 && both.rlim_cur >= 2 * STACK_ROOM)
        touch_stack();
}

/* ---- files of the kernel ------------------------------------------------- */

/* The kernel says whether it takes what is written when the file is closed. */
static int set_in_proc(const char *path, const char *value)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -1;
    fputs(value, file);
    return fclose(file) == 0 ? 0 : -1;
}

static int set_in_cgroup(const char *file, const char *value)
{
    char path[sizeof cgroup + NAME_MAX];
    snprintf(path, sizeof path, "%s/%s", cgroup, file);
    if (*cgroup == '\0') {
        errno = ENOENT;
        return -1;
    }
    return set_in_proc(path, strcmp(value, INFINITE) == 0 ? "max" : value);
}

/* The process that writes 0 means itself, with all of its threads. If memory
 * runs out in there, its children end with it, where the kernel can do that. */
static int join(const char *directory, struct err *err)
{
    snprintf(cgroup, sizeof cgroup, "%s", directory);
    if (set_in_cgroup("cgroup.procs", "0") < 0)
        return err_set(err, "memory: cgroup %s cannot be joined: %s", directory,
                       strerror(errno));
    (void)set_in_cgroup("memory.oom.group", "1");
    return 0;
}

/* A process may always raise its own. Where there is no /proc, it stays. */
static void raise_oom_score_adj(void)
{
    char least[16];
    int adj = 0;
    FILE *file = fopen(rows[LIMIT_OOM_SCORE_ADJ].file, "re");
    if (!file)
        return;
    if (fscanf(file, "%d", &adj) == 1 && adj < DEFAULT_OOM_SCORE_ADJ) {
        snprintf(least, sizeof least, "%d", DEFAULT_OOM_SCORE_ADJ);
        (void)set_in_proc(rows[LIMIT_OOM_SCORE_ADJ].file, least);
    }
    fclose(file);
}

/* ---- all of them --------------------------------------------------------- */

int limit_set(enum limit limit, const char *value, struct err *err)
{
    const struct row *row = &rows[limit];
    int rc = row->file ? row->set_file(row->file, value)
                       : set_resource(row->resource, value);
    if (rc < 0)
        return err_set(err, "memory: %s %s: %s", row->name, value,
                       strerror(errno));
    return 0;
}

int limit_enter(const struct limits *limits, struct err *err)
{
    if (limits->cgroup && join(limits->cgroup, err) < 0)
        return -1;
    if (limits->values[LIMIT_ADDRESS_SPACE])
        reserve_stack();
    if (!limits->values[LIMIT_OOM_SCORE_ADJ])
        raise_oom_score_adj();
    for (int i = 0; i < LIMITS; i++)
        if (limits->values[i] &&
            limit_set((enum limit)i, limits->values[i], err) < 0)
            return -1;
    return 0;
}

bool limit_describe(char *text, size_t size)
{
    size_t used = 0;
    for (int i = LIMIT_ADDRESS_SPACE; i <= LIMIT_DATA && used < size; i++) {
        struct rlimit both;
        if (getrlimit(rows[i].resource, &both) == 0 &&
            both.rlim_cur != RLIM_INFINITY)
            used += (size_t)snprintf(text + used, size - used,
                                     "%slimit %s: %llu bytes", used ? ", " : "",
                                     rows[i].name,
                                     (unsigned long long)both.rlim_cur);
    }
    return used > 0;
}
