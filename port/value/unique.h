/* SPDX-License-Identifier: Apache-2.0
 *
 * unique: whether the keys of a dict, which differ in Python, differ as terms,
 * too ('a' and b'a' do not), and whether the dict stayed as it was while Python
 * code ran. Most dicts have plain keys, and cost next to nothing here.
 *
 * GIL held. 0; or -1 with an exception.
 */
#ifndef PORT_VALUE_UNIQUE_H
#define PORT_VALUE_UNIQUE_H

#include <stdint.h>

#include "value/classes.h"
#include "wire/keys.h"
#include "value/python.h"

/* A dict while its pairs are written. */
struct unique {
    PyObject *dict; /* borrowed */
    size_t n;       /* of its pairs */
    bool noting;    /* its keys have to be compared */
    struct keys keys;
    uintptr_t digest; /* of which keys came */
};

static inline void unique_init(struct unique *u, PyObject *dict)
{
    u->dict = dict;
    u->n = (size_t)PyDict_Size(dict);
    u->noting = false;
    u->digest = 0;
}

/* Frees what there is. */
static inline void unique_end(struct unique *u)
{
    if (u->noting)
        keys_end(&u->keys);
}

/* Keys of these types differ in Erlang because they differ in Python. */
static inline bool unique_is_plain(PyObject *key)
{
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) ||
           Py_IS_TYPE(key, classes_type(ERL_ATOM));
}

/* From the i-th key on they are noted; those before are plain. */
int unique_note_from(struct unique *u, size_t i);

/* For each key that came, in order. */
static inline void unique_came(struct unique *u, PyObject *key)
{
    u->digest = u->digest * 31 + (uintptr_t)key;
}

/* Whether the dict still has just the keys that came. */
int unique_unchanged(const struct unique *u);

/* Whether the keys that were noted, and are in `out`, differ. */
int unique_check(const struct unique *u, const struct buf *out);

#endif
