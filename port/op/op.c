/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/op.h"

#include <string.h>

#include "task/capture.h"
#include "task/reply.h"
#include "value/form.h"
#include "value/python.h"

struct op_row {
    const char *name;
    int arity; /* arguments behind the name; 0: the request is the atom */
    bool urgent;
    op_fn *run;
};

static const struct op_row rows[] = {
    {"call", 4, false, op_invoke},
    {"eval", 2, false, op_eval},
    {"exec", 1, false, op_exec},
    {"stream", 1, false, op_stream},
    {"hello", 0, true, op_hello},
    {"version", 0, true, op_version},
    {"listen", 2, false, op_listen},
    {"memory_stats", 0, true, op_memory_stats},
    {"stack", 0, true, op_stack},
    {"gc", 0, true, op_gc},
    {"gc", 1, true, op_gc},
    {"tracemalloc_start", 0, true, op_tracemalloc_start},
    {"tracemalloc_start", 1, true, op_tracemalloc_start},
    {"tracemalloc_stop", 0, true, op_tracemalloc_stop},
    {"tracemalloc_top", 1, true, op_tracemalloc_top},
};

static const struct op_row *find(const struct request *req)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].arity == req->op_arity &&
            strcmp(rows[i].name, req->op) == 0)
            return &rows[i];
    return NULL;
}

bool op_is_urgent(const struct request *req)
{
    const struct op_row *row = find(req);
    return row && row->urgent;
}

/* What is printed while an urgent request runs is the busy job's. */
static int read_opts(const struct op_row *row, struct op_call *call,
                     struct err *err)
{
    if (task_opts_read(call->req, &call->opts, err) < 0)
        return -1;
    if (row->urgent && call->opts.capture)
        return err_set(err, "option 'capture': '%s' is no job", row->name);
    return 0;
}

/* The text comes first, in a frame of its own: what is in `out` is the reply
 * already. */
static enum op_end run_row(const struct op_row *row, struct op_call *call)
{
    if (!call->opts.capture)
        return row->run(call);
    if (capture_start() < 0)
        return OP_FAILED;
    enum op_end end = row->run(call);
    capture_send(call);
    return end;
}

enum op_end op_run(const struct request *req, struct buf *out)
{
    struct op_call call = {.req = req, .out = out, .at = req->args_at};
    struct err err = {""};
    const struct op_row *row = find(req);

    reply_begin(out, req->frame + req->id_at, req->id_len);
    size_t mark = buf_mark(out);
    if (!row)
        err_set(&err, "there is no operation '%s' with %d arguments", req->op,
                req->op_arity);
    else
        read_opts(row, &call, &err);
    if (*err.text) {
        reply_badarg(out, &err);
        return OP_REPLY;
    }
    enum op_end end = run_row(row, &call);
    if (end == OP_FAILED) {
        buf_rewind(out, mark);
        reply_exception(out, &call.opts.value);
        end = OP_REPLY;
    }
    return end;
}
