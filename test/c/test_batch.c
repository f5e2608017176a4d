/* SPDX-License-Identifier: Apache-2.0
 *
 * batch: frames of many requests, and every way in which one can be wrong.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/batch.h"

#define BYTES(text) (text), sizeof(text) - 1

static struct batch batch;
static struct err err;

static int begin(const char *frame, size_t len)
{
    err.text[0] = '\0';
    assert_true(batch_is(frame, len));
    int rc = batch_begin(&batch, frame, len, &err);
    assert_int_equal(rc, err.text[0] == '\0' ? 0 : -1);
    return rc;
}

static void assert_part(const char *bytes, size_t n)
{
    const char *part = NULL;
    size_t len = 0;
    assert_true(batch_next(&batch, &part, &len));
    assert_int_equal(len, n);
    assert_memory_equal(part, bytes, n);
}

static void assert_no_part(void)
{
    const char *part = NULL;
    size_t len = 0;
    assert_false(batch_next(&batch, &part, &len));
    assert_false(batch_next(&batch, &part, &len));
}

static void its_parts_in_order(void **state)
{
    (void)state;
    assert_int_equal(begin(BYTES("\203l\0\0\0\3"
                                 "m\0\0\0\2ab"
                                 "m\0\0\0\0"
                                 "m\0\0\0\1c"
                                 "j")),
                     0);
    assert_part(BYTES("ab"));
    assert_part(BYTES(""));
    assert_part(BYTES("c"));
    assert_no_part();
}

/* As no VM writes it. */
static void one_of_none(void **state)
{
    (void)state;
    assert_int_equal(begin(BYTES("\203l\0\0\0\0j")), 0);
    assert_no_part();
}

static void what_is_no_batch(void **state)
{
    (void)state;
    assert_false(batch_is(BYTES("")));
    assert_false(batch_is(BYTES("\203l\0\0\0")));
    assert_false(batch_is(BYTES("\203j")));
    assert_false(batch_is(BYTES("\203k\0\1\1\1\1")));
    assert_false(batch_is(BYTES("\203h\2a\1a\1")));
    assert_false(batch_is(BYTES("\202l\0\0\0\0j")));
}

static void assert_wrong(const char *frame, size_t len, const char *text)
{
    assert_int_equal(begin(frame, len), -1);
    assert_string_equal(err.text, text);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    assert_wrong(BYTES("\203l\0\0\0\1a\1\1\1\1\1\1\1j"),
                 "byte 6: a list must be one of binaries");
    assert_wrong(BYTES("\203l\0\0\0\2m\0\0\0\1xj"),
                 "byte 12: a list must be one of binaries");
    assert_wrong(BYTES("\203l\0\0\0\1m\0\0\0"),
                 "byte 6: a list must be one of binaries");
    assert_wrong(BYTES("\203l\0\0\0\1m\0\0\0\2x"),
                 "byte 11: a binary of 2 bytes ends too soon");
    assert_wrong(BYTES("\203l\0\0\0\1m\377\377\377\377xj"),
                 "byte 11: a binary of 4294967295 bytes ends too soon");
    assert_wrong(BYTES("\203l\377\377\377\377m\0\0\0\1xj"),
                 "byte 12: a list must be one of binaries");
    assert_wrong(BYTES("\203l\0\0\0\1m\0\0\0\1x"),
                 "byte 12: the list must end here");
    assert_wrong(BYTES("\203l\0\0\0\1m\0\0\0\1xa"),
                 "byte 12: the list must end here");
    assert_wrong(BYTES("\203l\0\0\0\1m\0\0\0\1xjj"),
                 "byte 12: the list must end here");
}

/* Nothing is read behind a frame, wherever it is cut. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char whole[] = "\203l\0\0\0\2m\0\0\0\2abm\0\0\0\1cj";
    for (size_t n = 6; n < sizeof whole - 1; n++) {
        char *cut = test_malloc(n);
        memcpy(cut, whole, n);
        assert_int_equal(begin(cut, n), -1);
        test_free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_parts_in_order),
        cmocka_unit_test(one_of_none),
        cmocka_unit_test(what_is_no_batch),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
