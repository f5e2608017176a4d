/* SPDX-License-Identifier: Apache-2.0
 *
 * classes: the classes of the Python package `erlang` as C sees them, and
 * objects of those classes that stand for one kind of term.
 *
 * GIL held everywhere. Returned objects are new references, returned classes
 * are borrowed: they live as long as Python, like PyExc_ValueError. A failure
 * is NULL or -1 with an exception set.
 */
#ifndef PORT_VALUE_CLASSES_H
#define PORT_VALUE_CLASSES_H

#include <stdint.h>

#include "value/form.h"
#include "value/python.h"

enum erl_class {
    ERL_ATOM,
    ERL_PID,
    ERL_REFERENCE,
    ERL_PORT,
    ERL_FUN,
    ERL_BITSTRING,
    ERL_IMPROPER_LIST,
    ERL_MEMORY,
    ERL_CLASSES, /* how many there are */
    ERL_OTHER = ERL_CLASSES
};

/* Imports the package and keeps its classes as long as the program runs:
 * Python code uses them until the very end. 0/-1. */
int classes_init(void);

/* erlang.BadArg, Cancelled, SendError and Error. */
PyObject *classes_badarg(void);
PyObject *classes_cancelled(void);
PyObject *classes_send_error(void);
PyObject *classes_error(void);

/* The class itself, not for ERL_OTHER. */
PyTypeObject *classes_type(enum erl_class class);

/* Which of the classes this is; ERL_OTHER for any other type. */
enum erl_class classes_exactly(PyTypeObject *type);

/* The same where a subclass counts as its base. */
enum erl_class classes_base(PyTypeObject *type);

/* Pid, Reference, Port or Fun by the tag that their external format begins
 * with; ERL_OTHER for any other tag. */
enum erl_class classes_of_tag(unsigned char tag);

/* An object of erlang._form.Form: how classes_lower is to do its work. */
PyObject *classes_form(const struct form *form);

/* Makes an object simpler with erlang._encode.lower: see there. That may return
 * the object itself: then its core base class counts. Runs any code. */
PyObject *classes_lower(PyObject *obj, PyObject *form);

/* What a tagged tuple stands for, by erlang._tags.revive; NotImplemented if it
 * is an ordinary tuple. */
PyObject *classes_revive(PyObject *parts);

/* A Python iterator whose items are this process of Erlang's, by
 * erlang._iter.iterate. They are decoded by the form. */
PyObject *classes_iterator(PyObject *pid, const struct form *form);

/* An erlang.Channel, in the same way. */
PyObject *classes_channel(PyObject *pid, const struct form *form);

/* Where the user's decoders are, a dict whose keys are tags. 0/-1 with an
 * exception. */
int classes_set_decoders(PyObject *by_tag);

/* What the user's decoder of its tag makes of a tuple, which is not empty, by
 * erlang._decode.decode; the tuple itself if there is no such decoder. Takes
 * the reference. */
PyObject *classes_decode_take(PyObject *tuple);

/* An object of one of the opaque classes (PID … FUN) from external format
 * without version byte. */
PyObject *classes_opaque(enum erl_class class, const char *etf, size_t len);

/* A BitString of that many bits, in n bytes. */
PyObject *classes_bitstring(const char *bytes, size_t n, size_t bits);

PyObject *classes_improper_list(PyObject *items, PyObject *tail);

/* The object of the user's that is kept here under this number: what a handle,
 * {py_handle, Number, …}, stands for. NULL with erlang.BadArg: there is none.
 */
PyObject *classes_kept(uint64_t number);

/* Says how it is found: a new reference; NULL, perhaps with an exception, if
 * there is none. Call once, before there are threads. */
void classes_on_kept(PyObject *(*find)(uint64_t number));

#endif
