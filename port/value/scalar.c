/* SPDX-License-Identifier: Apache-2.0
 *
 * scalar: a function for each core type that has no parts.
 */
#include "config.h"

#include "value/scalar.h"

#include <math.h>
#include <string.h>

#include "value/bigint.h"
#include "value/classes.h"
#include "wire/put.h"
#include "wire/scan.h"

/* ---- numbers ---- */

int scalar_bool(struct buf *out, PyObject *obj)
{
    return put_atom_z(out, obj == Py_True ? "true" : "false");
}

int scalar_int(struct buf *out, PyObject *obj)
{
    int overflow = 0;
    long small = 0;
    if (python_is_small_int(obj, &small))
        return put_long(out, small);
    long long v = PyLong_AsLongLongAndOverflow(obj, &overflow);
    if (overflow)
        return bigint_encode(out, obj, overflow < 0);
    return put_long(out, v);
}

int scalar_no_number(struct buf *out, PyObject *obj)
{
    const double v = PyFloat_AS_DOUBLE(obj);
    if (isnan(v))
        return put_atom_z(out, "nan");
    return put_atom_z(out, v > 0 ? "infinity" : "neg_infinity");
}

/* ---- text and bytes ---- */

/* Puts UTF-8 as a binary or as an atom. */
typedef int put_fn(struct buf *b, const char *utf8, size_t n);

static int put_text(struct buf *b, const char *utf8, size_t n)
{
    return put_binary(b, utf8, n);
}

static int refuse_surrogate(void)
{
    Py_ssize_t at = 0;
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
        return -1; /* no memory */
    PyObject *why = python_fetch_error();
    if (PyUnicodeEncodeError_GetStart(why, &at) == 0)
        PyErr_Format(PyExc_ValueError,
                     "str has a lone surrogate at index %zd, so it has no "
                     "UTF-8 form",
                     at);
    Py_DECREF(why);
    return -1;
}

/* ASCII text is UTF-8 as it is. For any other text the UTF-8 is made and thrown
 * away, so that it does not stay with the user's object. */
static int encode_text(struct buf *out, PyObject *obj, put_fn *put)
{
    if (PyUnicode_IS_ASCII(obj)) {
        const char *text = (const char *)PyUnicode_1BYTE_DATA(obj);
        return put(out, text, (size_t)PyUnicode_GET_LENGTH(obj));
    }
    PyObject *utf8 = PyUnicode_AsUTF8String(obj);
    if (!utf8)
        return refuse_surrogate();
    int rc = put(out, PyBytes_AS_STRING(utf8), (size_t)PyBytes_GET_SIZE(utf8));
    Py_DECREF(utf8);
    return rc;
}

int scalar_str(struct buf *out, PyObject *obj)
{
    return encode_text(out, obj, put_text);
}

int scalar_bytes(struct buf *out, PyObject *obj)
{
    return put_binary(out, PyBytes_AS_STRING(obj),
                      (size_t)PyBytes_GET_SIZE(obj));
}

int scalar_bytearray(struct buf *out, PyObject *obj)
{
    return put_binary(out, PyByteArray_AS_STRING(obj),
                      (size_t)PyByteArray_GET_SIZE(obj));
}

static bool is_bytes(const Py_buffer *buffer)
{
    const char *format = buffer->format ? buffer->format : "B";
    if (*format && strchr("@=<>!", *format))
        format++;
    return buffer->ndim <= 1 &&
           (strcmp(format, "B") == 0 || strcmp(format, "c") == 0);
}

static const char *item_of(const Py_buffer *buffer, const char *row, int dim,
                           Py_ssize_t i)
{
    const char *item = row + i * buffer->strides[dim];
    if (buffer->suboffsets && buffer->suboffsets[dim] >= 0)
        item = *(char *const *)item + buffer->suboffsets[dim];
    return item;
}

/* A row lies in one piece if its items follow each other and are not pointers.
 */
static bool is_piece(const Py_buffer *buffer, int dim)
{
    return dim == buffer->ndim - 1 &&
           buffer->strides[dim] == buffer->itemsize &&
           (!buffer->suboffsets || buffer->suboffsets[dim] < 0);
}

static char *copy_piece(char *to, const char *from, Py_ssize_t size)
{
    memcpy(to, from, (size_t)size);
    return to + size;
}

/* Copies what the dimensions from `dim` on hold, in the order of the indexes,
 * and returns where it ends. PyBuffer_ToContiguous first puts each row
 * elsewhere, and most of these have just one row. */
static char *copy_rows(char *to, const Py_buffer *buffer, const char *from,
                       int dim)
{
    if (dim == buffer->ndim)
        return copy_piece(to, from, buffer->itemsize);
    const Py_ssize_t n = buffer->shape[dim];
    if (is_piece(buffer, dim))
        return copy_piece(to, from, n * buffer->itemsize);
    for (Py_ssize_t i = 0; i < n; i++)
        to = copy_rows(to, buffer, item_of(buffer, from, dim, i), dim + 1);
    return to;
}

/* Straight into the reply: there is no copy on the way. */
static int put_buffer(struct buf *out, const Py_buffer *buffer)
{
    if (PyBuffer_IsContiguous(buffer, 'C'))
        return put_binary(out, buffer->buf, (size_t)buffer->len);
    char *to = put_binary_room(out, (size_t)buffer->len);
    if (!to)
        return -1;
    copy_rows(to, buffer, buffer->buf, 0);
    return 0;
}

int scalar_memoryview(struct buf *out, PyObject *obj)
{
    Py_buffer buffer;
    if (PyObject_GetBuffer(obj, &buffer, PyBUF_FULL_RO) < 0)
        return -1;
    int rc = is_bytes(&buffer) ? put_buffer(out, &buffer) : 1;
    PyBuffer_Release(&buffer);
    return rc;
}

int scalar_memory(struct buf *out, PyObject *obj)
{
    Py_buffer buffer;
    int rc = -1;
    PyObject *owner = PyObject_GetAttrString(obj, "owner");
    if (owner && PyObject_GetBuffer(owner, &buffer, PyBUF_FULL_RO) == 0) {
        rc = put_buffer(out, &buffer);
        PyBuffer_Release(&buffer);
    }
    Py_XDECREF(owner);
    return rc;
}

/* ---- Erlang's own types ---- */

/* Atom's constructor checks its text; str.__new__ does not. */
int scalar_atom(struct buf *out, PyObject *obj)
{
    int rc = encode_text(out, obj, put_atom);
    if (rc < 0 && out->why == BUF_BAD_VALUE)
        PyErr_SetString(PyExc_ValueError, "an atom has at most 255 characters");
    return rc;
}

/* The bytes came from Erlang once, but Python code could make up others. */
static bool is_opaque(PyObject *etf, enum erl_class type)
{
    struct err err = {""};
    size_t end = 0;
    if (!PyBytes_Check(etf) || PyBytes_GET_SIZE(etf) == 0)
        return false;
    const char *p = PyBytes_AS_STRING(etf);
    const size_t n = (size_t)PyBytes_GET_SIZE(etf);
    return classes_of_tag((unsigned char)p[0]) == type &&
           scan_term(p, n, &end, &err) == 0 && end == n;
}

int scalar_opaque(struct buf *out, PyObject *obj)
{
    int rc = -1;
    PyObject *etf = PyObject_GetAttrString(obj, "_etf");
    if (!etf)
        return -1;
    if (is_opaque(etf, classes_base(Py_TYPE(obj))))
        rc =
            put_raw(out, PyBytes_AS_STRING(etf), (size_t)PyBytes_GET_SIZE(etf));
    else
        PyErr_Format(PyExc_ValueError, "not the bytes of an Erlang term: %s",
                     Py_TYPE(obj)->tp_name);
    Py_DECREF(etf);
    return rc;
}

int scalar_bitstring(struct buf *out, PyObject *obj)
{
    int rc = -1;
    PyObject *bits = NULL;
    PyObject *data = PyObject_GetAttrString(obj, "data");
    if (!data || !(bits = PyObject_GetAttrString(obj, "bits")))
        goto out;
    Py_ssize_t count = PyLong_Check(bits) ? PyLong_AsSsize_t(bits) : -1;
    if (count < 0 || !PyBytes_Check(data) ||
        PyBytes_GET_SIZE(data) != count / 8 + (count % 8 > 0))
        PyErr_SetString(PyExc_ValueError, "BitString of the wrong size");
    else
        rc = put_bitstring(out, PyBytes_AS_STRING(data),
                           (size_t)PyBytes_GET_SIZE(data),
                           count % 8 ? (int)(count % 8) : 8);
out:
    Py_XDECREF(bits);
    Py_XDECREF(data);
    return rc;
}
