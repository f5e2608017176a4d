/* SPDX-License-Identifier: Apache-2.0
 *
 * bigint: Python offers two's complement, Erlang sends a sign and the absolute
 * value.
 */
#include "config.h"

#include "value/bigint.h"

#include "wire/put.h"

/* Integers of up to that many bytes need no memory of their own. */
#define FEW 256

static PyObject *from_few_bytes(const unsigned char *bytes, size_t n)
{
    unsigned long long v = 0;
    for (size_t i = n; i > 0; i--)
        v = v << 8 | bytes[i - 1];
    return PyLong_FromUnsignedLongLong(v);
}

PyObject *bigint_from_bytes(const unsigned char *bytes, size_t n, bool negative)
{
    PyObject *value = n <= sizeof(unsigned long long)
                          ? from_few_bytes(bytes, n)
                          : python_int_from_bytes(bytes, n);
    if (!value || !negative)
        return value;
    PyObject *result = PyNumber_Negative(value);
    Py_DECREF(value);
    return result;
}

/* In two's complement: all bits change, and 1 is added. */
static void negate(unsigned char *bytes, size_t n)
{
    unsigned carry = 1;
    for (size_t i = 0; i < n; i++) {
        carry += (unsigned char)~bytes[i];
        bytes[i] = (unsigned char)carry;
        carry >>= 8;
    }
}

static int encode_into(struct buf *out, PyObject *obj, bool negative,
                       unsigned char *bytes, size_t n)
{
    if (python_int_bytes(obj, bytes, n) < 0)
        return -1;
    if (negative)
        negate(bytes, n);
    while (n > 0 && bytes[n - 1] == 0)
        n--;
    return put_big(out, negative, bytes, n);
}

int bigint_encode(struct buf *out, PyObject *obj, bool negative)
{
    unsigned char few[FEW];
    const Py_ssize_t n = python_int_size(obj);
    if (n < 0)
        return -1;
    if (n <= FEW)
        return encode_into(out, obj, negative, few, (size_t)n);
    unsigned char *many = PyMem_Malloc((size_t)n);
    int rc = -1;
    if (many)
        rc = encode_into(out, obj, negative, many, (size_t)n);
    else
        PyErr_NoMemory();
    PyMem_Free(many);
    return rc;
}
