/* SPDX-License-Identifier: Apache-2.0
 *
 * encode: a function for each core type, found by the pointer to the type.
 *
 * Any other type is lowered: Python code turns the object into something
 * simpler. That may run user code, which may change the very
 * containers that are being encoded. So each object is held while it is
 * encoded, and the items of each container are counted.
 *
 * A function returns 0, or -1: with an exception, or with out->why set where
 * there was no room.
 */
#include "config.h"

#include "value/encode.h"

#include <math.h>
#include <stdint.h>

#include "value/classes.h"
#include "value/place.h"
#include "value/scalar.h"
#include "value/stack.h"
#include "value/unique.h"
#include "wire/protocol.h"
#include "wire/put.h"

struct encoder {
    struct buf *out;
    const struct form *form;
    int depth;
    int in_key;            /* how many keys this is inside of */
    unsigned long lowered; /* how often Python code was run */
    PyObject *how;         /* the form for that code; NULL: not made yet */
    struct place place;
};

typedef int encode_fn(struct encoder *e, PyObject *obj);

static encode_fn encode_term, encode_lowered;

/* The user's threads may have a stack of any size. */
static int check_stack(size_t need)
{
    if (!stack_is_low(need))
        return 0;
    PyErr_SetString(PyExc_ValueError,
                    "nested too deep for the stack of this thread, or inside "
                    "itself");
    return -1;
}

/* A container (or a step of lowering) begins. A cycle ends here, too. */
static int enter(struct encoder *e)
{
    if (e->depth >= MAX_DEPTH) {
        PyErr_Format(PyExc_ValueError,
                     "nested deeper than %d levels, or inside itself",
                     MAX_DEPTH);
        return -1;
    }
    if (check_stack(0) < 0)
        return -1;
    e->depth++;
    return 0;
}

static void leave(struct encoder *e)
{
    e->depth--;
}

static int changed(PyObject *container)
{
    PyErr_Format(PyExc_RuntimeError, "%s changed size while it was encoded",
                 Py_TYPE(container)->tp_name);
    return -1;
}

/* ---- containers ---- */

/* n items of a list or tuple. */
static int encode_items(struct encoder *e, PyObject *sequence, Py_ssize_t n)
{
    if (n > 0 && enter(e) < 0)
        return -1;
    for (Py_ssize_t i = 0; i < n; i++) {
        if (PySequence_Fast_GET_SIZE(sequence) != n)
            return changed(sequence);
        PyObject *item = python_item(sequence, i);
        int rc = encode_term(e, item);
        Py_DECREF(item);
        if (rc < 0) {
            place_index(&e->place, (size_t)i);
            return -1;
        }
    }
    if (n > 0)
        leave(e);
    return 0;
}

static int encode_tuple(struct encoder *e, PyObject *obj)
{
    const Py_ssize_t n = PyTuple_GET_SIZE(obj);
    if (put_tuple(e->out, (size_t)n) < 0)
        return -1;
    return encode_items(e, obj, n);
}

static int encode_list(struct encoder *e, PyObject *obj)
{
    const Py_ssize_t n = PyList_GET_SIZE(obj);
    if (put_list(e->out, (size_t)n) < 0 || encode_items(e, obj, n) < 0)
        return -1;
    return n ? put_nil(e->out) : 0;
}

static int encode_tail(struct encoder *e, PyObject *tail)
{
    if (enter(e) < 0)
        return -1;
    int rc = encode_term(e, tail);
    leave(e);
    if (rc < 0)
        place_name(&e->place, "tail");
    return rc;
}

static int encode_improper_list(struct encoder *e, PyObject *obj)
{
    const Py_ssize_t n = PyList_GET_SIZE(obj);
    const size_t start = e->out->len;
    PyObject *tail = PyObject_GetAttrString(obj, "tail");
    if (!tail)
        return -1;
    int rc = -1;
    if (n == 0)
        PyErr_SetString(PyExc_ValueError, "ImproperList without items");
    else if (put_list(e->out, (size_t)n) == 0 && encode_items(e, obj, n) == 0) {
        const size_t tail_at = e->out->len;
        rc = encode_tail(e, tail);
        if (rc == 0 && e->in_key)
            keys_join_list(e->out, start, tail_at);
    }
    Py_DECREF(tail);
    return rc;
}

/* A copy, as a list: of the set itself, not of what a subclass iterates over.
 */
static PyObject *set_items(PyObject *set)
{
    if (PyAnySet_CheckExact(set))
        return PySequence_List(set);
    PyObject *copy = PyFrozenSet_New(set);
    PyObject *list = copy ? PySequence_List(copy) : NULL;
    Py_XDECREF(copy);
    return list;
}

static int encode_set(struct encoder *e, PyObject *obj)
{
    PyObject *items = set_items(obj);
    int rc = items ? encode_list(e, items) : -1;
    Py_XDECREF(items);
    return rc;
}

/* ---- dicts ---- */

static int encode_key(struct encoder *e, PyObject *key)
{
    e->in_key++;
    int rc = encode_term(e, key);
    e->in_key--;
    return rc;
}

static int encode_pair(struct encoder *e, struct unique *u, PyObject *key,
                       PyObject *value, size_t i)
{
    if (!u->noting && (e->in_key || !unique_is_plain(key)) &&
        unique_note_from(u, i) < 0)
        return -1;
    const size_t key_at = e->out->len;
    if (encode_key(e, key) < 0) {
        place_nth_key(&e->place, i);
        return -1;
    }
    const size_t value_at = e->out->len;
    if (encode_term(e, value) < 0) {
        place_key(&e->place, key);
        return -1;
    }
    if (u->noting)
        keys_note(&u->keys, key_at, value_at, e->out->len);
    return 0;
}

/* Exactly n pairs. */
static int encode_pairs(struct encoder *e, struct unique *u)
{
    PyObject *key = NULL, *value = NULL;
    Py_ssize_t at = 0;
    size_t i = 0;
    while (python_dict_next(u->dict, &at, &key, &value)) {
        int rc = i < u->n ? encode_pair(e, u, key, value, i) : changed(u->dict);
        unique_came(u, key);
        Py_DECREF(key);
        Py_DECREF(value);
        if (rc < 0)
            return -1;
        i++;
    }
    return i == u->n ? 0 : changed(u->dict);
}

/* A map that is part of a key is sorted, so that it can be compared. */
static int check_keys(struct encoder *e, const struct unique *u)
{
    if (check_stack(KEYS_STACK) < 0 || unique_check(u, e->out) < 0)
        return -1;
    if (!e->in_key || keys_sort(&u->keys, e->out) == 0)
        return 0;
    PyErr_NoMemory();
    return -1;
}

static int encode_map(struct encoder *e, struct unique *u)
{
    const unsigned long lowered = e->lowered;
    if (enter(e) < 0 || encode_pairs(e, u) < 0)
        return -1;
    leave(e);
    if (lowered != e->lowered && unique_unchanged(u) < 0)
        return -1;
    return u->noting ? check_keys(e, u) : 0;
}

static int encode_dict(struct encoder *e, PyObject *obj)
{
    struct unique u;
    unique_init(&u, obj);
    if (put_map(e->out, u.n) < 0)
        return -1;
    if (u.n == 0)
        return 0;
    int rc = encode_map(e, &u);
    unique_end(&u);
    return rc;
}

/* ---- what has a function, and one more condition ---- */

static int encode_no_number(struct encoder *e, PyObject *obj)
{
    const bool tagged = e->form->tags == TAGS_BOTH;
    if (tagged && (put_tuple(e->out, 2) < 0 || put_atom_z(e->out, "float") < 0))
        return -1;
    return scalar_no_number(e->out, obj);
}

/* Arguments have bytes in this form. */
static int put_bytes_tag(struct encoder *e)
{
    if (put_tuple(e->out, 2) < 0)
        return -1;
    return put_atom_z(e->out, "bytes");
}

static int encode_bytes(struct encoder *e, PyObject *obj)
{
    if (e->form->tag_bytes && put_bytes_tag(e) < 0)
        return -1;
    return scalar_bytes(e->out, obj);
}

static int encode_bytearray(struct encoder *e, PyObject *obj)
{
    if (e->form->tag_bytes && put_bytes_tag(e) < 0)
        return -1;
    return scalar_bytearray(e->out, obj);
}

static int encode_float(struct encoder *e, PyObject *obj)
{
    const double v = PyFloat_AS_DOUBLE(obj);
    return isfinite(v) ? put_double(e->out, v) : encode_no_number(e, obj);
}

/* Memory that holds bytes goes into the reply as it is; any other is lowered.
 */
static int encode_memoryview(struct encoder *e, PyObject *obj)
{
    const size_t mark = buf_mark(e->out);
    if (e->form->tag_bytes && put_bytes_tag(e) < 0)
        return -1;
    int rc = scalar_memoryview(e->out, obj);
    if (rc <= 0)
        return rc;
    buf_rewind(e->out, mark);
    return encode_lowered(e, obj);
}

/* ---- which function ---- */

/* A type has a function in one of the two columns. */
struct row {
    PyTypeObject *type;
    scalar_fn *scalar;
    encode_fn *container;
};

/* The most frequent first. */
static const struct row CORE[] = {
    {&PyUnicode_Type, scalar_str, NULL},
    {&PyLong_Type, scalar_int, NULL},
    {&PyFloat_Type, NULL, encode_float},
    {&PyDict_Type, NULL, encode_dict},
    {&PyList_Type, NULL, encode_list},
    {&PyTuple_Type, NULL, encode_tuple},
    {&PyBool_Type, scalar_bool, NULL},
    {&PyBytes_Type, NULL, encode_bytes},
    {&PySet_Type, NULL, encode_set},
    {&PyFrozenSet_Type, NULL, encode_set},
    {&PyByteArray_Type, NULL, encode_bytearray},
    {&PyMemoryView_Type, NULL, encode_memoryview},
};

#define CORE_ROWS (sizeof CORE / sizeof *CORE)

/* Places for what was found, by addresses. */
#define FOUND 64

/* The classes of the package: their types are known only at run time. */
static const struct row ERLANG[ERL_CLASSES] = {
    [ERL_ATOM] = {NULL, scalar_atom, NULL},
    [ERL_PID] = {NULL, scalar_opaque, NULL},
    [ERL_REFERENCE] = {NULL, scalar_opaque, NULL},
    [ERL_PORT] = {NULL, scalar_opaque, NULL},
    [ERL_FUN] = {NULL, scalar_opaque, NULL},
    [ERL_BITSTRING] = {NULL, scalar_bitstring, NULL},
    [ERL_IMPROPER_LIST] = {NULL, NULL, encode_improper_list},
    [ERL_MEMORY] = {NULL, scalar_memory, NULL},
};

static const struct row *find_row(PyTypeObject *type)
{
    for (size_t i = 0; i < CORE_ROWS; i++)
        if (CORE[i].type == type)
            return &CORE[i];
    enum erl_class class = classes_exactly(type);
    return class == ERL_OTHER ? NULL : &ERLANG[class];
}

/* What was found is kept: none of these types ever goes away. */
static const struct row *exact_row(PyTypeObject *type)
{
    static struct {
        PyTypeObject *type;
        const struct row *row;
    } found[FOUND];
    const size_t i = (uintptr_t)type / FOUND % FOUND;
    if (found[i].type == type)
        return found[i].row;
    const struct row *row = find_row(type);
    if (row) {
        found[i].type = type;
        found[i].row = row;
    }
    return row;
}

/* For subclasses. Erlang's types come first: an Atom is a str too. */
static const struct row *base_row(PyTypeObject *type)
{
    enum erl_class class = classes_base(type);
    if (class != ERL_OTHER)
        return &ERLANG[class];
    for (size_t i = 0; i < CORE_ROWS; i++)
        if (PyType_IsSubtype(type, CORE[i].type))
            return &CORE[i];
    return NULL;
}

static int encode_row(struct encoder *e, const struct row *row, PyObject *obj)
{
    return row->scalar ? row->scalar(e->out, obj) : row->container(e, obj);
}

/* An object that lowering returned unchanged. */
static int encode_base(struct encoder *e, PyObject *obj)
{
    const struct row *row = base_row(Py_TYPE(obj));
    if (row)
        return encode_row(e, row, obj);
    PyErr_Format(PyExc_TypeError, "the encoder of %s returned the object",
                 Py_TYPE(obj)->tp_name);
    return -1;
}

static int encode_lowered(struct encoder *e, PyObject *obj)
{
    int rc = -1;
    e->lowered++;
    if (!e->how && !(e->how = classes_form(e->form)))
        return -1;
    PyObject *simpler = classes_lower(obj, e->how);
    if (!simpler)
        return -1;
    if (simpler == obj) {
        rc = encode_base(e, obj);
    } else if (enter(e) == 0) {
        rc = encode_term(e, simpler);
        leave(e);
    }
    Py_DECREF(simpler);
    return rc;
}

/* The longest lists are made of integers: these need no look-up. */
static int encode_term(struct encoder *e, PyObject *obj)
{
    if (PyLong_CheckExact(obj))
        return scalar_int(e->out, obj);
    if (obj == Py_None)
        return put_atom(e->out, e->form->none, (size_t)e->form->none_len);
    const struct row *row = exact_row(Py_TYPE(obj));
    return row ? encode_row(e, row, obj) : encode_lowered(e, obj);
}

/* ---- */

static void explain(const struct encoder *e, const char *root)
{
    if (PyErr_Occurred())
        place_prefix(&e->place, root, classes_badarg());
    else if (e->out->why == BUF_TOO_LARGE)
        PyErr_Format(PyExc_OverflowError,
                     "%s is larger than max_frame (%zu bytes)", root,
                     e->out->max - FRAME_HEADER);
    else
        PyErr_NoMemory();
}

int value_encode(struct buf *out, PyObject *obj, const struct form *form,
                 const char *root)
{
    struct encoder e;
    e.out = out;
    e.form = form;
    e.depth = 0;
    e.in_key = 0;
    e.lowered = 0;
    e.how = NULL;
    e.place.steps = 0;
    int rc = encode_term(&e, obj);
    if (rc < 0)
        explain(&e, root);
    Py_XDECREF(e.how);
    return rc;
}
