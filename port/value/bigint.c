/* SPDX-License-Identifier: Apache-2.0
 *
 * bigint: int's own methods do the work, whatever class the object has.
 */
#include "config.h"

#include "value/bigint.h"

#include "wire/put.h"

static PyObject *from_few_bytes(const unsigned char *bytes, size_t n)
{
    unsigned long long v = 0;
    for (size_t i = n; i > 0; i--)
        v = v << 8 | bytes[i - 1];
    return PyLong_FromUnsignedLongLong(v);
}

static PyObject *from_many_bytes(const unsigned char *bytes, size_t n)
{
    return PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes", "y#s",
                               (const char *)bytes, (Py_ssize_t)n, "little");
}

PyObject *bigint_from_bytes(const unsigned char *bytes, size_t n, bool negative)
{
    PyObject *value = n <= sizeof(unsigned long long)
                          ? from_few_bytes(bytes, n)
                          : from_many_bytes(bytes, n);
    if (!value || !negative)
        return value;
    PyObject *result = PyNumber_Negative(value);
    Py_DECREF(value);
    return result;
}

/* The absolute value's bytes, least first. */
static PyObject *long_bytes(PyObject *obj)
{
    PyObject *const type = (PyObject *)&PyLong_Type;
    PyObject *bits = NULL, *bytes = NULL;
    PyObject *positive = PyObject_CallMethod(type, "__abs__", "O", obj);
    if (positive)
        bits = PyObject_CallMethod(type, "bit_length", "O", positive);
    if (bits)
        bytes = PyObject_CallMethod(type, "to_bytes", "Ons", positive,
                                    PyLong_AsSsize_t(bits) / 8 + 1, "little");
    Py_XDECREF(bits);
    Py_XDECREF(positive);
    return bytes;
}

int bigint_encode(struct buf *out, PyObject *obj, bool negative)
{
    PyObject *bytes = long_bytes(obj);
    if (!bytes)
        return -1;
    const char *p = PyBytes_AS_STRING(bytes);
    size_t n = (size_t)PyBytes_GET_SIZE(bytes);
    while (n > 0 && p[n - 1] == 0)
        n--;
    int rc = put_big(out, negative, p, n);
    Py_DECREF(bytes);
    return rc;
}
