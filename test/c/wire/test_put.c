/* SPDX-License-Identifier: Apache-2.0
 *
 * put: against ei's own encoders and decoders, and at the limits of a buf.
 */
#include "config.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ei.h>

#include "wire/protocol.h"
#include "wire/put.h"
#include "wire/scan.h"

static struct buf b; /* of the test that runs */

static int setup(void **state)
{
    (void)state;
    buf_init(&b, 1 << 22);
    return put_version(&b);
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&b);
    return 0;
}

/* Begins a new term. */
static void again(void)
{
    buf_rewind(&b, 0);
    assert_int_equal(put_version(&b), 0);
}

static void assert_scans(void)
{
    struct err err = {""};
    scan_frame(b.data, b.len, &err);
    assert_string_equal(err.text, "");
}

static void assert_same_as(const ei_x_buff *x)
{
    assert_scans();
    assert_int_equal(b.len, x->index);
    assert_memory_equal(b.data, x->buff, b.len);
}

static void assert_bytes(const char *bytes, size_t n)
{
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, bytes, n);
}

static void heads_are_as_from_ei(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 2, 255, 256, 65535, 65536, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        int n = counts[i];
        ei_x_buff x;
        ei_x_new_with_version(&x);
        again();
        ei_x_encode_tuple_header(&x, n);
        assert_int_equal(put_tuple(&b, (size_t)n), 0);
        ei_x_encode_list_header(&x, n);
        assert_int_equal(put_list(&b, (size_t)n), 0);
        ei_x_encode_map_header(&x, n);
        assert_int_equal(put_map(&b, (size_t)n), 0);
        ei_x_encode_empty_list(&x);
        assert_int_equal(put_nil(&b), 0);
        assert_int_equal(b.len, x.index);
        assert_memory_equal(b.data, x.buff, b.len);
        ei_x_free(&x);
    }
}

static void integers_come_back(void **state)
{
    (void)state;
    for (int shift = 0; shift < 64; shift++) {
        for (int off = -2; off <= 2; off++) {
            long long v = (long long)((1ULL << shift) + (unsigned)off), got;
            for (int sign = 0; sign < 2;
                 sign++, v = (long long)(0 - (unsigned long long)v)) {
                again();
                assert_int_equal(put_long(&b, v), 0);
                assert_scans();
                int at = 1;
                assert_int_equal(ei_decode_longlong(b.data, &at, &got), 0);
                assert_true(got == v);
                assert_int_equal(at, b.len);
            }
        }
    }
}

static void integers_take_the_shortest_form(void **state)
{
    (void)state;
    put_long(&b, 255);
    assert_bytes("\x83\x61\xff", 3);
    again();
    put_long(&b, 256);
    assert_bytes("\x83\x62\0\0\1\0", 6);
    again();
    put_long(&b, -1);
    assert_bytes("\x83\x62\xff\xff\xff\xff", 6);
    again();
    put_long(&b, INT32_MAX);
    assert_bytes("\x83\x62\x7f\xff\xff\xff", 6);
    again();
    put_long(&b, INT32_MAX + 1LL);
    assert_bytes("\x83\x6e\4\0\0\0\0\x80", 8);
    again();
    put_long(&b, LLONG_MIN);
    assert_bytes("\x83\x6e\x08\1\0\0\0\0\0\0\0\x80", 12);
}

static void big_integers_have_sign_and_bytes(void **state)
{
    (void)state;
    unsigned char bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i + 1);
    put_big(&b, true, bytes, 9);
    assert_scans();
    assert_bytes("\x83\x6e\x09\1\1\2\3\4\5\6\7\x08\x09", 13);
    again();
    put_big(&b, false, bytes, 255);
    assert_scans();
    assert_memory_equal(b.data, "\x83\x6e\xff\0\1\2\3", 7);
    again();
    put_big(&b, false, bytes, 256);
    assert_scans();
    assert_memory_equal(b.data, "\x83\x6f\0\0\1\0\0\1\2\3", 10);
    assert_int_equal(b.len, 7 + 256);
}

static void doubles_are_as_from_ei(void **state)
{
    (void)state;
    static const double values[] = {
        0.0, -0.0, 1.5, -1e300, 5e-324, 1.7976931348623157e308, M_PI};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        ei_x_buff x;
        ei_x_new_with_version(&x);
        ei_x_encode_double(&x, values[i]);
        again();
        assert_int_equal(put_double(&b, values[i]), 0);
        assert_same_as(&x);
        ei_x_free(&x);
    }
}

static void atoms_are_as_from_ei(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "ok", "\xc3\xbcn\xc3\xaf",
                                        "\xe6\x97\xa5\xe6\x9c\xac",
                                        "\xf0\x9f\x90\x8d"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ei_x_buff x;
        ei_x_new_with_version(&x);
        ei_x_encode_atom_as(&x, texts[i], ERLANG_UTF8, ERLANG_UTF8);
        again();
        assert_int_equal(put_atom_z(&b, texts[i]), 0);
        assert_same_as(&x);
        ei_x_free(&x);
    }
}

static void atoms_have_at_most_255_characters(void **state)
{
    (void)state;
    char text[256 * 4];
    for (size_t size = 1; size <= 4; size++) {
        static const char *const chars[] = {"", "x", "\xc3\xbc", "\xe6\x97\xa5",
                                            "\xf0\x9f\x90\x8d"};
        for (size_t i = 0; i < 256; i++)
            memcpy(text + i * size, chars[size], size);
        again();
        assert_int_equal(put_atom(&b, text, 255 * size), 0);
        assert_scans();
        assert_int_equal(b.len, (size == 1 ? 3 : 4) + 255 * size);
        again();
        assert_int_equal(put_atom(&b, text, 256 * size), -1);
        assert_int_equal(b.why, BUF_BAD_VALUE);
        assert_int_equal(b.len, 1);
    }
}

static void atoms_are_utf8(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "\x80",
        "\xc3",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xe6\x97",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "a\xff",
        "\xc3\x28",
    };
    static const char *const right[] = {
        "\x7f",         "\xc2\x80",         "\xdf\xbf",
        "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        again();
        assert_int_equal(put_atom_z(&b, wrong[i]), -1);
        assert_int_equal(b.why, BUF_BAD_VALUE);
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        again();
        assert_int_equal(put_atom_z(&b, right[i]), 0);
        assert_scans();
    }
    again();
    assert_int_equal(put_atom(&b, "a\0b", 3), 0); /* a fine atom */
    assert_scans();
}

static void binaries_and_bitstrings(void **state)
{
    (void)state;
    put_binary(&b, "abc", 3);
    assert_bytes("\x83\x6d\0\0\0\3abc", 9);
    again();
    put_binary(&b, NULL, 0);
    assert_bytes("\x83\x6d\0\0\0\0", 6);
    again();
    put_bitstring(&b, "ab\xff", 3, 3);
    assert_scans();
    assert_bytes("\x83\x4d\0\0\0\3\3ab\xe0", 10);
    again();
    put_bitstring(&b, "abc", 3, 8);
    assert_bytes("\x83\x6d\0\0\0\3abc", 9);
    again();
    put_bitstring(&b, NULL, 0, 0);
    assert_bytes("\x83\x6d\0\0\0\0", 6);
    for (int bits = 0; bits < 10; bits += 9) {
        again();
        assert_int_equal(put_bitstring(&b, "abc", 3, bits), -1);
        assert_int_equal(b.why, BUF_BAD_VALUE);
    }
}

static void only_finite_doubles(void **state)
{
    (void)state;
    const double wrong[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        again();
        assert_int_equal(put_double(&b, wrong[i]), -1);
        assert_int_equal(b.why, BUF_BAD_VALUE);
        assert_int_equal(b.len, 1);
    }
}

/* One of each kind; returns its result. */
static int put_nth(struct buf *to, int n)
{
    switch (n) {
    case 0:
        return put_version(to);
    case 1:
        return put_tuple(to, 2);
    case 2:
        return put_tuple(to, 1000);
    case 3:
        return put_list(to, 3);
    case 4:
        return put_nil(to);
    case 5:
        return put_map(to, 2);
    case 6:
        return put_atom_z(to, "atom");
    case 7:
        return put_binary(to, "binary", 6);
    case 8:
        return put_bitstring(to, "bits", 4, 4);
    case 9:
        return put_long(to, 7);
    case 10:
        return put_long(to, -70000);
    case 11:
        return put_long(to, LLONG_MAX);
    case 12:
        return put_big(to, false, "123456789", 9);
    case 13:
        return put_double(to, 1.5);
    case 14:
        return put_raw(to, "\x83\x6a", 2);
    }
    return 1;
}

static void a_piece_is_appended_whole_or_not_at_all(void **state)
{
    (void)state;
    int n = 0;
    for (int rc = 0; rc == 0; n++) {
        for (size_t max = 0;; max++) {
            struct buf small;
            buf_init(&small, max);
            rc = put_nth(&small, n);
            size_t len = small.len;
            enum buf_why why = small.why;
            buf_free(&small);
            if (rc >= 0)
                break;
            assert_int_equal(len, 0);
            assert_int_equal(why, BUF_TOO_LARGE);
            assert_in_range(max, 0, 2000);
        }
    }
    assert_int_equal(n, 16);
}

static void max_is_exact_where_no_elements_follow(void **state)
{
    (void)state;
    static const int without[] = {0, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct buf tight;
        buf_rewind(&b, 0);
        assert_int_equal(put_nth(&b, without[i]), 0);
        buf_init(&tight, b.len);
        assert_int_equal(put_nth(&tight, without[i]), 0);
        buf_free(&tight);
    }
}

static void counts_that_cannot_fit_fail_at_once(void **state)
{
    (void)state;
    static const size_t counts[] = {1 << 22, UINT32_MAX, SIZE_MAX / 2,
                                    SIZE_MAX};
    int (*const heads[])(struct buf *, size_t) = {put_tuple, put_list};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t j = 0; j < 2; j++) {
            again();
            assert_int_equal(heads[j](&b, counts[i]), -1);
            assert_int_equal(b.why, BUF_TOO_LARGE);
        }
        again();
        assert_int_equal(put_binary(&b, "", counts[i]), -1);
        again();
        assert_int_equal(put_raw(&b, "", counts[i]), -1);
    }
    again();
    assert_int_equal(put_map(&b, 1 << 21), -1);
    assert_int_equal(b.why, BUF_TOO_LARGE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(heads_are_as_from_ei),
        TEST(integers_come_back),
        TEST(integers_take_the_shortest_form),
        TEST(big_integers_have_sign_and_bytes),
        TEST(doubles_are_as_from_ei),
        TEST(atoms_are_as_from_ei),
        TEST(atoms_have_at_most_255_characters),
        TEST(atoms_are_utf8),
        TEST(binaries_and_bitstrings),
        TEST(only_finite_doubles),
        TEST(a_piece_is_appended_whole_or_not_at_all),
        TEST(max_is_exact_where_no_elements_follow),
        TEST(counts_that_cannot_fit_fail_at_once),
    };
    return cmocka_run_group_tests_name("put", tests, NULL, NULL);
}
