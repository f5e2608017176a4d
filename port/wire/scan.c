/* SPDX-License-Identifier: Apache-2.0
 *
 * scan: one iterative walk over external format.
 *
 * A table says for each tag what its bytes are; `check` functions look at what
 * lengths cannot tell. Elements of open containers are counted on a stack of
 * fixed size. A count is believed only when the bytes that are left could hold
 * that many elements of one byte each; a false one ends the walk at once.
 */
#include "config.h"

#include "wire/scan.h"

#include <ei.h>
#include <stdint.h>
#include <string.h>

#include "wire/bytes.h"
#include "wire/protocol.h"
#include "wire/utf8.h"

/* Tags that ei.h does not name, or names differently. */
#define RECORD_EXT 67 /* native records, from OTP 29 on */
#define COMPRESSED 80
#define ATOM_CACHE_REF 82
#define LOCAL_EXT 121

#define ATOM_CHARS 255
#define REF_WORDS 5
#define FUN_HEAD 25 /* arity, unique bytes, index, number of free variables */

/* The tags that a part of a term may have, in ei.h's letters. */
#define ATOM_TAGS "dsvw"
#define INTEGER_TAGS "ab"
#define ARITY_TAGS "a"
#define PID_TAGS "gX"

struct scan {
    const unsigned char *p;
    size_t n, at;
    struct err *err;
    struct scan_seen *seen; /* NULL: nobody asks */
};

/* A container whose elements are being walked. */
struct level {
    uint32_t left; /* elements to come */
    uint32_t end;  /* where a fun says that it ends; LIST; 0: any other */
};

/* A list has its tail to come, too. No fun ends so early. */
#define LIST 1

struct tag {
    const char *name; /* NULL: no such tag */
    /* Walks what starts at s->at; fills `inner` if elements are to follow. */
    int (*walk)(struct scan *s, const struct tag *t, struct level *inner);
    /* What is wrong with the n bytes behind tag and count, or NULL. */
    const char *(*check)(const unsigned char *p, size_t n);
    unsigned char width; /* bytes of the count behind the tag */
    unsigned char per;   /* bytes or elements for each counted */
    unsigned char more;  /* bytes or elements that are always there */
};

static const struct tag TAGS[UINT8_MAX + 1];

static size_t rest(const struct scan *s)
{
    return s->n - s->at;
}

/* Says what is wrong with the term that starts or goes on at s->at. */
static int fail(const struct scan *s, const char *name, const char *what)
{
    return err_set(s->err, "%s %s (byte %zu)", name, what, s->at);
}

static int cut_off(const struct scan *s, const char *name)
{
    return fail(s, name, "runs past the end of the frame");
}

static int cut_off_count(const struct scan *s, const struct tag *t,
                         uint32_t count, const char *units)
{
    return err_set(s->err,
                   "%s of %lu %s runs past the end of the frame"
                   " (byte %zu)",
                   t->name, (unsigned long)count, units, s->at);
}

/* The count behind the tag at s->at. */
static inline int get_count(const struct scan *s, const struct tag *t,
                            uint32_t *count)
{
    if (rest(s) < 1u + t->width)
        return cut_off(s, t->name);
    *count = bytes_get(s->p + s->at + 1, t->width);
    return 0;
}

/* Numbers, texts, binaries. */
static int walk_bytes(struct scan *s, const struct tag *t, struct level *inner)
{
    (void)inner;
    uint32_t count = 0;
    if (get_count(s, t, &count) < 0)
        return -1;
    size_t head = 1u + t->width;
    size_t body = (size_t)count * t->per + t->more;
    if (body > rest(s) - head)
        return count > 0 ? cut_off_count(s, t, count, "bytes")
                         : cut_off(s, t->name);
    const char *wrong = t->check ? t->check(s->p + s->at + head, body) : NULL;
    if (wrong != NULL)
        return fail(s, t->name, wrong);
    s->at += head + body;
    return 0;
}

/* Tuples, lists, maps. Only lists have more than their count: the tail. */
static int walk_elements(struct scan *s, const struct tag *t,
                         struct level *inner)
{
    uint32_t count = 0;
    if (get_count(s, t, &count) < 0)
        return -1;
    size_t head = 1u + t->width;
    uint64_t elements = (uint64_t)count * t->per;
    if (elements + t->more > rest(s) - head)
        return cut_off_count(s, t, count, t->per == 2 ? "pairs" : "elements");
    if (count == 0 && t->more > 0)
        return fail(s, t->name, "of 0 elements is not nil");
    s->at += head;
    inner->left = (uint32_t)elements;
    inner->end = t->more;
    return 0;
}

/* A part of a term, whose tag has to be one of those in `tags`. */
static int walk_part(struct scan *s, const struct tag *t, const char *tags,
                     const char *lacks)
{
    if (rest(s) == 0)
        return cut_off(s, t->name);
    const unsigned char tag = s->p[s->at];
    if (tag == '\0' || strchr(tags, tag) == NULL)
        return fail(s, t->name, lacks);
    return TAGS[tag].walk(s, &TAGS[tag], NULL);
}

static int walk_atom(struct scan *s, const struct tag *t)
{
    return walk_part(s, t, ATOM_TAGS, "lacks an atom");
}

/* Pids, ports, references: count, the node, then bytes. */
static int walk_node(struct scan *s, const struct tag *t, struct level *inner)
{
    (void)inner;
    uint32_t count = 0;
    if (get_count(s, t, &count) < 0)
        return -1;
    if (t->width > 0 && (count < 1 || count > REF_WORDS))
        return fail(s, t->name, "does not have 1 to 5 words");
    s->at += 1u + t->width;
    if (walk_atom(s, t) < 0)
        return -1;
    size_t body = (size_t)count * t->per + t->more;
    if (body > rest(s))
        return cut_off(s, t->name);
    s->at += body;
    return 0;
}

static void found_fun(const struct scan *s)
{
    if (s->seen)
        s->seen->funs = true;
}

/* fun m:f/a */
static int walk_export(struct scan *s, const struct tag *t, struct level *inner)
{
    (void)inner;
    s->at++;
    found_fun(s);
    if (walk_atom(s, t) < 0 || walk_atom(s, t) < 0)
        return -1;
    return walk_part(s, t, ARITY_TAGS, "lacks its arity");
}

static int check_fun_end(const struct scan *s, const struct level *level)
{
    return level->end == s->at ? 0
                               : fail(s, "fun", "does not end where it says");
}

/* A closure: size of it all, fixed bytes, module, two integers, creator, and
 * the free variables, which are walked as elements. */
static int walk_fun(struct scan *s, const struct tag *t, struct level *inner)
{
    uint32_t size = 0;
    if (get_count(s, t, &size) < 0)
        return -1;
    if (size > rest(s) - 1)
        return cut_off_count(s, t, size, "bytes");
    const size_t end = s->at + 1 + size;
    const size_t head = 1u + t->width + FUN_HEAD;
    if (end < s->at + head)
        return fail(s, t->name, "is longer than it says");
    uint32_t variables = bytes_get(s->p + s->at + head - 4, 4);
    s->at += head;
    if (walk_atom(s, t) < 0 ||
        walk_part(s, t, INTEGER_TAGS, "lacks an integer") < 0 ||
        walk_part(s, t, INTEGER_TAGS, "lacks an integer") < 0 ||
        walk_part(s, t, PID_TAGS, "lacks a pid") < 0)
        return -1;
    if (s->at > end || variables > end - s->at)
        return fail(s, t->name, "is longer than it says");
    inner->left = variables;
    inner->end = (uint32_t)end;
    found_fun(s);
    return variables == 0 ? check_fun_end(s, inner) : 0;
}

static int refuse(struct scan *s, const struct tag *t, struct level *inner)
{
    (void)inner;
    return fail(s, t->name, "is not accepted");
}

static const char *check_latin1(const unsigned char *p, size_t n)
{
    (void)p;
    return n > ATOM_CHARS ? "has more than 255 characters" : NULL;
}

static const char *check_utf8(const unsigned char *p, size_t n)
{
    long chars = utf8_length((const char *)p, n);
    if (chars < 0)
        return "is not UTF-8";
    return chars > ATOM_CHARS ? "has more than 255 characters" : NULL;
}

static const char *check_sign(const unsigned char *p, size_t n)
{
    (void)n;
    return p[0] > 1 ? "has a sign that is neither 0 nor 1" : NULL;
}

static const char *check_bits(const unsigned char *p, size_t n)
{
    if (n == 1 || p[0] < 1 || p[0] > 8)
        return "does not have 1 to 8 bits in its last byte";
    return NULL;
}

static const char *check_finite(const unsigned char *p, size_t n)
{
    (void)n;
    return (p[0] & 0x7f) == 0x7f && p[1] >= 0xf0 ? "is not finite" : NULL;
}

static const char *skip_digits(const char *p)
{
    return p + strspn(p, "0123456789");
}

/* What "%.20e" prints, filled up with zero bytes. */
static const char *check_float_text(const unsigned char *p, size_t n)
{
    static const char wrong[] = "is not a number";
    const char *text = (const char *)p;
    if (p[n - 1] != '\0')
        return wrong;
    const char *whole = text + (*text == '-');
    const char *dot = skip_digits(whole);
    if (dot == whole || *dot != '.')
        return wrong;
    const char *e = skip_digits(dot + 1);
    if (e == dot + 1 || *e != 'e' || (e[1] != '+' && e[1] != '-'))
        return wrong;
    const char *end = skip_digits(e + 2);
    return end == e + 2 || *end != '\0' ? wrong : NULL;
}

static const struct tag TAGS[UINT8_MAX + 1] = {
    /* bytes:  name, walk, check, width, per, more */
    [ERL_SMALL_INTEGER_EXT] = {"integer", walk_bytes, NULL, 0, 0, 1},
    [ERL_INTEGER_EXT] = {"integer", walk_bytes, NULL, 0, 0, 4},
    [ERL_SMALL_BIG_EXT] = {"integer", walk_bytes, check_sign, 1, 1, 1},
    [ERL_LARGE_BIG_EXT] = {"integer", walk_bytes, check_sign, 4, 1, 1},
    [NEW_FLOAT_EXT] = {"float", walk_bytes, check_finite, 0, 0, 8},
    [ERL_FLOAT_EXT] = {"float", walk_bytes, check_float_text, 0, 0, 31},
    [ERL_ATOM_EXT] = {"atom", walk_bytes, check_latin1, 2, 1, 0},
    [ERL_SMALL_ATOM_EXT] = {"atom", walk_bytes, check_latin1, 1, 1, 0},
    [ERL_ATOM_UTF8_EXT] = {"atom", walk_bytes, check_utf8, 2, 1, 0},
    [ERL_SMALL_ATOM_UTF8_EXT] = {"atom", walk_bytes, check_utf8, 1, 1, 0},
    [ERL_STRING_EXT] = {"string", walk_bytes, NULL, 2, 1, 0},
    [ERL_BINARY_EXT] = {"binary", walk_bytes, NULL, 4, 1, 0},
    [ERL_BIT_BINARY_EXT] = {"bitstring", walk_bytes, check_bits, 4, 1, 1},

    [ERL_NIL_EXT] = {"nil", walk_elements, NULL, 0, 0, 0},
    [ERL_SMALL_TUPLE_EXT] = {"tuple", walk_elements, NULL, 1, 1, 0},
    [ERL_LARGE_TUPLE_EXT] = {"tuple", walk_elements, NULL, 4, 1, 0},
    [ERL_LIST_EXT] = {"list", walk_elements, NULL, 4, 1, 1},
    [ERL_MAP_EXT] = {"map", walk_elements, NULL, 4, 2, 0},

    /* number, serial and creation, or words */
    [ERL_PID_EXT] = {"pid", walk_node, NULL, 0, 0, 4 + 4 + 1},
    [ERL_NEW_PID_EXT] = {"pid", walk_node, NULL, 0, 0, 4 + 4 + 4},
    [ERL_PORT_EXT] = {"port", walk_node, NULL, 0, 0, 4 + 1},
    [ERL_NEW_PORT_EXT] = {"port", walk_node, NULL, 0, 0, 4 + 4},
    [ERL_V4_PORT_EXT] = {"port", walk_node, NULL, 0, 0, 8 + 4},
    [ERL_REFERENCE_EXT] = {"reference", walk_node, NULL, 0, 0, 4 + 1},
    [ERL_NEW_REFERENCE_EXT] = {"reference", walk_node, NULL, 2, 4, 1},
    [ERL_NEWER_REFERENCE_EXT] = {"reference", walk_node, NULL, 2, 4, 4},
    [ERL_EXPORT_EXT] = {"fun", walk_export, NULL, 0, 0, 0},
    [ERL_NEW_FUN_EXT] = {"fun", walk_fun, NULL, 4, 0, 0},

    [ERL_FUN_EXT] = {"fun of an old release", refuse, NULL, 0, 0, 0},
    [RECORD_EXT] = {"native record", refuse, NULL, 0, 0, 0},
    [COMPRESSED] = {"compressed term", refuse, NULL, 0, 0, 0},
    [ATOM_CACHE_REF] = {"atom cache reference", refuse, NULL, 0, 0, 0},
    [LOCAL_EXT] = {"node-local term", refuse, NULL, 0, 0, 0},
};

static int walk_one(struct scan *s, struct level *inner)
{
    if (rest(s) == 0)
        return fail(s, "the frame", "ends where a term should begin");
    const struct tag *t = &TAGS[s->p[s->at]];
    if (t->name == NULL)
        return err_set(s->err, "unknown tag %d (byte %zu)", s->p[s->at], s->at);
    return t->walk(s, t, inner);
}

/* The bytes of a binary that is whole, else 0. */
static inline size_t whole_binary(const unsigned char *p, size_t left)
{
    if (*p != ERL_BINARY_EXT || left < 5)
        return 0;
    const size_t n = bytes_get(p + 1, 4);
    return n <= left - 5 ? 5 + n : 0;
}

/* The longest lists are made of integers and texts: this skips them without a
 * call each. It stops in front of whatever walk_one has to look at. */
static inline void skip_simple(struct scan *s, struct level *level)
{
    const unsigned char *p = s->p + s->at, *end = s->p + s->n;
    uint32_t todo = level->left;
    for (; todo > 0 && p < end; todo--) {
        const bool small = *p == ERL_SMALL_INTEGER_EXT;
        const size_t left = (size_t)(end - p);
        const size_t size = small                   ? 2
                            : *p == ERL_INTEGER_EXT ? 5
                                                    : whole_binary(p, left);
        if (size == 0 || size > left)
            break;
        p += size;
    }
    s->at = (size_t)(p - s->p);
    level->left = todo;
}

/* Behind the last element of what has an end: nil ends a list, and any other
 * tail is one more element. 0/-1. */
static int close_level(struct scan *s, struct level *level)
{
    if (level->end != LIST)
        return check_fun_end(s, level);
    level->end = 0;
    if (rest(s) > 0 && s->p[s->at] == ERL_NIL_EXT) {
        s->at++;
        return 0;
    }
    level->left = 1;
    if (s->seen)
        s->seen->tails = true;
    return 0;
}

static int walk_term(struct scan *s)
{
    struct level levels[MAX_DEPTH + 1];
    struct level *level = levels;
    *level = (struct level){1, 0};
    for (;;) {
        skip_simple(s, level);
        while (level->left == 0) {
            if (level->end > 0) {
                if (close_level(s, level) < 0)
                    return -1;
                if (level->left > 0)
                    break;
            }
            if (level == levels)
                return 0;
            level--;
        }
        level->left--;
        struct level inner = {0, 0};
        if (walk_one(s, &inner) < 0)
            return -1;
        if (inner.left == 0)
            continue;
        if (level == &levels[MAX_DEPTH])
            return err_set(s->err, "more than %d levels deep (byte %zu)",
                           MAX_DEPTH, s->at);
        *++level = inner;
    }
}

int scan_and_see(const char *p, size_t n, size_t *at, struct scan_seen *seen,
                 struct err *err)
{
    struct scan s = {(const unsigned char *)p, n, *at, err, seen};
    struct level alone = {1, 0};
    if (n > FRAME_LIMIT)
        return err_set(err, "a frame of %zu bytes is too long", n);
    skip_simple(&s, &alone);
    if (alone.left > 0 && walk_term(&s) < 0)
        return -1;
    *at = s.at;
    return 0;
}

int scan_term(const char *p, size_t n, size_t *at, struct err *err)
{
    return scan_and_see(p, n, at, NULL, err);
}

int scan_end(size_t n, size_t at, struct err *err)
{
    if (at < n)
        return err_set(err, "%zu bytes follow the term (byte %zu)", n - at, at);
    return 0;
}

int scan_frame(const char *p, size_t n, struct err *err)
{
    size_t at = 1;
    if (n == 0)
        return err_set(err, "the frame is empty");
    if ((unsigned char)p[0] != TERM_VERSION)
        return err_set(err, "the first byte is %d, not the version %d",
                       (unsigned char)p[0], TERM_VERSION);
    if (scan_term(p, n, &at, err) < 0)
        return -1;
    return scan_end(n, at, err);
}
