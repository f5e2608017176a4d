/* SPDX-License-Identifier: Apache-2.0
 *
 * hint: adds to the message of an exception what its caller in Erlang may have
 * done wrong (see python/erlang/_hint.py). GIL held.
 */
#ifndef PORT_TASK_HINT_H
#define PORT_TASK_HINT_H

#include "value/python.h"

/* Call with the exception set that is to be explained: it stays set, and most
 * need no explanation. `args` are the arguments of a call, or NULL; `names` its
 * keyword arguments or the locals of an expression, or NULL. */
void hint_add(PyObject *args, PyObject *names);

/* The same for code of a context, in which pickle has not found something. */
void hint_add_in_context(void);

#endif
