/* SPDX-License-Identifier: Apache-2.0
 *
 * values: one conversion at a time, checked as far as that goes for any: what
 * was encoded passes the scan, a failure is an exception, a success is none.
 */
#ifndef TEST_C_VALUES_H
#define TEST_C_VALUES_H

#include "embed.h"
#include "show.h"
#include "terms.h"
#include "value/decode.h"
#include "value/encode.h"
#include "wire/protocol.h"
#include "wire/scan.h"

#define MAX_REPLY DEFAULT_MAX_FRAME

static inline struct form default_form(void)
{
    struct form form;
    form_init(&form);
    return form;
}

/* From a frame in hex: a new reference, or NULL with an exception. */
static inline PyObject *decode_hex(const char *hex, const struct form *form)
{
    size_t n, at = 1;
    struct err err = {""};
    char *frame = from_hex(hex, &n);
    if (scan_frame(frame, n, &err) < 0)
        embed_die(err.text);
    PyObject *x = value_decode(frame, &at, form, "args");
    if (x ? at != n || PyErr_Occurred() : !PyErr_Occurred())
        embed_die(hex);
    free(frame);
    return x;
}

/* 0 and a whole term in out; or -1 with an exception. */
static inline int encode(struct buf *out, PyObject *x, const struct form *form)
{
    struct err err = {""};
    size_t end = 0;
    buf_init(out, MAX_REPLY);
    int rc = value_encode(out, x, form, "result");
    if (rc == 0 ? PyErr_Occurred() != NULL : !PyErr_Occurred())
        embed_die("success and exception do not go together");
    if (rc == 0 && (scan_term(out->data, out->len, &end, &err) < 0 ||
                    end != out->len || out->why != BUF_OK))
        embed_die(err.text);
    return rc;
}

/* The exception that is set, as "Class: message", taken. */
static inline void take_error(char *text, size_t size)
{
    PyObject *exc = python_fetch_error();
    PyObject *message = exc ? PyObject_Str(exc) : NULL;
    const char *utf8 = message ? PyUnicode_AsUTF8(message) : "no text";
    snprintf(text, size, "%s: %s", exc ? Py_TYPE(exc)->tp_name : "none", utf8);
    Py_XDECREF(message);
    Py_XDECREF(exc);
}

/* What an expression's value is sent as; or its error. */
static inline void encode_text(const char *expression, const struct form *form,
                               char *text, size_t size)
{
    struct buf out;
    PyObject *x = embed_eval(expression);
    if (!x)
        embed_die(expression);
    if (encode(&out, x, form) == 0)
        show(out.data, text, size);
    else
        take_error(text, size);
    buf_free(&out);
    Py_DECREF(x);
}

#endif
