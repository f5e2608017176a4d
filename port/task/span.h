/* SPDX-License-Identifier: Apache-2.0
 *
 * span: requests as parts of a trace (erlang.span, see erlang/_span.py). Which
 * span is the current one is in a variable of Python's (contextvars). A job
 * begins without one, or with that of whoever has asked for it, and leaves none
 * behind. A stream stands still within its spans while others run: it keeps
 * what is the current one from step to step. Each thread has its own. GIL held,
 * and no exception is set.
 */
#ifndef PORT_TASK_SPAN_H
#define PORT_TASK_SPAN_H

#include "task/opts.h"
#include "value/python.h"

/* Code has spans from now on, and this contextvars.ContextVar has the current
 * one, or None. Any thread. */
void span_use(PyObject *variable);

/* The span of the `traceparent` in the options is the current one from now on.
 * -1 with an exception. */
int span_join(const struct task_opts *opts);

/* The current span. A new reference; NULL: there is none. */
PyObject *span_now(void);

/* It is this one, or none, from now on. */
void span_go_on_take(PyObject *span);

#endif
