/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_numpy: counts the data of numpy's arrays, which numpy takes from malloc
 * by itself, in the account of Python's heap, too. GIL held.
 *
 * numpy keeps its allocator in a context (contextvars): the arrays that jobs
 * make are counted, also in the contexts that jobs copy, and those of other
 * threads are not.
 */
#ifndef PORT_MEMORY_HEAP_NUMPY_H
#define PORT_MEMORY_HEAP_NUMPY_H

/* Looks out for numpy, which is not imported by this. Call once, when Python
 * has started. 0, or -1 with an exception. */
int heap_numpy_watch(void);

/* A job begins: its arrays are counted even if numpy was imported elsewhere.
 * Main thread. Never raises. */
void heap_numpy_begin_job(void);

#endif
