/* SPDX-License-Identifier: Apache-2.0
 *
 * erltypes: classes of the package `erlang`, instances of them, and `_erlang`.
 */
#include "config.h"

#include "value/erltypes.h"

#include <stdint.h>
#include <string.h>

/* Atoms that are kept: a power of two. Maps of one kind of record have a few
 * dozen different keys, so this serves long after it is full. */
#define CACHE_SIZE 2048

struct slot {
    PyObject *atom;   /* owned; NULL: empty */
    const char *text; /* its text as UTF-8, which it keeps itself */
    size_t len;
};

static const char *const class_names[ERL_TYPES] = {
    [ERL_ATOM] = "Atom",
    [ERL_PID] = "Pid",
    [ERL_REFERENCE] = "Reference",
    [ERL_PORT] = "Port",
    [ERL_FUN] = "Fun",
    [ERL_BITSTRING] = "BitString",
    [ERL_IMPROPER_LIST] = "ImproperList",
};

static PyObject *classes[ERL_TYPES];
static PyObject *badarg;
static PyObject *cancelled;
static PyObject *lower; /* imported when first needed: that takes a while */
static struct slot cache[CACHE_SIZE];
static event_fn *event_hook;

/* ---- _erlang ---- */

static PyObject *erlang_event(PyObject *module, PyObject *args)
{
    const char *name = NULL;
    PyObject *data = NULL;
    int wait = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "sOp:event", &name, &data, &wait))
        return NULL;
    if (!event_hook) {
        PyErr_SetString(PyExc_RuntimeError, "nobody is there to send through");
        return NULL;
    }
    int sent = event_hook(name, data, wait);
    return sent < 0 ? NULL : PyBool_FromLong(sent);
}

static PyMethodDef functions[] = {
    {"event", erlang_event, METH_VARARGS,
     "event(name, data, wait): sends {event, Name, Data}.\n\n"
     "False: dropped, because the reader is behind and wait is false."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_erlang",
    .m_doc = "What the package erlang cannot do in Python.",
    .m_size = 0,
    .m_methods = functions,
};

static PyObject *module_init(void)
{
    return PyModuleDef_Init(&module_def);
}

int erltypes_before_python(void)
{
    return PyImport_AppendInittab("_erlang", module_init);
}

void erltypes_set_event(event_fn *event)
{
    event_hook = event;
}

/* ---- classes ---- */

/* A class of the package; refuses what is none, so that pointers to it can be
 * used as PyTypeObject without looking again. */
static PyObject *get_class(PyObject *package, const char *name)
{
    PyObject *class = PyObject_GetAttrString(package, name);
    if (class && !PyType_Check(class)) {
        PyErr_Format(PyExc_TypeError, "erlang.%s is not a class", name);
        Py_CLEAR(class);
    }
    return class;
}

static int get_classes(PyObject *package)
{
    for (int i = 0; i < ERL_TYPES; i++)
        if (!(classes[i] = get_class(package, class_names[i])))
            return -1;
    if (!(badarg = get_class(package, "BadArg")) ||
        !(cancelled = get_class(package, "Cancelled")))
        return -1;
    return 0;
}

int erltypes_init(void)
{
    PyObject *package = python_module("erlang");
    if (!package)
        return -1;
    int rc = get_classes(package);
    Py_DECREF(package);
    return rc;
}

PyObject *erltypes_badarg(void)
{
    return badarg;
}

PyObject *erltypes_cancelled(void)
{
    return cancelled;
}

enum erltype erltypes_exactly(PyTypeObject *type)
{
    for (int i = 0; i < ERL_TYPES; i++)
        if ((PyObject *)type == classes[i])
            return (enum erltype)i;
    return ERL_OTHER;
}

enum erltype erltypes_base(PyTypeObject *type)
{
    for (int i = 0; i < ERL_TYPES; i++)
        if (PyType_IsSubtype(type, (PyTypeObject *)classes[i]))
            return (enum erltype)i;
    return ERL_OTHER;
}

enum erltype erltypes_of_tag(unsigned char tag)
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

static PyObject *get_lower(void)
{
    PyObject *module = python_module("erlang._encode");
    PyObject *function = NULL;
    if (module)
        function = PyObject_GetAttrString(module, "lower");
    Py_XDECREF(module);
    return function;
}

PyObject *erltypes_lower(PyObject *obj, bool arrays_binary)
{
    if (!lower && !(lower = get_lower()))
        return NULL;
    return PyObject_CallFunctionObjArgs(
        lower, obj, arrays_binary ? Py_True : Py_False, NULL);
}

/* ---- instances ---- */

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
        atom = PyUnicode_Type.tp_new((PyTypeObject *)classes[ERL_ATOM], args,
                                     NULL);
    Py_XDECREF(args);
    return atom;
}

/* Puts an atom where another was. */
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

/* A text has one place in the cache, and the last that came keeps it. */
PyObject *erltypes_atom(const char *utf8, size_t len)
{
    struct slot *slot = &cache[hash(utf8, len) & (CACHE_SIZE - 1)];
    if (slot->atom && slot->len == len && memcmp(slot->text, utf8, len) == 0)
        return Py_NewRef(slot->atom);
    PyObject *atom = new_atom(utf8, len);
    if (atom && remember(slot, atom) < 0)
        Py_CLEAR(atom);
    return atom;
}

PyObject *erltypes_opaque(enum erltype type, const char *etf, size_t len)
{
    return PyObject_CallFunction(classes[type], "y#", etf, (Py_ssize_t)len);
}

PyObject *erltypes_bitstring(const char *bytes, size_t n, size_t bits)
{
    return PyObject_CallFunction(classes[ERL_BITSTRING], "y#n", bytes,
                                 (Py_ssize_t)n, (Py_ssize_t)bits);
}

PyObject *erltypes_improper_list(PyObject *items, PyObject *tail)
{
    return PyObject_CallFunctionObjArgs(classes[ERL_IMPROPER_LIST], items, tail,
                                        NULL);
}
