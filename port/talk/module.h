/* SPDX-License-Identifier: Apache-2.0
 *
 * module: the built-in Python module `_erlang`, with what the package `erlang`
 * cannot do in Python.
 */
#ifndef PORT_TALK_MODULE_H
#define PORT_TALK_MODULE_H

/* Makes the module known. `worker` is the program's number in its pool, or 0.
 * Call before Python starts, without the GIL. 0, or -1 when there is no memory.
 */
int module_add(long worker);

/* User code has returned: a line that it has printed and not ended becomes an
 * event now, and does not wait for what the next caller prints. Keeps an
 * exception that is set. GIL held, main thread. */
void module_end_lines(void);

#endif
