/* SPDX-License-Identifier: Apache-2.0
 *
 * gc_pause: how often the garbage collector has run, and for how long Python
 * stood still meanwhile. GIL held.
 */
#ifndef PORT_TASK_GC_PAUSE_H
#define PORT_TASK_GC_PAUSE_H

#include "value/python.h"

/* Makes the collector say when it begins and ends (gc.callbacks). Call once,
 * when Python has started. 0, or -1 with an exception. */
int gc_pause_init(void);

/* A list with a map for each generation, the youngest first: `count`, and
 * `total` and `longest` in microseconds. A new reference, or NULL with an
 * exception. */
PyObject *gc_pause_list(void);

/* How many collections there were, and their nanoseconds. */
void gc_pause_sum(long long *runs, long long *total);

#endif
