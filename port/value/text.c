/* SPDX-License-Identifier: Apache-2.0
 *
 * text: chardata becomes UTF-8 in a buffer, and that becomes a str.
 */
#include "config.h"

#include "value/text.h"

#include <limits.h>

#include "value/classes.h"
#include "value/memo.h"
#include "value/stack.h"
#include "wire/buf.h"
#include "wire/etf.h"
#include "wire/protocol.h"
#include "wire/put.h"
#include "wire/utf8.h"

/* Names that are kept, and how long each may be in bytes. */
#define KEPT 512
#define KEPT_MAX 64

#define NOT_TEXT "not an atom, a binary or a string"

static int bad(const char *why)
{
    PyErr_SetString(classes_badarg(), why);
    return -1;
}

/* A str from UTF-8 that Erlang sent. */
static PyObject *from_utf8(const char *bytes, size_t len)
{
    PyObject *text = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)len, NULL);
    if (!text && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
        bad("not UTF-8");
    return text;
}

static PyObject *new_name(const char *bytes, size_t len)
{
    PyObject *text = from_utf8(bytes, len);
    if (text)
        python_intern(&text);
    return text;
}

/* The same; a short text is likely to be a name, which will come again. */
static PyObject *from_name(const char *bytes, size_t len)
{
    static struct memo_slot slots[KEPT];
    static const struct memo memo = {slots, KEPT, new_name};
    return len <= KEPT_MAX ? memo_get(&memo, bytes, len)
                           : from_utf8(bytes, len);
}

/* Surrogates pass here: from_utf8 refuses them. */
static int add_char(struct buf *b, uint32_t c)
{
    char utf8[4];
    if (c >= 0x110000)
        return bad("a code point is over 1114111");
    return put_raw(b, utf8, utf8_put(c, utf8));
}

static int add_chars(struct buf *b, const unsigned char **p)
{
    for (uint32_t n = etf_number(p, 2); n > 0; n--)
        if (add_char(b, etf_number(p, 1)) < 0)
            return -1;
    return 0;
}

static int add_part(struct buf *b, const unsigned char **p);

/* The tail of a list of chardata may be a binary: it is one more part. */
static int add_parts(struct buf *b, const unsigned char **p)
{
    if (stack_is_low(0))
        return bad("nested too deep for the stack of this thread");
    for (uint32_t n = etf_number(p, 4); n > 0; n--)
        if (add_part(b, p) < 0)
            return -1;
    return add_part(b, p);
}

static int add_bytes(struct buf *b, const unsigned char **p)
{
    uint32_t n = etf_number(p, 4);
    *p += n;
    return put_raw(b, *p - n, n);
}

/* Scanned terms are at most MAX_DEPTH deep, so this may recurse: see above. A
 * negative integer is over 1114111 when taken as unsigned. */
static int add_part(struct buf *b, const unsigned char **p)
{
    switch (*(*p)++) {
    case ERL_SMALL_INTEGER_EXT:
        return add_char(b, etf_number(p, 1));
    case ERL_INTEGER_EXT:
        return add_char(b, etf_number(p, 4));
    case ERL_STRING_EXT:
        return add_chars(b, p);
    case ERL_LIST_EXT:
        return add_parts(b, p);
    case ERL_BINARY_EXT:
        return add_bytes(b, p);
    case ERL_NIL_EXT:
        return 0;
    default:
        return bad(NOT_TEXT);
    }
}

static PyObject *from_chardata(const unsigned char **p)
{
    struct buf b;
    PyObject *text = NULL;
    buf_init(&b, FRAME_LIMIT);
    if (add_part(&b, p) == 0)
        text = from_utf8(b.len ? b.data : "", b.len);
    else if (b.why != BUF_OK)
        PyErr_NoMemory();
    buf_free(&b);
    return text;
}

static PyObject *from_binary(const unsigned char **p)
{
    const size_t n = etf_number(p, 4);
    *p += n;
    return from_name((const char *)*p - n, n);
}

/* An integer may be a part of chardata, but is not chardata by itself. */
PyObject *text_decode(const unsigned char **p)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    if (**p == ERL_BINARY_EXT) {
        ++*p;
        return from_binary(p);
    }
    const char *atom = etf_atom(p, scratch, &len);
    if (atom)
        return from_name(atom, len);
    if (**p == ERL_SMALL_INTEGER_EXT || **p == ERL_INTEGER_EXT) {
        bad(NOT_TEXT);
        return NULL;
    }
    return from_chardata(p);
}
