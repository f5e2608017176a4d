/* SPDX-License-Identifier: Apache-2.0
 *
 * code: from source text to what Python compiles it to. The same few texts come
 * again and again, so those that were used last are kept. GIL held; a new
 * reference, or NULL with an exception.
 */
#ifndef PORT_TASK_CODE_H
#define PORT_TASK_CODE_H

#include "task/opts.h"
#include "value/python.h"

/* Whether code may await something outside of functions: then its value is a
 * coroutine. It may not until this is called, before there are threads. */
void code_allow_await(bool allowed);

/* An expression; it may be indented, and begin with a byte order mark. The
 * options say which file and line it comes from. */
PyObject *code_of_expression(PyObject *text, const struct task_opts *opts);

/* The same for statements. */
PyObject *code_of_statements(PyObject *text, const struct task_opts *opts);

/* What is kept of either kind: a dict of dicts, by atoms. */
PyObject *code_kept(void);

#endif
