/* SPDX-License-Identifier: Apache-2.0
 *
 * moment: whether an exception may be raised where the main thread is just now.
 * An exception between `lock.acquire()` and the `try` behind it leaves the lock
 * taken for ever, and the standard library is full of such places. So nothing
 * is raised while a module that has such places is at work, unless it is
 * blocked in C: then it does not have the lock yet.
 *
 * GIL held, main thread.
 */
#ifndef PORT_LOOP_MOMENT_H
#define PORT_LOOP_MOMENT_H

#include <stdbool.h>

#include "value/python.h"

/* Call once. 0, or -1 with an exception. */
int moment_init(void);

/* `frame` is the innermost one, or None. `tick` is a number that each signal
 * increases: a frame that is at the same instruction as at an earlier signal is
 * blocked there. Keeps the frame until the next call. */
bool moment_is_good(PyObject *frame, unsigned tick);

/* Lets go of the frame. */
void moment_forget(void);

/* Whether the code of this frame, of any thread, is of a module that has such
 * places. Runs no Python code. */
bool moment_takes_locks(PyObject *frame);

/* Whether the code of this frame runs because something is being imported: a
 * package whose import is interrupted may not be imported any more, and other
 * threads may be waiting for it. Runs no Python code. */
bool moment_imports(PyObject *frame);

#endif
