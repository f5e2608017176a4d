/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/limit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "wire/protocol.h"

static const char oom_file[] = "/proc/self/oom_score_adj";

static int read_oom_score_adj(int *adj)
{
    FILE *file = fopen(oom_file, "re");
    if (!file)
        return -1;
    int n = fscanf(file, "%d", adj);
    fclose(file);
    return n == 1 ? 0 : -1;
}

/* The kernel says whether it takes the number when it is written, which is when
 * the file is closed. */
static int write_oom_score_adj(int adj)
{
    FILE *file = fopen(oom_file, "we");
    if (!file)
        return -1;
    fprintf(file, "%d", adj);
    return fclose(file) == 0 ? 0 : -1;
}

/* One's own may always be raised. Where there is no /proc, it stays. */
static void raise_oom_score_adj(void)
{
    int adj = 0;
    if (read_oom_score_adj(&adj) == 0 && adj < DEFAULT_OOM_SCORE_ADJ)
        (void)write_oom_score_adj(DEFAULT_OOM_SCORE_ADJ);
}

int limit_enter(const struct limits *limits, struct err *err)
{
    if (limits->oom_score_adj == INT_MIN)
        raise_oom_score_adj();
    else if (write_oom_score_adj(limits->oom_score_adj) < 0)
        return err_set(err, "memory: oom_score_adj %d: %s",
                       limits->oom_score_adj, strerror(errno));
    return 0;
}
