/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_decode: what passes the scan becomes a Python value or erlang.BadArg;
 * the value goes back as a term that passes the scan again, and is read as a
 * value that is written as the same term.
 */
#include "config.h"

#include "../c/embed.h"

#include <stdint.h>
#include <string.h>

#include "value/decode.h"
#include "value/encode.h"
#include "wire/etf.h"
#include "wire/buf.h"
#include "wire/protocol.h"
#include "wire/scan.h"

#define CHECK(condition) \
    do { \
        if (!(condition)) \
            embed_die(#condition); \
    } while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    embed_start();
    return 0;
}

/* A failure is an exception of that class, and is forgotten. */
static void forget(PyObject *class)
{
    CHECK(PyErr_ExceptionMatches(class));
    PyErr_Clear();
}

typedef PyObject *decode_fn(const char *buf, size_t *at,
                            const struct form *form, const char *root);

/* A value, or NULL when there is none for these bytes. */
static PyObject *try_decode(decode_fn *decode, const char *frame, size_t size,
                            size_t at, const struct form *form)
{
    PyObject *x = decode(frame, &at, form, "args");
    if (!x) {
        forget(classes_badarg());
        return NULL;
    }
    CHECK(!PyErr_Occurred());
    CHECK(at == size);
    return x;
}

/* Whether there is a tuple {bytes, Binary}, which is read as bytes: Python had
 * the tuple ('bytes', b''), of {bytes, {bytes, <<>>}}. */
static bool looks_like_bytes(const struct buf *out)
{
    static const char head[] = {ERL_SMALL_TUPLE_EXT,
                                2,
                                ERL_SMALL_ATOM_UTF8_EXT,
                                5,
                                'b',
                                'y',
                                't',
                                'e',
                                's',
                                ERL_BINARY_EXT};
    return memmem(out->data, out->len, head, sizeof head) != NULL;
}

/* Once what no encoder writes so is written in our way, nothing changes any
 * more. Compared are terms, not values: nan and arrays are not equal to
 * themselves, and very deep values are too much for Python. */
static void check_same(PyObject *y, const struct form *form)
{
    struct buf once, again;
    buf_init(&once, DEFAULT_MAX_FRAME);
    buf_init(&again, DEFAULT_MAX_FRAME);
    CHECK(value_encode(&once, y, form, "result") == 0);
    PyObject *z = try_decode(value_decode, once.data, once.len, 0, form);
    CHECK(z && value_encode(&again, z, form, "result") == 0);
    CHECK(again.len == once.len);
    CHECK(memcmp(again.data, once.data, once.len) == 0);
    Py_DECREF(z);
    buf_free(&once);
    buf_free(&again);
}

/* There and back. With binaries as bytes nothing is lost: what None, true and
 * {bytes, B} came from does not matter any more. As str two keys may meet; so
 * may two that are no number, which differ in Python. */
static void try_value(const char *frame, size_t size, const struct form *form)
{
    struct buf out;
    struct err err = {""};
    size_t end = 0;
    PyObject *y = NULL;
    PyObject *x = try_decode(value_decode, frame, size, 1, form);
    if (!x)
        return;
    buf_init(&out, DEFAULT_MAX_FRAME);
    if (value_encode(&out, x, form, "result") < 0) {
        forget(PyExc_ValueError);
    } else {
        CHECK(scan_term(out.data, out.len, &end, &err) == 0);
        CHECK(end == out.len);
        y = try_decode(value_decode, out.data, out.len, 0, form);
        CHECK(y || !form->bytes);
    }
    if (y && form->bytes && !looks_like_bytes(&out))
        check_same(y, form);
    Py_XDECREF(y);
    buf_free(&out);
    Py_DECREF(x);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *frame = (const char *)data;
    struct form form;
    struct err err = {""};
    if (scan_frame(frame, size, &err) < 0)
        return 0;
    form_init(&form);
    try_value(frame, size, &form);
    form.bytes = form.arrays_binary = true;
    form.tags = TAGS_BOTH;
    try_value(frame, size, &form);
    Py_XDECREF(try_decode(value_decode_text, frame, size, 1, &form));
    if (data[1] == ERL_MAP_EXT)
        Py_XDECREF(try_decode(value_decode_names, frame, size, 1, &form));
    return 0;
}
