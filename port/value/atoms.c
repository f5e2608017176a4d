/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "value/atoms.h"

#include "value/classes.h"
#include "value/memo.h"

/* Atoms that are kept. Maps of one kind of record have a few dozen different
 * keys, so this serves long after it is full. */
#define KEPT 2048

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

PyObject *atoms_get(const char *utf8, size_t len)
{
    static struct memo_slot slots[KEPT];
    static const struct memo memo = {slots, KEPT, new_atom};
    return memo_get(&memo, utf8, len);
}
