/* SPDX-License-Identifier: Apache-2.0
 *
 * What the kernel allows this process, changed while it runs.
 */
#include "config.h"

#include <ei.h>
#include <stdio.h>
#include <string.h>

#include "op/op.h"
#include "process/limit.h"
#include "task/reply.h"
#include "wire/etf.h"

/* Room for the names of limits, and for "infinity". */
#define NAME_SIZE 32

struct change {
    enum limit limit;
    char value[NAME_SIZE];
};

static int read_name(const char *frame, int *at, char *name)
{
    const unsigned char *const start = (const unsigned char *)frame;
    const unsigned char *p = start + *at;
    const int len = etf_name(&p, name, NAME_SIZE);
    *at = (int)(p - start);
    return len < 0 ? -1 : 0;
}

/* An integer or `infinity`. */
static int read_value(const char *frame, int *at, char *value)
{
    long long n;
    if (ei_decode_longlong(frame, at, &n) == 0)
        return snprintf(value, NAME_SIZE, "%lld", n) < 0 ? -1 : 0;
    if (read_name(frame, at, value) < 0)
        return -1;
    return strcmp(value, "infinity") == 0 ? 0 : -1;
}

static int read_change(const char *frame, int *at, struct change *change,
                       struct err *err)
{
    char name[NAME_SIZE];
    if (read_name(frame, at, name) < 0 ||
        (change->limit = limit_named(name)) == LIMITS)
        return err_set(err, "memory: there is no such limit");
    if (read_value(frame, at, change->value) < 0)
        return err_set(err, "memory: %s: neither an integer nor infinity",
                       name);
    return 0;
}

/* All are read before one is set. */
static int read_changes(const struct task *task, struct change *changes,
                        int *count, struct err *err)
{
    const char *frame = task->req->frame;
    int at = (int)task->at;
    if (ei_decode_map_header(frame, &at, count) < 0 || *count > LIMITS)
        return err_set(err, "memory: not a map of limits");
    for (int i = 0; i < *count; i++)
        if (read_change(frame, &at, &changes[i], err) < 0)
            return -1;
    return 0;
}

void op_set_limits(const struct task *task, struct buf *out)
{
    struct change changes[LIMITS];
    struct err err = {""};
    int count = 0;
    if (read_changes(task, changes, &count, &err) < 0) {
        reply_badarg(out, &err);
        return;
    }
    int i = 0;
    while (i < count &&
           limit_set(changes[i].limit, changes[i].value, &err) == 0)
        i++;
    if (i < count)
        reply_os_error(out, &err);
    else
        reply_ok(out);
}
