/* SPDX-License-Identifier: Apache-2.0
 *
 * arg: each function decodes the next argument of a task and moves on.
 * All return a new reference, or NULL with an exception. GIL held.
 */
#ifndef PORT_TASK_ARG_H
#define PORT_TASK_ARG_H

#include "task/task.h"
#include "value/python.h"

/* A name or a piece of code (atom, binary or chardata) as an exact str. */
PyObject *arg_text(struct task *task, const char *what);

/* A map with names for keys as a dict with exact str keys. */
PyObject *arg_names(struct task *task, const char *what);

/* The same, but None for an empty map. */
PyObject *arg_any_names(struct task *task, const char *what);

/* Any value. */
PyObject *arg_value(struct task *task, const char *what);

/* A list of values, as a list. */
PyObject *arg_list(struct task *task, const char *what);

/* true or false as a bool. */
PyObject *arg_boolean(struct task *task, const char *what);

/* An integer between least and most; -1 with an exception, so least >= 0. */
long arg_integer(struct task *task, const char *what, long least, long most);

#endif
