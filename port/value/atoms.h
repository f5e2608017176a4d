/* SPDX-License-Identifier: Apache-2.0
 *
 * atoms: objects of the class erlang.Atom. GIL held.
 */
#ifndef PORT_VALUE_ATOMS_H
#define PORT_VALUE_ATOMS_H

#include "value/python.h"

/* An Atom: a new reference, or NULL with an exception. The text is UTF-8 that
 * was checked, of at most 255 characters. Atoms that were made before are found
 * in a table of bounded size. */
PyObject *atoms_get(const char *utf8, size_t len);

#endif
