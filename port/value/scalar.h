/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar: Python objects without parts (numbers, text, bytes, Erlang's own
 * kinds) to external format.
 *
 * Each function appends an object of its type, or of a subclass. 0; or -1,
 * with an exception (ValueError for what has no form in Erlang), or without
 * one and out->why set, where there was no room. GIL held.
 */
#ifndef PORT_VALUE_SCALAR_H
#define PORT_VALUE_SCALAR_H

#include "value/python.h"
#include "wire/buf.h"

typedef int scalar_fn(struct buf *out, PyObject *obj);

scalar_fn scalar_bool, scalar_int;

/* A float that is not finite: the atom nan, infinity or neg_infinity. */
scalar_fn scalar_no_number;

scalar_fn scalar_str, scalar_bytes, scalar_bytearray;

/* A memoryview of bytes, in one dimension at most; for any other it returns 1
 * and appends nothing. */
scalar_fn scalar_memoryview;

/* The bytes of the memory that an erlang._Memory stands for. */
scalar_fn scalar_memory;

scalar_fn scalar_atom, scalar_opaque, scalar_bitstring;

#endif
