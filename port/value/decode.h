/* SPDX-License-Identifier: Apache-2.0
 *
 * decode: from external format to Python objects.
 *
 * The bytes were checked by scan_frame or scan_term: nothing here looks at
 * lengths again. Each function reads the term at buf[*at] and moves *at behind
 * it. A new reference; or NULL with an exception set and *at undefined.
 * The exception is erlang.BadArg for what has no Python form, with the place
 * in front: "args[1]['x']: binary is not UTF-8; …". GIL held.
 */
#ifndef PORT_VALUE_DECODE_H
#define PORT_VALUE_DECODE_H

#include "value/form.h"
#include "value/python.h"

/* Any value. `root` names it in errors: "args". */
PyObject *value_decode(const char *buf, size_t *at, const struct form *form,
                       const char *root);

/* A name or source code (see text.h) as an exact str. */
PyObject *value_decode_text(const char *buf, size_t *at,
                            const struct form *form, const char *root);

/* A map whose keys are names as a dict whose keys are exact str. */
PyObject *value_decode_names(const char *buf, size_t *at,
                             const struct form *form, const char *root);

#endif
