/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>

#include "census/search.h"
#include "census/sweep.h"

struct sample {
    struct sweep sweep;
    const struct numbering *classes;
    PyObject **taken; /* not in the collector's sight */
    size_t most, count;
    uint64_t seen, random;
};

/* xorshift: any will do. */
static uint64_t next_random(struct sample *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random;
}

static bool is_taken(const struct sample *s, PyObject *obj)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->taken[i] == obj)
            return true;
    return false;
}

/* Each object that has come so far is in the sample with the same probability.
 */
static bool take(struct sweep *sweep, PyObject *obj)
{
    struct sample *s = (struct sample *)sweep;
    if (numbering_find(s->classes, (PyObject *)Py_TYPE(obj)) ==
            NUMBERING_NONE ||
        is_taken(s, obj))
        return true;
    const uint64_t at =
        s->seen++ < s->most ? s->count : next_random(s) % s->seen;
    if (at >= s->most)
        return true;
    if (at == s->count)
        s->taken[s->count++] = Py_NewRef(obj);
    else
        Py_SETREF(s->taken[at], Py_NewRef(obj));
    return true;
}

int search_sample(struct numbering *objects, const struct numbering *classes,
                  size_t n)
{
    struct sample s = {.sweep = {.weigh = take},
                       .classes = classes,
                       .taken = PyMem_RawCalloc(n, sizeof(PyObject *)),
                       .most = n,
                       .random = UINT64_C(0x2545f4914f6cdd1d)};
    int rc = s.taken && sweep_begin(&s.sweep) == 0 ? sweep_all(&s.sweep) : -1;
    for (size_t i = 0; i < s.count; i++) {
        if (rc == 0 && numbering_add(objects, s.taken[i]) == NUMBERING_NONE)
            rc = -1;
        Py_DECREF(s.taken[i]);
    }
    sweep_end(&s.sweep);
    PyMem_RawFree(s.taken);
    if (rc < 0 && !PyErr_Occurred())
        PyErr_NoMemory();
    return rc;
}
