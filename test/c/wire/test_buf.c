/* SPDX-License-Identifier: Apache-2.0
 *
 * buf: limits, marks, and what happens when there is no memory.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/buf.h"
#include "wire/protocol.h"

/* Linked with -Wl,--wrap=realloc the n-th call fails; without, it is skipped.
 */
void *__real_realloc(void *p, size_t n) __attribute__((weak));
void *__wrap_realloc(void *p, size_t n);

static int calls_left = -1;

void *__wrap_realloc(void *p, size_t n)
{
    if (calls_left == 0)
        return NULL;
    if (calls_left > 0)
        calls_left--;
    return __real_realloc(p, n);
}

static int append(struct buf *b, const char *p, size_t n)
{
    if (buf_reserve(b, n) < 0)
        return -1;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    return 0;
}

static void starts_empty(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    assert_int_equal(b.cap, 0);
    assert_int_equal(b.why, BUF_OK);
    buf_free(&b);
}

static void grows_and_keeps_its_bytes(void **state)
{
    (void)state;
    enum { N = 300000 };
    struct buf b;
    buf_init(&b, N);
    size_t moves = 0;
    for (int i = 0; i < N; i++) {
        char c = (char)(i % 251);
        size_t cap = b.cap;
        assert_int_equal(append(&b, &c, 1), 0);
        moves += cap != b.cap;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal((unsigned char)b.data[i], i % 251);
    assert_in_range(moves, 1, 10); /* geometric */
    assert_int_equal(b.len, N);
    buf_free(&b);
}

static void holds_max_bytes_and_not_one_more(void **state)
{
    (void)state;
    struct buf b;
    char bytes[5000] = {0};
    for (size_t max = 0; max < sizeof bytes; max += 7) {
        buf_init(&b, max);
        assert_int_equal(append(&b, bytes, max), 0);
        assert_int_equal(append(&b, bytes, 1), -1);
        assert_int_equal(b.why, BUF_TOO_LARGE);
        assert_int_equal(b.len, max);
        assert_true(b.cap <= max);
        buf_free(&b);
    }
}

static void sizes_near_the_end_of_size_t_are_too_large(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    assert_int_equal(b.max, (size_t)FRAME_LIMIT + FRAME_HEADER);
    assert_int_equal(append(&b, "x", 1), 0);
    for (size_t n = SIZE_MAX; n > SIZE_MAX - 10; n--) {
        assert_int_equal(buf_reserve(&b, n), -1);
        assert_int_equal(b.why, BUF_TOO_LARGE);
        buf_rewind(&b, 1);
    }
    buf_free(&b);
}

static void a_failure_sticks_until_rewind(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    assert_int_equal(append(&b, "ab", 2), 0);
    size_t mark = buf_mark(&b);
    assert_int_equal(append(&b, "cde", 3), -1);
    assert_int_equal(append(&b, "c", 1), -1);
    assert_int_equal(buf_fail(&b, BUF_BAD_VALUE), -1);
    assert_int_equal(b.why, BUF_TOO_LARGE); /* the first one wins */
    buf_rewind(&b, mark);
    assert_int_equal(append(&b, "cd", 2), 0);
    assert_memory_equal(b.data, "abcd", 4);
    buf_free(&b);
}

static void shrink_gives_large_memory_back(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 24);
    assert_int_equal(buf_reserve(&b, 1000), 0);
    size_t small = b.cap;
    buf_shrink(&b);
    assert_int_equal(b.cap, small);
    assert_int_equal(buf_reserve(&b, 1 << 23), 0);
    b.len = 1 << 23;
    buf_shrink(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.cap <= 1 << 20);
    assert_int_equal(b.max, 1 << 24);
    assert_int_equal(append(&b, "x", 1), 0);
    buf_free(&b);
}

static void no_memory_is_an_error_at_every_growth(void **state)
{
    (void)state;
    if (__real_realloc == NULL)
        skip();
    char bytes[1000] = {0};
    for (int n = 0; n < 8; n++) {
        struct buf b;
        buf_init(&b, 1 << 20);
        calls_left = n;
        while (append(&b, bytes, sizeof bytes) == 0)
            assert_in_range(b.len, 0, 1 << 20);
        assert_int_equal(b.why, BUF_NO_MEMORY);
        assert_int_equal(b.len % sizeof bytes, 0);
        calls_left = -1;
        assert_int_equal(append(&b, bytes, sizeof bytes), -1);
        buf_rewind(&b, 0);
        assert_int_equal(append(&b, bytes, sizeof bytes), 0);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(grows_and_keeps_its_bytes),
        cmocka_unit_test(holds_max_bytes_and_not_one_more),
        cmocka_unit_test(sizes_near_the_end_of_size_t_are_too_large),
        cmocka_unit_test(a_failure_sticks_until_rewind),
        cmocka_unit_test(shrink_gives_large_memory_back),
        cmocka_unit_test(no_memory_is_an_error_at_every_growth),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
