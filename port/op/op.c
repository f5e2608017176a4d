/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "op/op.h"

#include <string.h>

#include "memory/heap_hook.h"
#include "op/bill.h"
#include "op/stream.h"
#include "talk/aio.h"
#include "talk/call.h"
#include "talk/module.h"
#include "task/capture.h"
#include "task/context.h"
#include "task/multicall.h"
#include "task/reply.h"
#include "task/span.h"
#include "wire/output.h"

struct op_row {
    const char *name;
    int arity; /* arguments behind the name; 0: the request is the atom */
    enum op_kind kind;
    op_fn *run;
    const char *root; /* its value in errors; NULL: the reply is a bare `ok`,
                         or the number of what is kept */
};

static const struct op_row rows[] = {
    {"call", 4, OP_JOB, op_call, "result"},
    {"eval", 2, OP_JOB, op_eval, "result"},
    {"exec", 1, OP_JOB, op_exec, NULL},
    {"exec", 2, OP_JOB, op_exec, NULL},
    {"stream", 1, OP_STREAM, op_stream, NULL},
    {"hello", 0, OP_URGENT, op_hello, "hello"},
    {"version", 0, OP_URGENT, op_version, "version"},
    {"lane", 1, OP_JOB, op_lane, NULL},
    {"listen", 2, OP_JOB, op_listen, NULL},
    {"listen", 3, OP_JOB, op_listen, NULL},
    {"listen", 4, OP_JOB, op_listen, NULL},
    {"memory_stats", 0, OP_URGENT, op_memory_stats, "memory_stats"},
    {"memory_objects", 0, OP_URGENT, op_memory_objects, "memory_objects"},
    {"set_memory", 1, OP_URGENT, op_set_memory, NULL},
    {"reset_peak", 0, OP_URGENT, op_reset_peak, NULL},
    {"stack", 0, OP_URGENT, op_stack, "stack"},
    {"gc", 0, OP_URGENT, op_gc, "gc"},
    {"gc", 1, OP_URGENT, op_gc, "gc"},
    {"gc_threshold", 0, OP_URGENT, op_gc_threshold, "gc_threshold"},
    {"gc_threshold", 3, OP_URGENT, op_gc_threshold, NULL},
    {"gc_enable", 0, OP_URGENT, op_gc_enable, NULL},
    {"gc_disable", 0, OP_URGENT, op_gc_disable, NULL},
    {"gc_freeze", 0, OP_URGENT, op_gc_freeze, NULL},
    {"tracemalloc_start", 0, OP_URGENT, op_tracemalloc_start, NULL},
    {"tracemalloc_start", 1, OP_URGENT, op_tracemalloc_start, NULL},
    {"tracemalloc_stop", 0, OP_URGENT, op_tracemalloc_stop, NULL},
    {"tracemalloc_top", 1, OP_URGENT, op_tracemalloc_top, "top"},
    {"census", 0, OP_URGENT, op_census, "census"},
    {"growth", 0, OP_URGENT, op_growth, "growth"},
    {"uncollectable", 0, OP_URGENT, op_uncollectable, "uncollectable"},
    {"referrers", 2, OP_URGENT, op_referrers, "referrers"},
    {"traced", 0, OP_URGENT, op_traced, "traced"},
    {"heap_profile", 1, OP_URGENT, op_heap_profile, "heap_profile"},
    {"profile_mark", 0, OP_URGENT, op_profile_mark, "profile_mark"},
    {"profile_switch", 1, OP_URGENT, op_profile_switch, "profile_switch"},
    {"context_open", 1, OP_JOB, op_context_open, NULL},
    {"context_open", 2, OP_JOB, op_context_open, NULL},
    {"context_vars", 1, OP_JOB, op_context_vars, "vars"},
    {"context_close", 1, OP_JOB, op_context_close, NULL},
    {"keep", 1, OP_JOB, op_keep, NULL},
    {"method", 4, OP_JOB, op_method, "result"},
    {"value", 1, OP_JOB, op_value, "value"},
    {"attribute", 2, OP_JOB, op_attribute, "attribute"},
    {"set_attribute", 3, OP_JOB, op_set_attribute, NULL},
    {"release", 1, OP_JOB, op_release, NULL},
    {"describe", 1, OP_JOB, op_describe, "object"},
    {"kept", 0, OP_JOB, op_kept, "kept"},
    {"multicall", 1, OP_MANY, op_multicall, "result"},
    {"message", 2, OP_JOB, op_message, NULL},
};

/* What needs no Python. */
static const struct op_bare_row {
    const char *name;
    int arity;
    op_bare_fn *run;
} bare_rows[] = {
    {"memory_detail", 0, op_memory_detail},
    {"trim", 0, op_trim},
    {"set_limits", 1, op_set_limits},
};

static const struct op_row *find(const struct request *req)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].arity == req->op_arity &&
            strcmp(rows[i].name, req->op) == 0)
            return &rows[i];
    return NULL;
}

static const struct op_bare_row *find_bare(const struct request *req)
{
    for (size_t i = 0; i < sizeof bare_rows / sizeof *bare_rows; i++)
        if (bare_rows[i].arity == req->op_arity &&
            strcmp(bare_rows[i].name, req->op) == 0)
            return &bare_rows[i];
    return NULL;
}

/* What is no operation at all has its error in its turn. */
static enum op_kind kind_of(const struct op_row *row)
{
    return row ? row->kind : OP_JOB;
}

enum op_kind op_kind(const struct request *req)
{
    const struct op_row *row = find(req);
    return row || !find_bare(req) ? kind_of(row) : OP_BARE;
}

/* Text that is printed while an urgent request runs belongs to the busy job,
 * and so does what is allocated. */
static int read_options(struct task *task, enum op_kind kind, struct err *err)
{
    const struct request *req = task->req;
    if (task_opts_read(req, &task->opts, err) < 0)
        return -1;
    if (task->opts.capture && kind != OP_JOB && kind != OP_STREAM)
        return err_set(err, "option 'capture': '%s' is no job", req->op);
    if (task->opts.bill && kind != OP_JOB && kind != OP_MANY)
        return err_set(err, "option 'bill': '%s' is no call", req->op);
    return 0;
}

static int prepare(const struct op_row *row, struct task *task, struct err *err)
{
    const struct request *req = task->req;
    if (!row)
        return err_set(err, "there is no operation '%s' with %d arguments",
                       req->op, req->op_arity);
    if (read_options(task, row->kind, err) < 0)
        return -1;
    return row->kind == OP_MANY ? multicall_begin(task, err) : 0;
}

static PyObject *run_there(const struct op_row *row, struct task *task)
{
    if (!task->opts.apart)
        return row->run(task);
    if (task->opts.traceparent && row->kind != OP_URGENT &&
        span_join(&task->opts) < 0)
        return NULL;
    return task->opts.context ? context_run(task, row->run) : row->run(task);
}

static _Thread_local bool within; /* a call of a job */

/* Python's heap is limited in jobs only, and not while we encode. */
static PyObject *run_limited(const struct op_row *row, struct task *task)
{
    if (row->kind == OP_URGENT || within)
        return run_there(row, task);
    heap_hook_begin_job();
    PyObject *value = run_there(row, task);
    heap_hook_end_job(value == NULL);
    return value;
}

static bool is_to_be_awaited(PyObject *value)
{
    return value && python_is_awaitable(value) && aio_is_on();
}

/* Whether it is a job whose value is the user's. */
static bool gives_value(const struct op_row *row)
{
    return row->run == op_call || row->run == op_eval ||
           row->run == op_method || row->run == op_keep;
}

/* Whether it is a job whose value is awaited. */
static bool goes_aside(const struct op_row *row, PyObject *value)
{
    return is_to_be_awaited(value) &&
           (gives_value(row) || row->run == op_exec || row->run == op_message);
}

/* What was printed goes out ahead of the reply, in a frame of its own; of a job
 * that is awaited there is more to come. */
static PyObject *run(const struct op_row *row, struct task *task)
{
    if (task->opts.bill)
        bill_begin(task->opts.bill);
    if (task->opts.capture && capture_start() < 0)
        return NULL;
    PyObject *value = run_limited(row, task);
    task_returned();
    if (row->kind != OP_URGENT)
        module_end_lines();
    if (task->opts.capture && !goes_aside(row, value))
        capture_send(task);
    return value;
}

static int put_result(const struct op_row *row, struct task *task,
                      PyObject *value, struct buf *out)
{
    if (!value)
        return -1;
    task->opts.form.stage = STAGE_REPLY;
    if (!row->root)
        return row->run == op_keep ? reply_kept(out, value, &task->opts.form)
                                   : reply_ok(out);
    return reply_value(out, value, &task->opts.form, row->root);
}

/* Takes the value; NULL: an exception is set. The value's finalizers run before
 * anything is sent. -1: it is an error that is put. */
static int put_result_take(const struct op_row *row, struct task *task,
                           PyObject *value, struct buf *out)
{
    const size_t mark = buf_mark(out);
    int rc = put_result(row, task, value, out);
    Py_XDECREF(value);
    if (rc < 0) {
        task_returned(); /* an encoder may have forked, too */
        buf_rewind(out, mark);
        reply_exception(out, &task->opts.form);
    }
    if (task->opts.bill)
        bill_send(task);
    return rc;
}

static void send_result_take(const struct op_row *row, struct task *task,
                             PyObject *value, struct buf *out)
{
    const struct request *req = task->req;
    reply_begin(out, req->frame + req->id_at, req->id_len);
    if (put_result_take(row, task, value, out) < 0 && row->kind != OP_URGENT)
        reply_tell_ran_out(req->frame + req->id_at, req->id_len);
    reply_send(out);
}

/* Takes the value: the reply will come when it was awaited. -1: an exception is
 * set. */
static int put_aside_take(const struct op_row *row, struct task *task,
                          PyObject *value)
{
    PyObject *captured = task->opts.capture ? capture_stop() : NULL;
    int rc =
        aio_begin_take(task, value, row->root, row->run == op_keep, captured);
    Py_DECREF(value);
    return rc;
}

static void send_badarg(const struct request *req, const struct err *err,
                        struct buf *out)
{
    reply_begin(out, req->frame + req->id_at, req->id_len);
    reply_badarg(out, err);
    reply_send(out);
}

static void run_calls(const struct op_row *row, struct task *task,
                      struct buf *out)
{
    while (multicall_next(task)) {
        PyObject *value = run(row, task);
        if (is_to_be_awaited(value))
            value = aio_wait_take(value);
        if (!value)
            multicall_skip(task);
        multicall_open(out);
        put_result_take(row, task, value, out);
        multicall_close(out);
    }
    multicall_end(out);
}

/* A stream that cannot be opened is forgotten before its reply is sent: then
 * its id may be used again. */
void op_run(const struct request *req, struct buf *out)
{
    struct task task; /* without options until it is prepared */
    struct err err = {""};
    const struct op_row *row = find(req);
    const bool is_stream = kind_of(row) == OP_STREAM;
    task.req = req;
    task.at = req->args_at;
    const bool runs = prepare(row, &task, &err) == 0;
    if (runs && req->has.funs)
        call_given(req);
    if (runs && row->kind == OP_MANY) {
        run_calls(row, &task, out);
        return;
    }
    PyObject *value = runs ? run(row, &task) : NULL;

    if (is_stream && value && stream_open_take(&task, value) == 0)
        return;
    if (is_stream) {
        value = NULL;
        stream_forget(req);
    }
    if (goes_aside(row, value)) {
        if (put_aside_take(row, &task, value) == 0)
            return;
        value = NULL;
    }
    if (runs)
        send_result_take(row, &task, value, out);
    else
        send_badarg(req, &err, out);
}

void op_run_within(const struct request *req, struct buf *out)
{
    const bool before = within;
    PyObject *captured = capture_now(), *span = span_now();
    struct context_stand stand;
    struct bill bill;
    context_put_aside(&stand);
    within = true;
    bill_enter(&bill);
    op_run(req, out);
    bill_leave();
    within = before;
    context_go_on(&stand);
    capture_go_on_take(captured);
    span_go_on_take(span);
}

bool op_may_run_aside(const struct request *req)
{
    const struct op_row *row = find(req);
    struct task_opts opts;
    struct err err = {""};
    return row && (gives_value(row) || row->run == op_stream) &&
           task_opts_read(req, &opts, &err) == 0 && !opts.context;
}

void op_run_aside(const struct request *req, struct buf *out)
{
    struct bill bill;
    bill_enter(&bill);
    op_run(req, out);
    bill_leave();
}

void op_run_bare(const struct request *req, struct buf *out)
{
    struct task task = {.req = req, .at = req->args_at};
    struct err err = {""};
    reply_begin(out, req->frame + req->id_at, req->id_len);
    if (read_options(&task, OP_BARE, &err) < 0)
        reply_badarg(out, &err);
    else
        find_bare(req)->run(&task, out);
    output_send(out);
}
