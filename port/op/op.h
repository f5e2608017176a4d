/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations: what each request does. The table in op.c has one row a
 * request; a row names a short function in the file of its noun. To add an
 * operation see HACKING.md.
 */
#ifndef PORT_OP_OP_H
#define PORT_OP_OP_H

#include <stdbool.h>

#include "task/opts.h"
#include "wire/buf.h"
#include "wire/request.h"

/* A request on its way through an operation. */
struct op_call {
    const struct request *req;
    struct task_opts opts;
    struct buf *out; /* the reply under construction */
    size_t at;       /* the argument to be decoded next */
};

/* How an operation ended. OP_FAILED: a Python exception is set. */
enum op_end {
    OP_FAILED = -1,
    OP_REPLY, /* the reply is complete */
    OP_LATER  /* the operation goes on (a stream); no reply yet */
};

/* True when the request may be answered while Python is busy with another:
 * it is short, and runs no user code but the finalizers of what gc finds.
 * Needs no GIL. */
bool op_is_urgent(const struct request *req);

/* Runs the request and leaves a whole reply frame in `out`, unless OP_LATER.
 * Never returns OP_FAILED: an exception becomes an error reply. GIL held. */
enum op_end op_run(const struct request *req, struct buf *out);

/* The function of one row. */
typedef enum op_end op_fn(struct op_call *call);

/* eval.c  {eval, Code, Locals}   {exec, Code} */
op_fn op_eval, op_exec;
/* call.c  {call, Module, Function, Args, Kwargs} */
op_fn op_invoke;
/* stream.c  {stream, Source} */
op_fn op_stream;
/* hello.c  hello   version */
op_fn op_hello, op_version;
/* memory.c  memory_stats   gc   {gc, Generation} */
op_fn op_memory_stats, op_gc;
/* trace.c  tracemalloc_start   {tracemalloc_start, NFrame} … */
op_fn op_tracemalloc_start, op_tracemalloc_stop, op_tracemalloc_top;
/* event.c  {listen, Boolean, Window} */
op_fn op_listen;
/* stack.c  stack */
op_fn op_stack;

#endif
