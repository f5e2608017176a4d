/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "value/memo.h"

#include <stdint.h>
#include <string.h>

/* A number made from 1 to 8 bytes, each of which is in it. */
static uint64_t few(const char *p, size_t n)
{
    uint32_t first = 0, last = 0;
    if (n < sizeof first)
        return (uint64_t)(unsigned char)p[0] << 16 |
               (uint64_t)(unsigned char)p[n / 2] << 8 | (unsigned char)p[n - 1];
    memcpy(&first, p, sizeof first);
    memcpy(&last, p + n - sizeof last, sizeof last);
    return (uint64_t)first << 32 | last;
}

/* Eight bytes at a time, each spread over the upper bits. */
static size_t hash(const char *p, size_t n)
{
    uint64_t h = n;
    for (; n > 8; p += 8, n -= 8)
        h = (h ^ few(p, 8)) * 0x9e3779b97f4a7c15u;
    if (n > 0)
        h = (h ^ few(p, n)) * 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 32);
}

/* Puts an object in the place of another one. */
static int remember(struct memo_slot *slot, PyObject *object)
{
    Py_ssize_t len = 0;
    const char *text = PyUnicode_AsUTF8AndSize(object, &len);
    if (!text)
        return -1;
    PyObject *before = slot->object;
    *slot = (struct memo_slot){Py_NewRef(object), text, (size_t)len};
    Py_XDECREF(before);
    return 0;
}

PyObject *memo_get(const struct memo *memo, const char *utf8, size_t len)
{
    struct memo_slot *slot = &memo->slots[hash(utf8, len) & (memo->size - 1)];
    if (slot->object && slot->len == len && memcmp(slot->text, utf8, len) == 0)
        return Py_NewRef(slot->object);
    PyObject *object = memo->make(utf8, len);
    if (object && remember(slot, object) < 0)
        Py_CLEAR(object);
    return object;
}
