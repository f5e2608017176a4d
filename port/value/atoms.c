/* SPDX-License-Identifier: Apache-2.0
 *
 * atoms: those that came before are kept in a table of fixed size.
 */
#include "config.h"

#include "value/atoms.h"

#include <stdint.h>
#include <string.h>

#include "value/classes.h"

/* Atoms that are kept: a power of two. Maps of one kind of record have a few
 * dozen different keys, so this serves long after it is full. */
#define CACHE_SIZE 2048

struct slot {
    PyObject *atom;   /* owned; NULL: empty */
    const char *text; /* its text as UTF-8, which it keeps itself */
    size_t len;
};

static struct slot cache[CACHE_SIZE];

/* FNV-1a, 32 bits. */
static uint32_t hash(const char *p, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 16777619u;
    return h;
}

/* str.__new__ of the class: its own __new__ only checks the text again. */
static PyObject *new_atom(const char *utf8, size_t len)
{
    PyObject *args = Py_BuildValue("(s#)", utf8, (Py_ssize_t)len);
    PyObject *atom = NULL;
    if (args)
        atom = PyUnicode_Type.tp_new(classes_type(ERL_ATOM), args, NULL);
    Py_XDECREF(args);
    return atom;
}

/* Puts an atom in the place of another one. */
static int remember(struct slot *slot, PyObject *atom)
{
    Py_ssize_t len = 0;
    const char *text = PyUnicode_AsUTF8AndSize(atom, &len);
    if (!text)
        return -1;
    PyObject *before = slot->atom;
    *slot = (struct slot){Py_NewRef(atom), text, (size_t)len};
    Py_XDECREF(before);
    return 0;
}

/* A text has one place in the table; the last one that came keeps it. */
PyObject *atoms_get(const char *utf8, size_t len)
{
    struct slot *slot = &cache[hash(utf8, len) & (CACHE_SIZE - 1)];
    if (slot->atom && slot->len == len && memcmp(slot->text, utf8, len) == 0)
        return Py_NewRef(slot->atom);
    PyObject *atom = new_atom(utf8, len);
    if (atom && remember(slot, atom) < 0)
        Py_CLEAR(atom);
    return atom;
}
