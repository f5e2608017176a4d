/* SPDX-License-Identifier: Apache-2.0
 *
 * limit: what the kernel allows this process. No Python, no GIL.
 */
#ifndef PORT_PROCESS_LIMIT_H
#define PORT_PROCESS_LIMIT_H

#include <limits.h>

#include "wire/err.h"

struct limits {
    int oom_score_adj; /* INT_MIN: at least the default */
};

#define LIMITS_NONE ((struct limits){.oom_score_adj = INT_MIN})

/* Puts them in force. 0, or -1 with the reason in err. Call it while there is
 * one thread and no Python. */
int limit_enter(const struct limits *limits, struct err *err);

#endif
