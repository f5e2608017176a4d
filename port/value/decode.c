/* SPDX-License-Identifier: Apache-2.0
 *
 * decode: a function for each kind of term, found by its tag.
 *
 * Terms nest at most MAX_DEPTH deep (scan saw to that), so containers recurse
 * as long as there is stack.
 */
#include "config.h"

#include "value/decode.h"

#include <ei.h>
#include <string.h>

#include "value/atoms.h"
#include "value/bigint.h"
#include "value/classes.h"
#include "value/dict.h"
#include "value/place.h"
#include "value/stack.h"
#include "value/tagged.h"
#include "value/text.h"
#include "wire/etf.h"
#include "wire/protocol.h"
#include "wire/scan.h"

#define FLOAT_TEXT 31

struct decoder {
    const unsigned char *p; /* the next byte */
    const unsigned char *frame;
    const struct form *form;
    struct place place;
};

/* Reads a term. A new reference, or NULL with an exception. */
typedef PyObject *term_fn(struct decoder *d);

/* Reads what follows a tag and its count, if it has one: n is that. */
typedef PyObject *decode_fn(struct decoder *d, size_t n);

struct tag {
    decode_fn *decode;
    int width; /* bytes of the count */
};

static const struct tag TAGS[UINT8_MAX + 1];

static PyObject *decode_term(struct decoder *d)
{
    const struct tag *tag = &TAGS[*d->p++];
    if (tag->decode)
        return tag->decode(d, etf_number(&d->p, tag->width));
    PyErr_Format(PyExc_SystemError, "tag %d passed the scan", (int)d->p[-1]);
    return NULL;
}

/* ---- numbers ---- */

static PyObject *decode_small_integer(struct decoder *d, size_t n)
{
    (void)n;
    return PyLong_FromLong(*d->p++);
}

static PyObject *decode_integer(struct decoder *d, size_t n)
{
    (void)n;
    return PyLong_FromLong((int32_t)etf_number(&d->p, 4));
}

static PyObject *decode_big(struct decoder *d, size_t n)
{
    const bool negative = etf_number(&d->p, 1) == 1;
    const unsigned char *bytes = d->p;
    d->p += n;
    return bigint_from_bytes(bytes, n, negative);
}

static PyObject *decode_float(struct decoder *d, size_t n)
{
    (void)n;
    double v = 0;
    uint64_t bits = (uint64_t)etf_number(&d->p, 4) << 32;
    bits |= etf_number(&d->p, 4);
    memcpy(&v, &bits, sizeof v);
    return PyFloat_FromDouble(v);
}

/* Text with zeros behind it, one at least. */
static PyObject *decode_float_text(struct decoder *d, size_t n)
{
    (void)n;
    double v =
        PyOS_string_to_double((const char *)d->p, NULL, PyExc_OverflowError);
    d->p += FLOAT_TEXT;
    if (v == -1.0 && PyErr_Occurred()) {
        PyErr_SetString(classes_badarg(), "float is out of range");
        return NULL;
    }
    return PyFloat_FromDouble(v);
}

/* ---- atoms and binaries ---- */

/* With a size that the compiler knows. */
#define IS_TEXT(text, len, other) \
    ((len) == sizeof(other) - 1 && memcmp(text, other, sizeof(other) - 1) == 0)

static bool is_none(const struct decoder *d, const char *text, size_t len)
{
    return IS_TEXT(text, len, "none") || IS_TEXT(text, len, "nil") ||
           IS_TEXT(text, len, "undefined") ||
           (len == (size_t)d->form->none_len &&
            memcmp(text, d->form->none, len) == 0);
}

/* The atoms that are constants in Python, or NULL. The atom that None is sent
 * as (option `none`) is None when it comes, too. */
static PyObject *constant(const struct decoder *d, const char *text, size_t len)
{
    if (IS_TEXT(text, len, "true"))
        return Py_NewRef(Py_True);
    if (IS_TEXT(text, len, "false"))
        return Py_NewRef(Py_False);
    return is_none(d, text, len) ? Py_NewRef(Py_None) : NULL;
}

static PyObject *decode_atom(struct decoder *d, size_t n)
{
    (void)n;
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    d->p--; /* back to the tag, which says how the text is encoded */
    const char *text = etf_atom(&d->p, scratch, &len);
    PyObject *value = constant(d, text, len);
    return value ? value : atoms_get(text, len);
}

static PyObject *bytes_or_str(const struct decoder *d, const char *p, size_t n)
{
    if (d->form->bytes)
        return PyBytes_FromStringAndSize(p, (Py_ssize_t)n);
    PyObject *text = PyUnicode_DecodeUTF8(p, (Py_ssize_t)n, NULL);
    if (!text && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        PyErr_SetString(classes_badarg(), "binary is not UTF-8; send "
                                          "{bytes, B} to get bytes");
    return text;
}

static PyObject *decode_binary(struct decoder *d, size_t n)
{
    d->p += n;
    return bytes_or_str(d, (const char *)d->p - n, n);
}

/* {bytes, B} behind its arity. */
static PyObject *bytes(struct decoder *d)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    etf_atom(&d->p, scratch, &len);
    d->p++; /* the binary's tag */
    uint32_t n = etf_number(&d->p, 4);
    d->p += n;
    return PyBytes_FromStringAndSize((const char *)d->p - n, (Py_ssize_t)n);
}

static PyObject *decode_bitstring(struct decoder *d, size_t n)
{
    size_t in_last = etf_number(&d->p, 1);
    const char *p = (const char *)d->p;
    d->p += n;
    if (in_last == 8)
        return bytes_or_str(d, p, n);
    return classes_bitstring(p, n, 8 * (n - 1) + in_last);
}

/* Moves behind a term, of which the frame is known to have all. 0/-1. */
static int skip(struct decoder *d)
{
    struct err err = {""};
    size_t end = (size_t)(d->p - d->frame);
    if (scan_term((const char *)d->frame, FRAME_LIMIT, &end, &err) < 0) {
        PyErr_Format(PyExc_SystemError, "scanned before: %s", err.text);
        return -1;
    }
    d->p = d->frame + end;
    return 0;
}

/* Pids, references, ports and funs keep their bytes. */
static PyObject *decode_opaque(struct decoder *d, size_t n)
{
    (void)n;
    const unsigned char *start = --d->p;
    if (skip(d) < 0)
        return NULL;
    return classes_opaque(classes_of_tag(*start), (const char *)start,
                          (size_t)(d->p - start));
}

/* ---- containers ---- */

/* False with an exception: the stack has no room for another container. */
static bool has_stack(void)
{
    if (!stack_is_low(0))
        return true;
    PyErr_SetString(classes_badarg(),
                    "nested too deep for the stack of this thread");
    return false;
}

/* Fills a new list or tuple of n > 0 items. Until it is full the collector does
 * not know it, so that no Python code can get hold of it half filled. Takes the
 * reference; NULL stands for one that could not be made. */
static PyObject *fill_take(struct decoder *d, PyObject *sequence, size_t n)
{
    if (!sequence || !has_stack()) {
        Py_XDECREF(sequence);
        return NULL;
    }
    PyObject **item = PySequence_Fast_ITEMS(sequence);
    PyObject_GC_UnTrack(sequence);
    for (size_t i = 0; i < n; i++) {
        item[i] = decode_term(d);
        if (!item[i]) {
            place_index(&d->place, i);
            Py_DECREF(sequence);
            return NULL;
        }
    }
    PyObject_GC_Track(sequence);
    return sequence;
}

static PyObject *tuple(struct decoder *d, size_t n)
{
    return fill_take(d, PyTuple_New((Py_ssize_t)n), n);
}

/* What Python makes of the parts; if that is nothing, they are read again. */
static PyObject *tagged(struct decoder *d, size_t n)
{
    const unsigned char *start = d->p;
    const struct form *form = d->form;
    struct form raw = *form;
    raw.bytes = true;
    d->form = &raw;
    PyObject *parts = tuple(d, n);
    d->form = form;
    PyObject *value = parts ? classes_revive(parts) : NULL;
    Py_XDECREF(parts);
    if (value != Py_NotImplemented)
        return value;
    Py_DECREF(value);
    d->p = start;
    return tuple(d, n);
}

/* {iter, Pid} or {py_channel, Pid} behind its arity. */
static PyObject *of_process(struct decoder *d, enum tagged kind)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    etf_atom(&d->p, scratch, &len);
    PyObject *pid = decode_term(d);
    if (!pid)
        return NULL;
    PyObject *value = kind == TAGGED_ITER ? classes_iterator(pid, d->form)
                                          : classes_channel(pid, d->form);
    Py_DECREF(pid);
    return value;
}

/* Only the number of a handle matters here: not where it is, and whose. */
static PyObject *handle(struct decoder *d)
{
    const uint64_t number = tagged_number(&d->p);
    return skip(d) < 0 || skip(d) < 0 ? NULL : classes_kept(number);
}

/* The user may know its tag. */
static PyObject *untagged(struct decoder *d, size_t n)
{
    PyObject *all = tuple(d, n);
    return all && d->form->tags != TAGS_OFF ? classes_decode_take(all) : all;
}

static PyObject *decode_tuple(struct decoder *d, size_t n)
{
    if (n == 0)
        return PyTuple_New(0);
    const enum tagged kind = tagged_kind(d->p, n);
    if (kind == TAGGED_NOT)
        return untagged(d, n);
    if (kind == TAGGED_BYTES)
        return bytes(d);
    if (kind == TAGGED_HANDLE)
        return handle(d);
    if (d->form->tags == TAGS_OFF)
        return tuple(d, n);
    if (kind == TAGGED_PARTS)
        return tagged(d, n);
    if (kind != TAGGED_LOST)
        return of_process(d, kind);
    PyErr_SetString(classes_badarg(),
                    "{iter, Fun} and {iter, List} are arguments, and not in "
                    "others; with tags => false it is a tuple");
    return NULL;
}

static PyObject *decode_nil(struct decoder *d, size_t n)
{
    (void)d;
    return PyList_New((Py_ssize_t)n);
}

/* Erlang may write a list of small integers like this. */
static PyObject *decode_string(struct decoder *d, size_t n)
{
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *item = PyLong_FromLong(*d->p++);
        if (item)
            PyList_SET_ITEM(list, (Py_ssize_t)i, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

/* The n items of a list, without the tail that follows. */
static PyObject *items(struct decoder *d, size_t n)
{
    return fill_take(d, PyList_New((Py_ssize_t)n), n);
}

/* Takes both references. */
static PyObject *joined_take(PyObject *list, PyObject *more)
{
    const Py_ssize_t n = PyList_GET_SIZE(list);
    if (!more || PyList_SetSlice(list, n, n, more) < 0)
        Py_CLEAR(list);
    Py_XDECREF(more);
    return list;
}

/* The list with a tail that is not nil. Takes the reference. */
static PyObject *with_tail_take(struct decoder *d, PyObject *list)
{
    PyObject *improper = NULL;
    PyObject *tail = decode_term(d);
    if (tail && PyList_CheckExact(tail))
        return joined_take(list, tail);
    if (tail)
        improper = classes_improper_list(list, tail);
    else
        place_name(&d->place, "tail");
    Py_XDECREF(tail);
    Py_DECREF(list);
    return improper;
}

/* A tail that is a list again continues this one. Erlang's own encoder never
 * writes that, but its decoder reads it. */
static PyObject *decode_list(struct decoder *d, size_t n)
{
    PyObject *list = items(d, n);
    while (list && *d->p == ERL_LIST_EXT) {
        d->p++;
        list = joined_take(list, items(d, etf_number(&d->p, 4)));
    }
    if (!list)
        return NULL;
    if (*d->p != ERL_NIL_EXT)
        return with_tail_take(d, list);
    d->p++;
    return list;
}

/* ---- maps ---- */

static int decode_pair(struct decoder *d, PyObject *dict, term_fn *decode_key,
                       size_t i)
{
    PyObject *key = decode_key(d);
    if (!key) {
        place_nth_key(&d->place, i);
        return -1;
    }
    int rc = -1;
    PyObject *value = decode_term(d);
    if (value)
        rc = dict_add(dict, key, value);
    else
        place_key(&d->place, key);
    Py_XDECREF(value);
    Py_DECREF(key);
    return rc;
}

static PyObject *map(struct decoder *d, size_t n, term_fn *decode_key)
{
    PyObject *dict = has_stack() ? PyDict_New() : NULL;
    for (size_t i = 0; dict && i < n; i++)
        if (decode_pair(d, dict, decode_key, i) < 0)
            Py_CLEAR(dict);
    return dict;
}

static PyObject *decode_map(struct decoder *d, size_t n)
{
    return map(d, n, decode_term);
}

/* ---- text and names ---- */

static PyObject *text(struct decoder *d)
{
    return text_decode(&d->p);
}

static PyObject *names(struct decoder *d)
{
    if (*d->p++ == ERL_MAP_EXT)
        return map(d, etf_number(&d->p, 4), text);
    PyErr_SetString(classes_badarg(), "not a map");
    return NULL;
}

/* ---- */

/* An atom's count is read with its text. */
static const struct tag TAGS[UINT8_MAX + 1] = {
    [ERL_SMALL_INTEGER_EXT] = {decode_small_integer, 0},
    [ERL_INTEGER_EXT] = {decode_integer, 0},
    [ERL_SMALL_BIG_EXT] = {decode_big, 1},
    [ERL_LARGE_BIG_EXT] = {decode_big, 4},
    [NEW_FLOAT_EXT] = {decode_float, 0},
    [ERL_FLOAT_EXT] = {decode_float_text, 0},
    [ERL_ATOM_EXT] = {decode_atom, 0},
    [ERL_SMALL_ATOM_EXT] = {decode_atom, 0},
    [ERL_ATOM_UTF8_EXT] = {decode_atom, 0},
    [ERL_SMALL_ATOM_UTF8_EXT] = {decode_atom, 0},
    [ERL_BINARY_EXT] = {decode_binary, 4},
    [ERL_BIT_BINARY_EXT] = {decode_bitstring, 4},
    [ERL_STRING_EXT] = {decode_string, 2},
    [ERL_NIL_EXT] = {decode_nil, 0},
    [ERL_LIST_EXT] = {decode_list, 4},
    [ERL_SMALL_TUPLE_EXT] = {decode_tuple, 1},
    [ERL_LARGE_TUPLE_EXT] = {decode_tuple, 4},
    [ERL_MAP_EXT] = {decode_map, 4},
    [ERL_PID_EXT] = {decode_opaque, 0},
    [ERL_NEW_PID_EXT] = {decode_opaque, 0},
    [ERL_PORT_EXT] = {decode_opaque, 0},
    [ERL_NEW_PORT_EXT] = {decode_opaque, 0},
    [ERL_V4_PORT_EXT] = {decode_opaque, 0},
    [ERL_REFERENCE_EXT] = {decode_opaque, 0},
    [ERL_NEW_REFERENCE_EXT] = {decode_opaque, 0},
    [ERL_NEWER_REFERENCE_EXT] = {decode_opaque, 0},
    [ERL_EXPORT_EXT] = {decode_opaque, 0},
    [ERL_NEW_FUN_EXT] = {decode_opaque, 0},
};

static PyObject *decode_with(term_fn *decode, const char *buf, size_t *at,
                             const struct form *form, const char *root)
{
    struct decoder d;
    d.p = (const unsigned char *)buf + *at;
    d.frame = (const unsigned char *)buf;
    d.form = form;
    d.place.steps = 0;
    const bool paused = python_pause_collection();
    PyObject *value = decode(&d);
    python_collect_again(paused);
    if (!value)
        place_prefix(&d.place, root, classes_badarg());
    *at = (size_t)(d.p - d.frame);
    return value;
}

PyObject *value_decode(const char *buf, size_t *at, const struct form *form,
                       const char *root)
{
    return decode_with(decode_term, buf, at, form, root);
}

PyObject *value_decode_text(const char *buf, size_t *at,
                            const struct form *form, const char *root)
{
    return decode_with(text, buf, at, form, root);
}

PyObject *value_decode_names(const char *buf, size_t *at,
                             const struct form *form, const char *root)
{
    return decode_with(names, buf, at, form, root);
}
