/* SPDX-License-Identifier: Apache-2.0
 *
 * erltypes: the classes of the Python package `erlang` as C sees them, and the
 * built-in module `_erlang` with what that package cannot do in Python.
 *
 * GIL held everywhere. Returned objects are new references, except for the
 * exception classes: these are borrowed and live as long as Python, like
 * PyExc_ValueError. A failure is NULL or -1 with an exception set.
 */
#ifndef PORT_VALUE_ERLTYPES_H
#define PORT_VALUE_ERLTYPES_H

#include "value/python.h"

enum erltype {
    ERL_ATOM,
    ERL_PID,
    ERL_REFERENCE,
    ERL_PORT,
    ERL_FUN,
    ERL_BITSTRING,
    ERL_IMPROPER_LIST,
    ERL_TYPES, /* how many there are */
    ERL_OTHER = ERL_TYPES
};

/* Makes `_erlang` known. Call before Python starts. No GIL yet. 0/-1. */
int erltypes_before_python(void);

/* Imports the package and keeps its classes, as long as the program runs:
 * Python code uses them until the very end. 0/-1. */
int erltypes_init(void);

/* What the package's events are given to: 1 when the event was sent, 0 when
 * it was not because the reader is behind and `wait` is false, -1 with an
 * exception. NULL, as at start: events are refused. */
typedef int event_fn(const char *name, PyObject *data, bool wait);
void erltypes_set_event(event_fn *event);

/* erlang.BadArg and erlang.Cancelled: borrowed. */
PyObject *erltypes_badarg(void);
PyObject *erltypes_cancelled(void);

/* Which of the classes this is; ERL_OTHER for all the rest. */
enum erltype erltypes_exactly(PyTypeObject *type);

/* The same where a subclass counts as its base. */
enum erltype erltypes_base(PyTypeObject *type);

/* Pid, Reference, Port or Fun by the tag that their external format begins
 * with; ERL_OTHER for any other tag. */
enum erltype erltypes_of_tag(unsigned char tag);

/* Makes an object simpler with erlang._encode.lower: see there. The object
 * itself: its core base class is what counts. Runs any code. */
PyObject *erltypes_lower(PyObject *obj, bool arrays_binary);

/* An Atom. The text is UTF-8 that was checked: at most 255 characters. Atoms
 * met before are found in a cache of bounded size. */
PyObject *erltypes_atom(const char *utf8, size_t len);

/* An object of one of the opaque classes (PID … FUN) from external format
 * without version byte. */
PyObject *erltypes_opaque(enum erltype type, const char *etf, size_t len);

/* A BitString of that many bits, in n bytes. */
PyObject *erltypes_bitstring(const char *bytes, size_t n, size_t bits);

PyObject *erltypes_improper_list(PyObject *items, PyObject *tail);

#endif
