/* SPDX-License-Identifier: Apache-2.0
 *
 * place: where in a value we are, for errors: "args[1]['x']".
 *
 * Costs nothing while all goes well: each level adds its step only while an
 * error unwinds, so steps come innermost first. GIL held.
 */
#ifndef PORT_VALUE_PLACE_H
#define PORT_VALUE_PLACE_H

#include "value/python.h"

/* Steps that are kept, the outermost ones, and bytes of each. */
#define PLACE_STEPS 16
#define PLACE_STEP_SIZE 144

/* No place yet when steps is 0. Owns nothing. */
struct place {
    size_t steps;
    char step[PLACE_STEPS][PLACE_STEP_SIZE];
};

/* All keep the exception that is set, and cannot fail. */
void place_index(struct place *p, size_t i);     /* [3] */
void place_key(struct place *p, PyObject *key);  /* ['x'] */
void place_nth_key(struct place *p, size_t i);   /* .keys()[3]: the key */
void place_name(struct place *p, const char *s); /* .tail */

/* Puts "root[1]['x']: " before the message of the exception that is set, if it
 * is one that the converters raise (TypeError, ValueError, OverflowError,
 * RuntimeError or `badarg`, and no subclass of these). */
void place_prefix(const struct place *p, const char *root, PyObject *badarg);

#endif
