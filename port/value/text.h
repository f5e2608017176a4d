/* SPDX-License-Identifier: Apache-2.0
 *
 * text: names and source code, in all the forms in which Erlang writes them:
 * an atom, a binary in UTF-8, or chardata (a list of code points, binaries and
 * more such lists).
 */
#ifndef PORT_VALUE_TEXT_H
#define PORT_VALUE_TEXT_H

#include "value/python.h"

/* Reads the text at *p, which was scanned, as an exact str and moves *p behind
 * it. A new reference, or NULL with an exception: erlang.BadArg when the term
 * is not text. GIL held. */
PyObject *text_decode(const unsigned char **p);

#endif
