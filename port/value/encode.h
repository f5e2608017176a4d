/* SPDX-License-Identifier: Apache-2.0
 *
 * encode: from Python objects to external format.
 */
#ifndef PORT_VALUE_ENCODE_H
#define PORT_VALUE_ENCODE_H

#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"

/* Appends one term. Returns 0; or -1 with an exception set and part of the
 * term in `out`, which the caller rewinds. TypeError, ValueError and
 * RuntimeError have the place in front, "result['x'][3]: cannot encode
 * complex"; what does not fit into `out` is an OverflowError.
 *
 * Objects that are no core type are made simpler in Python first (see
 * python/erlang/_encode.py), so this may run any code. GIL held. */
int value_encode(struct buf *out, PyObject *obj, const struct form *form,
                 const char *root);

#endif
