/* SPDX-License-Identifier: Apache-2.0
 *
 * op: what each request does. The table in op.c has one row for each request; a
 * row names a short function in the file of its noun. To add an operation see
 * HACKING.md.
 */
#ifndef PORT_OP_OP_H
#define PORT_OP_OP_H

#include <stdbool.h>

#include "task/task.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/request.h"

/* How a request is run. */
enum op_kind {
    OP_JOB,    /* in its turn */
    OP_STREAM, /* too; its replies come one after the other, of which
                  op/stream.h has to know before it runs */
    OP_MANY,   /* too, call by call (task/multicall.h) */
    OP_URGENT, /* perhaps while Python is busy with another: it is short, and
                  runs no user code but the finalizers of what gc finds */
    OP_BARE    /* at any time: it needs no Python */
};

/* Needs no GIL. */
enum op_kind op_kind(const struct request *req);

/* Runs an OP_BARE and sends its reply. `out` is scratch space. Needs no GIL. */
void op_run_bare(const struct request *req, struct buf *out);

/* Runs the request and sends its reply, unless a stream has begun: that goes
 * on. An exception becomes an error reply. `out` is scratch space. GIL
 * held; in a forked child it does not return. */
void op_run(const struct request *req, struct buf *out);

/* The same for a job within a call of the job that runs: that one's limit of
 * the heap holds for both. */
void op_run_within(const struct request *req, struct buf *out);

/* Whether the request may run on a thread beside the main one: it calls
 * something, and needs neither __main__ as it is afterwards nor a context.
 * Needs no GIL. */
bool op_may_run_aside(const struct request *req);

/* As op_run, on such a thread. */
void op_run_aside(const struct request *req, struct buf *out);

/* The function of one row: decodes its arguments and does what is asked.
 * Returns a new reference, or NULL with an exception. GIL held. */
typedef PyObject *op_fn(struct task *task);

/* eval.c  {eval, Code, Locals}   {exec, Code} */
op_fn op_eval, op_exec;
/* eval.c  {context_open, Context}   {context_open, Context, From}
 *         {context_vars, Context}   {context_close, [Context]} */
op_fn op_context_open, op_context_vars, op_context_close;
/* call.c  {call, Module, Function, Args, Kwargs}
 *         {multicall, [{Module, Function, Args, Kwargs}, …]}: one of these */
op_fn op_call, op_multicall;
/* call.c  {method, Object, Name, Args, Kwargs}   {value, Object}
 *         {attribute, Object, Name}   {set_attribute, Object, Name, Value} */
op_fn op_method, op_message, op_value, op_attribute, op_set_attribute;
/* call.c  {keep, Source}   {release, [Number]}   {describe, Object}   kept */
op_fn op_keep, op_release, op_describe, op_kept;
/* call.c  Source: one of those that have a value, inside another request */
op_fn op_source;
/* stream.c  {stream, Source} */
op_fn op_stream;
/* hello.c  hello   version */
op_fn op_hello, op_lane, op_version;
/* memory.c  memory_stats   reset_peak   gc   {gc, Generation} */
op_fn op_memory_stats, op_reset_peak, op_gc;
/* memory.c  gc_threshold   {gc_threshold, N0, N1, N2}   gc_enable … */
op_fn op_gc_threshold, op_gc_enable, op_gc_disable, op_gc_freeze;
/* objects.c  memory_objects */
op_fn op_memory_objects;
/* census.c  census   growth   uncollectable   {referrers, Type, N} */
op_fn op_census, op_growth, op_uncollectable, op_referrers;
/* heap_limit.c  {set_memory, Limits} */
op_fn op_set_memory;
/* trace.c  tracemalloc_start   {tracemalloc_start, NFrame}   traced … */
op_fn op_tracemalloc_start, op_tracemalloc_stop, op_tracemalloc_top, op_traced;
/* profile.c  {heap_profile, SinceMark}   profile_mark   {profile_switch, On} */
op_fn op_heap_profile, op_profile_mark, op_profile_switch;
/* listen.c  {listen, Boolean, Window} */
op_fn op_listen;
/* stack.c  stack */
op_fn op_stack;

/* The same for a row that needs no Python: appends what comes after the Id in
 * its reply. */
typedef void op_bare_fn(const struct task *task, struct buf *out);

/* heap.c  memory_detail   trim */
op_bare_fn op_memory_detail, op_trim;
/* limit.c  {set_limits, Limits} */
op_bare_fn op_set_limits;

#endif
