/* SPDX-License-Identifier: Apache-2.0
 *
 * exception: from a Python exception to the Reason of {error, Reason}.
 *
 *     {Class, Message}  {Class, Message, Trace}  {badarg, Message}
 *
 * Class is an atom for the exception classes that Python is born with (see
 * exception_class_names). For all others it is a binary, the name with the
 * module in front, so Python code can neither make Erlang create atoms nor
 * raise what looks like a reason of ours. A name over 255 bytes is cut.
 * Message is a binary, which for a MemoryError says when memory ran out, and
 * what it is limited to; Trace is a map, there with option `traceback` (see
 * python/erlang/_traceback.py). GIL held.
 */
#ifndef PORT_VALUE_EXCEPTION_H
#define PORT_VALUE_EXCEPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"

/* Notes the classes that Python is born with. Call once, after classes_init
 * and before any user code runs. 0, or -1 with an exception. */
int exception_init(void);

/* The names that may come as the atom Class, as a new list of str. */
PyObject *exception_class_names(void);

/* Says which limits on memory there are: "limit heap: 1048576 bytes". False:
 * there are none. */
typedef bool exception_limits_fn(char *text, size_t size);

/* The function that knows what a MemoryError's message says about limits. Call
 * once, before there are threads; without it, the message says nothing of them.
 */
void exception_on_no_memory(exception_limits_fn *limits);

/* Takes the current exception and appends its Reason; no exception is set
 * afterwards. What does not fit is left out: the trace first, then the
 * message. 0, or -1 with `out` as it was when there is no room for that. */
int exception_encode(struct buf *out, const struct form *form);

#endif
