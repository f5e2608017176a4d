/* SPDX-License-Identifier: Apache-2.0
 *
 * handle: objects that stay here, each under a number by which the peer names
 * it. The table owns them until they are released. GIL held; NULL
 * comes with an exception unless said otherwise.
 */
#ifndef PORT_TASK_HANDLE_H
#define PORT_TASK_HANDLE_H

#include <stdint.h>

#include "value/python.h"

/* Keeps the object. Returns its number, an int of exactly 64 bits: it is drawn
 * at random, so nobody guesses it, and none comes twice. */
PyObject *handle_keep(PyObject *object);

/* The object of that number, a new reference; NULL without an exception: there
 * is none. */
PyObject *handle_find(uint64_t number);

/* What is kept, by type: [(name, bytes, how many, how long the oldest has been
 * kept in ms)]. Objects may run code that says how large they are. */
PyObject *handle_types(void);

/* Lets go of the object of that number, an int, if there is one. Objects that
 * are freed by that may run any code. */
void handle_release(PyObject *number);

/* The same for all of them, before Python ends: it does not know them. */
void handle_release_all(void);

#endif
