/* SPDX-License-Identifier: Apache-2.0
 *
 * memo: strs, or instances of a subclass, that were made from a text before:
 * the same few names come again and again. A table has a fixed size, and a text
 * has one place in it, which it takes from the text that had it. GIL held.
 */
#ifndef PORT_VALUE_MEMO_H
#define PORT_VALUE_MEMO_H

#include "value/python.h"

/* Makes the object; a new reference, or NULL with an exception. */
typedef PyObject *memo_make_fn(const char *utf8, size_t len);

struct memo_slot {
    PyObject *object; /* owned; NULL: empty */
    const char *text; /* its text as UTF-8, which it keeps itself */
    size_t len;
};

struct memo {
    struct memo_slot *slots;
    size_t size; /* a power of two */
    memo_make_fn *make;
};

/* The object of a text in UTF-8: a new reference, or NULL with an exception. */
PyObject *memo_get(const struct memo *memo, const char *utf8, size_t len);

#endif
