/* SPDX-License-Identifier: Apache-2.0
 *
 * batch: frames of many requests, and every way in which a frame is none.
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
static bool begin(const char *frame, size_t len)
{
    return batch_begin(&batch, frame, len);
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
    assert_true(begin(BYTES("\203l\0\0\0\3"
                            "m\0\0\0\2ab"
                            "m\0\0\0\0"
                            "m\0\0\0\1c"
                            "j")));
    assert_part(BYTES("ab"));
    assert_part(BYTES(""));
    assert_part(BYTES("c"));
    assert_no_part();
}

/* As no VM writes it. */
static void one_of_none(void **state)
{
    (void)state;
    assert_true(begin(BYTES("\203l\0\0\0\0j")));
    assert_no_part();
}

static void what_is_no_batch(void **state)
{
    (void)state;
    assert_false(begin(BYTES("")));
    assert_false(begin(BYTES("\203l\0\0\0")));
    assert_false(begin(BYTES("\203j")));
    assert_false(begin(BYTES("\203k\0\1\1\1\1")));
    assert_false(begin(BYTES("\203h\2a\1a\1")));
    assert_false(begin(BYTES("\202l\0\0\0\0j")));
}

static void a_list_of_something_else(void **state)
{
    (void)state;
    assert_false(begin(BYTES("\203l\0\0\0\1a\1\1\1\1\1\1\1j")));
    assert_false(begin(BYTES("\203l\0\0\0\2m\0\0\0\1xj")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\0\0\0")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\0\0\0\2x")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\377\377\377\377xj")));
    assert_false(begin(BYTES("\203l\377\377\377\377m\0\0\0\1xj")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\0\0\0\1x")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\0\0\0\1xa")));
    assert_false(begin(BYTES("\203l\0\0\0\1m\0\0\0\1xjj")));
}

/* Nothing is read behind a frame, wherever it is cut. */
static void cut_anywhere(void **state)
{
    (void)state;
    static const char whole[] = "\203l\0\0\0\2m\0\0\0\2abm\0\0\0\1cj";
    for (size_t n = 6; n < sizeof whole - 1; n++) {
        char *cut = test_malloc(n);
        memcpy(cut, whole, n);
        assert_false(begin(cut, n));
        test_free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_parts_in_order),
        cmocka_unit_test(one_of_none),
        cmocka_unit_test(what_is_no_batch),
        cmocka_unit_test(a_list_of_something_else),
        cmocka_unit_test(cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
