/* SPDX-License-Identifier: Apache-2.0
 *
 * context: namespaces that stay from one request to the next, each under the
 * number that the peer has given it. A context is a module by the name of
 * __main__ which sys.modules does not have. The table owns it until it is
 * closed. GIL held; -1 or NULL comes with an exception.
 */
#ifndef PORT_TASK_CONTEXT_H
#define PORT_TASK_CONTEXT_H

#include "task/opts.h"
#include "task/task.h"
#include "value/python.h"

/* Makes one of that number, with the names of the one `from`; 0: it has none.
 * 0/-1: there is one already, or the other is not. */
int context_open(long id, long from);

/* Forgets the one of that number, if there is one, and clears its names, so
 * that functions and the names that they see do not keep each other. While
 * there are copies, which may need them, they stay. Objects that are freed by
 * that may run any code. */
void context_close(long id);

/* The same for all of them, before Python ends: it does not know them. */
void context_close_all(void);

/* The one of that number. A new reference; NULL: it is not open here. */
PyObject *context_find(long id);

/* The request's own. */
PyObject *context_module(const struct task_opts *opts);

/* Its dict, where the names are. A new reference. */
PyObject *context_names(const struct task_opts *opts);

/* The module, or what is in it, that a call means by this name: __main__ is the
 * request's own context. A new reference. */
PyObject *context_named(const struct task_opts *opts, PyObject *name);

/* Runs the task, which has a context, with something in sys.modules by which
 * the names of __main__ are the context's; but not where tasks run beside the
 * main thread. Returns what `run` does. */
PyObject *context_run(struct task *task, PyObject *(*run)(struct task *task));

/* What sys.modules has by this name, which is __main__: for who runs beside the
 * main thread, without what stands there for a context. A new reference; NULL:
 * nothing, or an exception is set. */
PyObject *context_main(PyObject *name);

/* A job begins that runs within a call of one: what stands in sys.modules for
 * that one's context does not do so until the job is over. */
struct context_stand {
    PyObject *name, *stand, *before; /* borrowed; NULL: nothing does */
};
void context_put_aside(struct context_stand *stand);
void context_go_on(const struct context_stand *stand);

#endif
