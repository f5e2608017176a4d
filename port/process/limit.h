/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: what the kernel allows this process, by the names that the pool option
 * `memory' has. No Python, no GIL.
 */
#ifndef PORT_PROCESS_LIMIT_H
#define PORT_PROCESS_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/err.h"

enum limit {
    /* setrlimit(2) */
    LIMIT_ADDRESS_SPACE,
    LIMIT_DATA,
    LIMIT_FILES,
    LIMIT_CORE,
    /* files of the cgroup that was joined */
    LIMIT_CGROUP_MAX,
    LIMIT_CGROUP_HIGH,
    LIMIT_CGROUP_PIDS,
    LIMIT_OOM_SCORE_ADJ,
    LIMITS /* none of them */
};

/* A value is a number as text, or "infinity". */
struct limits {
    const char *cgroup; /* a directory of cgroup2, or NULL */
    const char *values[LIMITS];
};

/* The limit of that name; LIMITS: there is none. */
enum limit limit_named(const char *name);

/* Joins the cgroup and puts the limits in force. 0, or -1 with the reason in
 * err. Call it before Python starts, and after our threads have their stacks,
 * for which there may be no room afterwards. */
int limit_enter(const struct limits *limits, struct err *err);

/* Puts a limit in force, at any time and in any thread. 0, or -1 as above. */
int limit_set(enum limit limit, const char *value, struct err *err);

/* Writes the limits on memory that are in force and that Python sees as
 * MemoryError, whoever has set them: "limit address_space: 1048576 bytes".
 * False: there are none. */
bool limit_describe(char *text, size_t size);

#endif
