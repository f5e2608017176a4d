/* SPDX-License-Identifier: Apache-2.0
 *
 * tagged: most tuples are told apart by their first element alone.
 */
#include "config.h"

#include "value/tagged.h"

#include <ei.h>
#include <stdbool.h>
#include <string.h>

#include "wire/etf.h"

/* Items of a tuple among the parts: a shape. */
#define ITEMS_MAX 64

/* Tuples inside each other, as in {datetime, {{Y, M, D}, {H, M, S}}}. */
#define NESTED_MAX 2

struct row {
    const char *name;
    size_t len;
    size_t least, most; /* arity */
    int second;         /* the external format's tag of what follows */
};

/* An integer is one of two; an atom one of four. */
#define ANY 0

/* Rows that are no parts. */
enum { BYTES, HANDLE, ITER, CHANNEL };

static const struct row rows[] = {
    [BYTES] = {"bytes", 5, 2, 2, ERL_BINARY_EXT},
    [HANDLE] = {"py_handle", 9, 4, 4, ERL_SMALL_BIG_EXT},
    [ITER] = {"iter", 4, 2, 2, ANY},
    [CHANNEL] = {"py_channel", 10, 2, 2, ANY},
    {"date", 4, 2, 2, ERL_SMALL_TUPLE_EXT},
    {"time", 4, 2, 4, ERL_SMALL_TUPLE_EXT},
    {"datetime", 8, 2, 4, ERL_SMALL_TUPLE_EXT},
    {"timedelta", 9, 4, 4, ANY},
    {"decimal", 7, 2, 2, ERL_BINARY_EXT},
    {"float", 5, 2, 2, ANY},
    {"complex", 7, 3, 3, ANY},
    {"ndarray", 7, 4, 4, ERL_BINARY_EXT},
};

static const struct row *find(const char *name, size_t len)
{
    static const bool first[UINT8_MAX + 1] = {
        ['b'] = true, ['c'] = true, ['d'] = true, ['f'] = true,
        ['i'] = true, ['n'] = true, ['p'] = true, ['t'] = true,
    };
    if (len == 0 || !first[(unsigned char)*name])
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].len == len && memcmp(rows[i].name, name, len) == 0)
            return &rows[i];
    return NULL;
}

/* Moves behind an atom. */
static bool is_atom(const unsigned char **p)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    return etf_atom(p, scratch, &len) != NULL;
}

static bool is_small(const unsigned char **p, int nested);

static bool is_small_tuple(const unsigned char **p, int nested)
{
    const size_t n = etf_number(p, 1);
    bool small = nested > 0 && n <= ITEMS_MAX;
    for (size_t i = 0; small && i < n; i++)
        small = is_small(p, nested - 1);
    return small;
}

/* Moves behind a number, an atom, a binary or a tuple of these. */
static bool is_small(const unsigned char **p, int nested)
{
    switch (**p) {
    case ERL_SMALL_INTEGER_EXT:
        *p += 2;
        return true;
    case ERL_INTEGER_EXT:
        *p += 5;
        return true;
    case NEW_FLOAT_EXT:
        *p += 9;
        return true;
    case ERL_BINARY_EXT: {
        ++*p;
        const uint32_t size = etf_number(p, 4);
        *p += size;
        return true;
    }
    case ERL_SMALL_TUPLE_EXT:
        ++*p;
        return is_small_tuple(p, nested);
    default:
        return is_atom(p);
    }
}

/* By the tag of what follows. */
static enum tagged iterator(int second)
{
    switch (second) {
    case ERL_PID_EXT:
    case ERL_NEW_PID_EXT:
        return TAGGED_ITER;
    case ERL_NEW_FUN_EXT:
    case ERL_EXPORT_EXT:
    case ERL_LIST_EXT:
    case ERL_STRING_EXT:
    case ERL_NIL_EXT:
        return TAGGED_LOST;
    default:
        return TAGGED_NOT;
    }
}

static bool is_pid(int tag)
{
    return tag == ERL_PID_EXT || tag == ERL_NEW_PID_EXT;
}

enum tagged tagged_look(const unsigned char *p, size_t n)
{
    char scratch[ETF_ATOM_SIZE];
    size_t len = 0;
    const char *name = etf_atom(&p, scratch, &len);
    const struct row *row = name ? find(name, len) : NULL;
    if (!row || n < row->least || n > row->most ||
        (row->second != ANY && row->second != *p))
        return TAGGED_NOT;
    if (row == &rows[BYTES])
        return TAGGED_BYTES;
    if (row == &rows[HANDLE])
        return TAGGED_HANDLE;
    if (row == &rows[ITER])
        return iterator(*p);
    if (row == &rows[CHANNEL])
        return is_pid(*p) ? TAGGED_CHANNEL : TAGGED_NOT;
    for (size_t i = 1; i < n; i++)
        if (!is_small(&p, NESTED_MAX))
            return TAGGED_NOT;
    return TAGGED_PARTS;
}

/* Bytes in front of those of a big integer: its tag, their number, the sign. */
#define BIG_HEAD 3

uint64_t tagged_number(const unsigned char **p)
{
    uint64_t number = 0;
    if (!is_atom(p))
        return 0;
    const unsigned char *big = *p;
    *p += BIG_HEAD + big[1];
    if (big[1] == sizeof number && big[2] == 0)
        memcpy(&number, big + BIG_HEAD, sizeof number);
    return le64toh(number);
}
