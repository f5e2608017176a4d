/* SPDX-License-Identifier: Apache-2.0
 *
 * request: every form there is, many that there are not, and the Id.
 */
#include "config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <ei.h>

#include "../terms.h"
#include "wire/put.h"
#include "wire/request.h"

static struct buf b;     /* the frame */
static struct request r; /* what it was parsed to */
static struct err err;

static int setup(void **state)
{
    (void)state;
    buf_init(&b, SIZE_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&b);
    return 0;
}

/* Makes the frame from Erlang's syntax as far as ei reads it: no maps. */
static void make(const char *text)
{
    ei_x_buff x;
    ei_x_new_with_version(&x);
    assert_int_equal(ei_x_format_wo_ver(&x, text), 0);
    buf_rewind(&b, 0);
    assert_int_equal(put_raw(&b, x.buff, (size_t)x.index), 0);
    ei_x_free(&x);
}

/* Adds a map as last element of the frame's tuple. */
static void add_map(void)
{
    b.data[2]++;
    assert_int_equal(put_map(&b, 0), 0);
}

static int parse(void)
{
    err.text[0] = '\0';
    int rc = request_parse(b.data, b.len, &r, &err);
    assert_int_equal(rc, err.text[0] == '\0' ? 0 : -1);
    assert_ptr_equal(r.frame, b.data);
    assert_int_equal(r.len, b.len);
    return rc;
}

static void assert_id(const char *bytes, size_t n)
{
    assert_int_equal(r.id_len, n);
    if (n > 0)
        assert_memory_equal(r.frame + r.id_at, bytes, n);
}

static void an_op_that_is_an_atom(void **state)
{
    (void)state;
    make("{7, hello}");
    assert_int_equal(parse(), 0);
    assert_int_equal(r.kind, REQUEST);
    assert_id("a\7", 2);
    assert_string_equal(r.op, "hello");
    assert_int_equal(r.op_len, 5);
    assert_int_equal(r.op_arity, 0);
    assert_int_equal(r.opts_at, 0);
    assert_int_equal(r.args_at, b.len);
}

static void an_op_with_arguments(void **state)
{
    (void)state;
    make("{7, {call, math, [1]}}");
    size_t end = b.len;
    add_map();
    assert_int_equal(parse(), 0);
    assert_string_equal(r.op, "call");
    assert_int_equal(r.op_arity, 2);
    assert_int_equal(r.opts_at, end);
    assert_int_equal(b.data[r.opts_at], ERL_MAP_EXT);
    assert_memory_equal(b.data + r.args_at, "w\4math", 6);
}

static void an_op_in_a_tuple_without_arguments(void **state)
{
    (void)state;
    make("{7, {gc}}");
    assert_int_equal(parse(), 0);
    assert_string_equal(r.op, "gc");
    assert_int_equal(r.op_arity, 0);
}

static void ops_in_every_form_of_atom_and_tuple(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } forms[] = {
        {"\x83h\2jh\2w\2gcj", 11},       {"\x83h\2jh\2v\0\2gcj", 12},
        {"\x83h\2jh\2d\0\2gcj", 12},     {"\x83h\2jh\2s\2gcj", 11},
        {"\x83h\2ji\0\0\0\2w\2gcj", 14}, {"\x83i\0\0\0\2jh\2w\2gcj", 14},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        buf_rewind(&b, 0);
        put_raw(&b, forms[i].bytes, forms[i].n);
        assert_int_equal(parse(), 0);
        assert_id("j", 1);
        assert_string_equal(r.op, "gc");
        assert_int_equal(r.op_arity, 1);
        assert_int_equal(r.args_at, b.len - 1);
    }
}

static void names_that_no_op_has_are_unknown(void **state)
{
    (void)state;
    static const char *const names[] = {
        "this_name_has_exactly_32_letters",
        "this_name_is_a_great_deal_longer_than_any_name_that_we_know_of",
        "\xc3\xbcn\xc3\xaf",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        buf_rewind(&b, 0);
        put_version(&b);
        put_tuple(&b, 2);
        put_nil(&b);
        put_atom_z(&b, names[i]);
        assert_int_equal(parse(), 0);
        assert_string_equal(r.op, "unknown");
        assert_int_equal(r.op_len, 7);
    }
    buf_rewind(&b, 0);
    put_raw(&b, "\x83h\2jw\7hello\0x", 13); /* 'hello\0x' */
    assert_int_equal(parse(), 0);
    assert_string_equal(r.op, "unknown");
}

static void names_have_at_most_31_letters(void **state)
{
    (void)state;
    make("{7, this_name_has_exactly_31_letter}");
    assert_int_equal(parse(), 0);
    assert_string_equal(r.op, "this_name_has_exactly_31_letter");
    assert_int_equal(r.op_len, REQUEST_OP_MAX);
}

static void any_term_is_an_id(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TERMS; i++) {
        size_t n;
        char *p = from_hex(terms[i].hex, &n);
        buf_rewind(&b, 0);
        put_version(&b);
        put_tuple(&b, 2);
        put_raw(&b, p + 1, n - 1);
        put_atom_z(&b, "hello");
        assert_int_equal(parse(), 0);
        assert_id(p + 1, n - 1);
        free(p);
    }
}

/* {7, {eval, [Term], #{}}, #{}} */
static void put_eval_of(const char *term, size_t n)
{
    buf_rewind(&b, 0);
    put_version(&b);
    put_tuple(&b, 3);
    put_long(&b, 7);
    put_tuple(&b, 3);
    put_atom_z(&b, "eval");
    put_list(&b, 1);
    put_raw(&b, term, n);
    put_nil(&b);
    put_map(&b, 0);
    put_map(&b, 0);
}

static void funs_are_seen_wherever_they_are(void **state)
{
    static const char fun[] = "qw\x01mw\x01"
                              "fa\x02"; /* fun m:f/2 */
    (void)state;
    put_eval_of(fun, sizeof fun - 1);
    assert_int_equal(parse(), 0);
    assert_true(r.has.funs);
    put_eval_of("j", 1);
    assert_int_equal(parse(), 0);
    assert_false(r.has.funs);
}

static void tails_are_seen_wherever_they_are(void **state)
{
    static const char tail[] = "l\0\0\0\1a\1a\2"; /* [1 | 2] */
    (void)state;
    put_eval_of(tail, sizeof tail - 1);
    assert_int_equal(parse(), 0);
    assert_true(r.has.tails);
    put_eval_of("l\0\0\0\1a\1j", 8);
    assert_int_equal(parse(), 0);
    assert_false(r.has.tails);
}

static void control(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum request_kind kind;
    } forms[] = {
        {"{cancel, 7}", CONTROL_CANCEL},       {"{stop, 7}", CONTROL_STOP},
        {"{take_back, 7}", CONTROL_TAKE_BACK}, {"{more, 7, 100}", CONTROL_MORE},
        {"{reply, 7, {x}}", CONTROL_REPLY},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        make(forms[i].text);
        assert_int_equal(parse(), 0);
        assert_int_equal(r.kind, forms[i].kind);
        assert_id("a\7", 2);
        assert_int_equal(r.n, r.kind == CONTROL_MORE ? 100 : 0);
        assert_int_equal(r.args_at, r.kind == CONTROL_REPLY ? b.len - 5 : 0);
    }
}

/* The atom alone, in the four ways in which it can be written. */
static void quit(void **state)
{
    (void)state;
    static const char *const heads[] = {"d\0\4", "s\4", "v\0\4", "w\4"};
    static const size_t lengths[] = {3, 2, 3, 2};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        buf_rewind(&b, 0);
        put_version(&b);
        put_raw(&b, heads[i], lengths[i]);
        put_raw(&b, "quit", 4);
        assert_int_equal(parse(), 0);
        assert_int_equal(r.kind, CONTROL_QUIT);
        assert_id("", 0);
    }
    make("{quit, hello}"); /* an Id like any other */
    assert_int_equal(parse(), 0);
    assert_int_equal(r.kind, REQUEST);
    make("quid");
    assert_int_equal(parse(), -1);
    assert_string_equal(err.text, "a frame must be a tuple, a list of "
                                  "binaries, resume or quit");
}

static void more_wants_a_positive_integer(void **state)
{
    (void)state;
    static const long long counts[] = {1, 255, 256, INT_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        make("{more, 7}");
        b.data[2]++;
        put_long(&b, counts[i]);
        assert_int_equal(parse(), 0);
        assert_true(r.n == counts[i]);
    }
    static const char *const wrong[] = {
        "{more, 7, 0}",   "{more, 7, -1}",  "{more, 7, x}",
        "{more, 7, 1.0}", "{more, 7, [1]}", "{more, 7, 2147483648}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make(wrong[i]);
        assert_int_equal(parse(), -1);
        assert_id("", 0);
        assert_string_equal(
            err.text, "control must be {more, Id, N} with N = 1..2147483647");
    }
    make("{more, 7}");
    b.data[2]++;
    put_big(&b, false, "123456789", 9);
    assert_int_equal(parse(), -1);
}

static void wrong_control_has_no_id(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "{cancel}",     "{cancel, 7, 8}", "{cancel, 7, 8, 9}", "{stop}",
        "{stop, 7, 8}", "{more, 7}",      "{take_back}",       "{reply}",
        "{within}",     "{within, 7}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make(wrong[i]);
        assert_int_equal(parse(), -1);
        assert_id("", 0);
        assert_int_not_equal(r.kind, REQUEST);
    }
}

/* Whoever waits for it has to hear that it is no good. */
static void a_wrong_answer_has_its_id(void **state)
{
    (void)state;
    make("{reply, 7}");
    assert_int_equal(parse(), -1);
    assert_id("a\7", 2);
    make("{reply, 7, [ok]}");
    b.data[b.len - 1] = '\0'; /* no tag of a term */
    assert_int_equal(parse(), -1);
    assert_id("a\7", 2);
    assert_int_equal(r.kind, CONTROL_REPLY);
    request_parse_id(b.data, b.len, &r);
    assert_id("a\7", 2);
    assert_int_equal(r.kind, CONTROL_REPLY);
}

static void wrong_requests_keep_their_id(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *error;
    } wrong[] = {
        {"{7}", "a request must be {Id, Op} or {Id, Op, Opts}"},
        {"{7, 8}", "Op must be an atom or {Name, Argument, ...}"},
        {"{7, []}", "Op must be an atom or {Name, Argument, ...}"},
        {"{7, {}}", "Op must be an atom or {Name, Argument, ...}"},
        {"{7, {8, eval}}", "Op must be an atom or {Name, Argument, ...}"},
        {"{7, hello, []}", "Opts must be a map"},
        {"{7, hello, x}", "Opts must be a map"},
        {"{7, hello, x, y}", "a frame must be a tuple of 2 or 3 elements"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make(wrong[i].text);
        assert_int_equal(parse(), -1);
        assert_int_equal(r.kind, REQUEST);
        assert_id("a\7", 2);
        assert_string_equal(err.text, wrong[i].error);
    }
}

static void frames_that_are_no_requests(void **state)
{
    (void)state;
    static const char *const wrong[] = {"7", "hello", "[7, hello]", "{}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        make(wrong[i]);
        assert_int_equal(parse(), -1);
        assert_id("", 0);
    }
    buf_rewind(&b, 0);
    assert_int_equal(parse(), -1);
    assert_string_equal(err.text, "the frame is empty");
    make("{7, hello}");
    b.data[0] = (char)130;
    assert_int_equal(parse(), -1);
    assert_id("", 0);
}

static void a_cut_frame_keeps_the_id_that_is_whole(void **state)
{
    (void)state;
    make("{{req, 7}, {call, math, sqrt, [2]}}");
    add_map();
    size_t whole = b.len;
    assert_int_equal(parse(), 0);
    size_t id_end = r.id_at + r.id_len;
    for (size_t n = 0; n < whole; n++) {
        char *p = malloc(n > 0 ? n : 1);
        memcpy(p, b.data, n);
        err.text[0] = '\0';
        assert_int_equal(request_parse(p, n, &r, &err), -1);
        assert_id(b.data + 3, n < id_end ? 0 : id_end - 3);
        request_parse_id(p, n, &r);
        assert_id(b.data + 3, n < id_end ? 0 : id_end - 3);
        assert_int_equal(r.op_len, 0);
        free(p);
    }
}

static void only_the_id(void **state)
{
    (void)state;
    make("{7, hello}");
    request_parse_id(b.data, b.len, &r);
    assert_id("a\7", 2);
    assert_string_equal(r.op, "");
    make("{cancel, 7}");
    request_parse_id(b.data, b.len, &r);
    assert_id("", 0);
    assert_int_equal(r.kind, CONTROL_CANCEL);
}

static void bytes_behind_the_request(void **state)
{
    (void)state;
    make("{7, hello}");
    put_nil(&b);
    assert_int_equal(parse(), -1);
    assert_id("a\7", 2);
    assert_string_equal(err.text, "1 bytes follow the term (byte 12)");
}

static void survives_every_wrong_byte(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{7, {call, math, [1]}}",
        "{more, 7, 100}",
        "{reply, {a}, \"abc\"}",
        "{a, b, c}",
        "{7, hello}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        make(texts[i]);
        char *p = malloc(b.len); /* no room behind it */
        for (size_t at = 0; at < b.len; at++) {
            for (int c = 0; c <= UINT8_MAX; c++) {
                memcpy(p, b.data, b.len);
                p[at] = (char)c;
                err.text[0] = '\0';
                request_parse(p, b.len, &r, &err);
                assert_true(r.id_at + r.id_len <= b.len);
                assert_true(r.args_at <= b.len && r.opts_at <= b.len);
            }
        }
        free(p);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_op_that_is_an_atom),
        TEST(an_op_with_arguments),
        TEST(an_op_in_a_tuple_without_arguments),
        TEST(ops_in_every_form_of_atom_and_tuple),
        TEST(names_that_no_op_has_are_unknown),
        TEST(names_have_at_most_31_letters),
        TEST(any_term_is_an_id),
        TEST(funs_are_seen_wherever_they_are),
        TEST(tails_are_seen_wherever_they_are),
        TEST(control),
        TEST(quit),
        TEST(more_wants_a_positive_integer),
        TEST(wrong_control_has_no_id),
        TEST(a_wrong_answer_has_its_id),
        TEST(wrong_requests_keep_their_id),
        TEST(frames_that_are_no_requests),
        TEST(a_cut_frame_keeps_the_id_that_is_whole),
        TEST(only_the_id),
        TEST(bytes_behind_the_request),
        TEST(survives_every_wrong_byte),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
