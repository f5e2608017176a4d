/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: what the kernel allows this process, by the names that the pool option
 * `memory' has. No Python, no GIL.
 */
#ifndef PORT_PROCESS_LIMIT_H
#define PORT_PROCESS_LIMIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

#include "wire/err.h"

/* The limits of setrlimit(2) that can be set. */
enum limit {
    LIMIT_ADDRESS_SPACE,
    LIMIT_DATA,
    LIMIT_FILES,
    LIMIT_CORE,
    LIMITS /* none of them */
};

struct limits {
    bool given[LIMITS];
    rlim_t most[LIMITS]; /* RLIM_INFINITY: as much as may be */
    int oom_score_adj;   /* INT_MIN: at least the default */
    const char *cgroup;  /* a directory of cgroup2, or NULL */
};

#define LIMITS_NONE ((struct limits){.oom_score_adj = INT_MIN})

/* The limit of that name; LIMITS: there is none. */
enum limit limit_named(const char *name);

/* "1048576" or "infinity". 0, or -1: the text is neither. */
int limit_read(const char *text, rlim_t *most);

/* Joins the cgroup and puts the limits in force. 0, or -1 with the reason in
 * err. Call it before Python's start, and when our threads have their stacks,
 * for which there may be no room afterwards. */
int limit_enter(const struct limits *limits, struct err *err);

/* Puts a limit in force, any time and in any thread. 0, or -1 as above. */
int limit_set(enum limit limit, rlim_t most, struct err *err);

/* Writes the limits on memory that are in force, whoever has set them:
 * "limit address_space: 1048576 bytes". False: there are none. */
bool limit_describe(char *text, size_t size);

#endif
