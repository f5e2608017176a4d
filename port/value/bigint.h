/* SPDX-License-Identifier: Apache-2.0
 *
 * bigint: integers that no C type holds. GIL held.
 */
#ifndef PORT_VALUE_BIGINT_H
#define PORT_VALUE_BIGINT_H

#include "value/python.h"
#include "wire/buf.h"

/* An int from its absolute value, least byte first. A new reference, or NULL
 * with an exception. */
PyObject *bigint_from_bytes(const unsigned char *bytes, size_t n,
                            bool negative);

/* Appends an int (or an instance of a subclass) of that sign. 0, or -1: with
 * an exception, or with out->why set. */
int bigint_encode(struct buf *out, PyObject *obj, bool negative);

#endif
