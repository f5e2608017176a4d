/* SPDX-License-Identifier: Apache-2.0
 *
 * span: requests as parts of a trace (erlang.span, see erlang/_span.py). Which
 * span is the current one is in Python's current context (contextvars). So a
 * request that somebody's trace goes on in has a context of its own, and so has
 * each stream, because a generator stands still within its spans while others
 * run. Whoever has no spans has none of this. GIL held, main thread.
 */
#ifndef PORT_TASK_SPAN_H
#define PORT_TASK_SPAN_H

#include "task/opts.h"
#include "task/task.h"
#include "value/python.h"

/* Code has spans from now on. Any thread. */
void span_use(void);

/* Runs the task, which has a `traceparent`, in a context of its own. Returns
 * what `run` does. */
PyObject *span_run(struct task *task, PyObject *(*run)(struct task *task));

/* The context of a stream that begins with these options. A new reference;
 * NULL: it needs none, or with an exception. */
PyObject *span_context(const struct task_opts *opts);

/* A step of a stream begins, and ends: with its context, or with NULL. Code
 * that has its first spans in the step makes a context for those to come, which
 * is put there, a new reference. Keep an exception that is set. */
void span_begin_step(PyObject *context);
void span_end_step(PyObject **context);

/* A job is over that was interrupted, perhaps where a span had begun that
 * nobody ends: there is no current one any more. */
void span_forget(void);

#endif
