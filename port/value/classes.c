/* SPDX-License-Identifier: Apache-2.0
 *
 * classes: found once by their names, compared by their pointers.
 */
#include "config.h"

#include "value/classes.h"

static const char *const class_names[ERL_CLASSES] = {
    [ERL_ATOM] = "Atom",
    [ERL_PID] = "Pid",
    [ERL_REFERENCE] = "Reference",
    [ERL_PORT] = "Port",
    [ERL_FUN] = "Fun",
    [ERL_BITSTRING] = "BitString",
    [ERL_IMPROPER_LIST] = "ImproperList",
    [ERL_MEMORY] = "_Memory",
};

/* All owned, all set by classes_init but for the last ones: their modules are
 * imported when first needed, because that takes a while. */
static PyObject *classes[ERL_CLASSES];
static PyObject *badarg;
static PyObject *cancelled;
static PyObject *send_error;
static PyObject *error;
static PyObject *form_class;
static PyObject *lower;
static PyObject *revive;
static PyObject *iterate;
static PyObject *channel;
static PyObject *decode;

/* The user's decoders by their tags, a dict; NULL before the first. */
static PyObject *decoders;

/* A class of the package. Anything that is not a class is refused, so that the
 * pointers can be used as PyTypeObject without looking again. */
static PyObject *get_class(const char *name)
{
    PyObject *class = python_attribute("erlang", name);
    if (class && !PyType_Check(class)) {
        PyErr_Format(PyExc_TypeError, "erlang.%s is not a class", name);
        Py_CLEAR(class);
    }
    return class;
}

int classes_init(void)
{
    for (int i = 0; i < ERL_CLASSES; i++)
        if (!(classes[i] = get_class(class_names[i])))
            return -1;
    if (!(badarg = get_class("BadArg")) ||
        !(cancelled = get_class("Cancelled")) ||
        !(send_error = get_class("SendError")) || !(error = get_class("Error")))
        return -1;
    return 0;
}

PyObject *classes_badarg(void)
{
    return badarg;
}

PyObject *classes_cancelled(void)
{
    return cancelled;
}

PyObject *classes_send_error(void)
{
    return send_error;
}

PyObject *classes_error(void)
{
    return error;
}

enum erl_class classes_exactly(PyTypeObject *type)
{
    for (int i = 0; i < ERL_CLASSES; i++)
        if ((PyObject *)type == classes[i])
            return (enum erl_class)i;
    return ERL_OTHER;
}

enum erl_class classes_base(PyTypeObject *type)
{
    for (int i = 0; i < ERL_CLASSES; i++)
        if (PyType_IsSubtype(type, (PyTypeObject *)classes[i]))
            return (enum erl_class)i;
    return ERL_OTHER;
}

enum erl_class classes_of_tag(unsigned char tag)
{
    switch (tag) {
    case 'X': /* NEW_PID_EXT */
    case 'g': /* PID_EXT */
        return ERL_PID;
    case 'Z': /* NEWER_REFERENCE_EXT */
    case 'r': /* NEW_REFERENCE_EXT */
    case 'e': /* REFERENCE_EXT */
        return ERL_REFERENCE;
    case 'x': /* V4_PORT_EXT */
    case 'Y': /* NEW_PORT_EXT */
    case 'f': /* PORT_EXT */
        return ERL_PORT;
    case 'p': /* NEW_FUN_EXT */
    case 'u': /* FUN_EXT */
    case 'q': /* EXPORT_EXT */
        return ERL_FUN;
    default:
        return ERL_OTHER;
    }
}

PyTypeObject *classes_type(enum erl_class class)
{
    return (PyTypeObject *)classes[class];
}

/* ---- objects ---- */

PyObject *classes_form(const struct form *form)
{
    static const char *const frames[] = {
        [FRAMES_RECORDS] = "records",
        [FRAMES_COLUMNS] = "columns",
        [FRAMES_ARRAYS] = "arrays",
    };
    if (!form_class && !(form_class = python_attribute("erlang._form", "Form")))
        return NULL;
    return PyObject_CallFunction(
        form_class, "OOs", form->arrays_binary ? Py_True : Py_False,
        form->tags == TAGS_BOTH ? Py_True : Py_False, frames[form->frames]);
}

PyObject *classes_lower(PyObject *obj, PyObject *form)
{
    if (!lower && !(lower = python_attribute("erlang._encode", "lower")))
        return NULL;
    return PyObject_CallFunctionObjArgs(lower, obj, form, NULL);
}

PyObject *classes_revive(PyObject *parts)
{
    if (!revive && !(revive = python_attribute("erlang._tags", "revive")))
        return NULL;
    return PyObject_CallFunctionObjArgs(revive, parts, NULL);
}

/* What a function of the package makes of a process. */
static PyObject *of_process(PyObject **made_by, const char *module,
                            const char *name, PyObject *pid,
                            const struct form *form)
{
    if (!*made_by && !(*made_by = python_attribute(module, name)))
        return NULL;
    return PyObject_CallFunction(*made_by, "OOs#", pid,
                                 form->bytes ? Py_True : Py_False, form->none,
                                 (Py_ssize_t)form->none_len);
}

PyObject *classes_iterator(PyObject *pid, const struct form *form)
{
    return of_process(&iterate, "erlang._iter", "iterate", pid, form);
}

PyObject *classes_channel(PyObject *pid, const struct form *form)
{
    return of_process(&channel, "erlang._channel", "Channel", pid, form);
}

int classes_set_decoders(PyObject *by_tag)
{
    if (!PyDict_Check(by_tag)) {
        PyErr_SetString(PyExc_TypeError, "decoders are a dict");
        return -1;
    }
    Py_XSETREF(decoders, Py_NewRef(by_tag));
    return 0;
}

/* 1, 0, or -1 with an exception. */
static int has_decoder(PyObject *tuple)
{
    PyObject *tag = PyTuple_GET_ITEM(tuple, 0);
    if (!decoders || (PyObject *)Py_TYPE(tag) != classes[ERL_ATOM])
        return 0;
    return PyDict_Contains(decoders, tag);
}

PyObject *classes_decode_take(PyObject *tuple)
{
    const int has = has_decoder(tuple);
    if (has == 0)
        return tuple;
    PyObject *value = NULL;
    if (has > 0 &&
        (decode || (decode = python_attribute("erlang._decode", "decode"))))
        value = PyObject_CallFunctionObjArgs(decode, tuple, NULL);
    Py_DECREF(tuple);
    return value;
}

PyObject *classes_opaque(enum erl_class type, const char *etf, size_t len)
{
    return PyObject_CallFunction(classes[type], "y#", etf, (Py_ssize_t)len);
}

PyObject *classes_bitstring(const char *bytes, size_t n, size_t bits)
{
    return PyObject_CallFunction(classes[ERL_BITSTRING], "y#n", bytes,
                                 (Py_ssize_t)n, (Py_ssize_t)bits);
}

PyObject *classes_improper_list(PyObject *items, PyObject *tail)
{
    return PyObject_CallFunctionObjArgs(classes[ERL_IMPROPER_LIST], items, tail,
                                        NULL);
}

/* ---- objects of the user's ---- */

static PyObject *(*find_kept)(uint64_t number);

void classes_on_kept(PyObject *(*find)(uint64_t number))
{
    find_kept = find;
}

PyObject *classes_kept(uint64_t number)
{
    PyObject *object = find_kept ? find_kept(number) : NULL;
    if (!object && !PyErr_Occurred())
        PyErr_SetString(badarg, "there is no such object here: it was "
                                "released, its owner has ended, or it is of "
                                "another worker");
    return object;
}
