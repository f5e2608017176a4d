/* SPDX-License-Identifier: Apache-2.0
 *
 * The account of Python's heap by itself: what is counted, what is refused, and
 * what a job gets near its limit. The threads are meant for ThreadSanitizer,
 * too.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "memory/heap_account.h"

#define KIB ((size_t)1024)
#define MIB (1024 * KIB)
#define LIMIT (100 * MIB)
#define RESERVE (2 * MIB) /* 2 % */
#define ROUNDS 10000

static size_t in_arenas; /* what is held and free */

static size_t unused(void)
{
    return in_arenas;
}

static size_t current(void)
{
    struct heap_numbers numbers;
    heap_account_read(&numbers);
    return numbers.current;
}

static size_t peak(void)
{
    struct heap_numbers numbers;
    heap_account_read(&numbers);
    return numbers.peak;
}

/* Both questions, as the hook asks them. */
static bool has_room(size_t n)
{
    return heap_account_is_far(n) || heap_account_has_room(n, n);
}

/* Takes it, if there is room. */
static bool take(size_t n)
{
    if (!has_room(n))
        return false;
    heap_account_add(n);
    return true;
}

/* As much as a job can get, in pieces. */
static void take_all(size_t piece)
{
    while (take(piece))
        continue;
}

/* Each test begins with nothing held. */
static int reset(void **state)
{
    (void)state;
    heap_account_end_job();
    in_arenas = 0;
    heap_account_sub(current());
    heap_account_set_limit(LIMIT);
    return 0;
}

static void what_is_added_and_freed_is_counted(void **state)
{
    (void)state;
    heap_account_add(100);
    heap_account_add(50);
    assert_int_equal(current(), 150);
    heap_account_sub(100);
    assert_int_equal(current(), 50);
    assert_int_equal(peak(), 150);
}

static void what_is_free_in_arenas_is_not_in_use(void **state)
{
    (void)state;
    heap_account_add(MIB);
    in_arenas = 1000;
    assert_int_equal(current(), MIB - 1000);
    in_arenas = 0;
}

static void what_one_job_needs_is_watched(void **state)
{
    (void)state;
    heap_account_reset_peak();
    heap_account_add(MIB);
    heap_account_sub(MIB);
    heap_account_add(500);
    assert_int_equal(heap_account_watch(), 500);
    assert_int_equal(peak(), MIB);
    heap_account_add(100);
    heap_account_sub(100);
    assert_int_equal(heap_account_watched(), 600);
    assert_int_equal(peak(), MIB);
    assert_int_equal(heap_account_watch(), 500);
    heap_account_add(2 * MIB);
    assert_int_equal(heap_account_watched(), 2 * MIB + 500);
    assert_int_equal(peak(), 2 * MIB + 500);
}

static void *add_and_sub(void *unused_argument)
{
    for (int i = 0; i < ROUNDS; i++) {
        heap_account_add(48);
        heap_account_sub(16);
    }
    return unused_argument;
}

/* One thread frees what another has allocated, too. */
static void threads_count_together(void **state)
{
    pthread_t threads[2];
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_and_sub, NULL),
                         0);
    add_and_sub(NULL);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(current(), 3 * ROUNDS * 32);
}

static void without_a_limit_there_is_room(void **state)
{
    (void)state;
    heap_account_set_limit(HEAP_NO_LIMIT);
    heap_account_begin_job();
    assert_true(has_room(SIZE_MAX / 2));
}

static void between_jobs_there_is_room(void **state)
{
    (void)state;
    assert_true(has_room(2 * LIMIT));
    heap_account_begin_job();
    assert_false(has_room(2 * LIMIT));
    heap_account_end_job();
    assert_true(has_room(2 * LIMIT));
}

/* Threads run jobs at the same time. */
static void the_limit_holds_until_the_last_of_several_jobs_ends(void **state)
{
    (void)state;
    heap_account_begin_job();
    heap_account_begin_job();
    assert_false(has_room(2 * LIMIT));
    heap_account_end_job();
    assert_false(has_room(2 * LIMIT));
    heap_account_end_job();
    assert_true(has_room(2 * LIMIT));
}

static void a_job_has_room_up_to_its_limit(void **state)
{
    (void)state;
    heap_account_begin_job();
    assert_true(take(LIMIT - 100));
    assert_true(has_room(100));
    assert_false(has_room(101));
}

static void the_largest_sizes_are_refused(void **state)
{
    (void)state;
    heap_account_add(MIB);
    heap_account_begin_job();
    assert_false(has_room(SIZE_MAX));
    assert_false(has_room(SIZE_MAX - MIB));
    assert_false(has_room(SIZE_MAX / 2));
}

static void once_refused_a_job_has_a_reserve(void **state)
{
    (void)state;
    heap_account_begin_job();
    assert_true(take(LIMIT));
    assert_false(has_room(1));
    assert_true(take(RESERVE));
    assert_false(has_room(1));
    assert_false(has_room(1));
}

static void the_reserve_is_at_least_a_megabyte(void **state)
{
    (void)state;
    heap_account_set_limit(10 * MIB);
    heap_account_begin_job();
    assert_false(has_room(11 * MIB));
    assert_true(take(11 * MIB));
    assert_false(has_room(1));
}

static void the_reserve_ends_with_the_job(void **state)
{
    (void)state;
    heap_account_begin_job();
    assert_false(has_room(2 * LIMIT));
    heap_account_end_job();
    heap_account_begin_job();
    assert_false(has_room(LIMIT + 1));
}

/* Near the limit is looked again: until then held counts for in use. */
static void what_is_free_in_arenas_is_room(void **state)
{
    (void)state;
    heap_account_add(LIMIT);
    in_arenas = LIMIT / 2;
    heap_account_begin_job();
    assert_true(take(LIMIT / 4));
    assert_true(take(LIMIT / 8));
    assert_false(has_room(LIMIT / 4));
}

static void a_job_that_begins_at_the_limit_has_a_reserve(void **state)
{
    (void)state;
    heap_account_add(LIMIT - 1);
    heap_account_begin_job();
    assert_true(has_room(RESERVE));
    assert_false(has_room(RESERVE + 2));
}

static void jobs_that_keep_it_all_come_to_an_end(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        heap_account_begin_job();
        take_all(KIB);
        take_all(KIB);
        heap_account_end_job();
    }
    assert_true(current() >= LIMIT);
    assert_true(current() <= LIMIT + 5 * RESERVE);
}

static void a_new_limit_holds_for_the_running_job(void **state)
{
    (void)state;
    heap_account_begin_job();
    assert_true(has_room(50 * MIB));
    heap_account_add(50 * MIB);
    heap_account_set_limit(10 * MIB);
    assert_false(has_room(1));
    heap_account_set_limit(HEAP_NO_LIMIT);
    assert_true(has_room(50 * MIB));
}

/* What was there before it came can be freed, and that is no way up. */
static void a_limit_below_what_is_in_use_leaves_reserves(void **state)
{
    (void)state;
    heap_account_begin_job();
    assert_true(take(60 * MIB));
    heap_account_set_limit(10 * MIB);
    assert_false(has_room(2 * MIB));
    assert_true(take(MIB / 2));
    heap_account_end_job();
    heap_account_begin_job();
    assert_true(take(MIB / 2));
    heap_account_end_job();
    for (int i = 0; i < 100; i++) {
        heap_account_set_limit(10 * MIB);
        heap_account_begin_job();
        take_all(KIB);
        heap_account_end_job();
    }
    assert_true(current() < 67 * MIB);
    heap_account_sub(40 * MIB);
    heap_account_begin_job();
    heap_account_end_job();
    heap_account_begin_job();
    assert_false(has_room(8 * MIB));
    heap_account_end_job();
}

static void a_block_that_changes_is_counted_once(void **state)
{
    (void)state;
    heap_account_add(60 * MIB);
    heap_account_reset_peak();
    heap_account_change(60 * MIB, 61 * MIB);
    assert_int_equal(current(), 61 * MIB);
    heap_account_change(61 * MIB, 20 * MIB);
    assert_int_equal(current(), 20 * MIB);
    assert_int_equal(peak(), 61 * MIB);
}

static void a_first_limit_holds_for_the_running_job(void **state)
{
    (void)state;
    heap_account_set_limit(HEAP_NO_LIMIT);
    heap_account_begin_job();
    heap_account_set_limit(10 * MIB);
    assert_false(has_room(50 * MIB));
}

static void *ask_exempt(void *answer)
{
    heap_account_exempt_thread();
    *(bool *)answer = has_room(2 * LIMIT);
    return NULL;
}

static void an_exempt_thread_is_refused_nothing(void **state)
{
    pthread_t thread;
    bool answer = false;
    (void)state;
    heap_account_begin_job();
    assert_int_equal(pthread_create(&thread, NULL, ask_exempt, &answer), 0);
    pthread_join(thread, NULL);
    assert_true(answer);
    assert_false(has_room(2 * LIMIT));
}

static void what_was_refused_is_described(void **state)
{
    char text[128];
    (void)state;
    heap_account_add(1000);
    heap_account_begin_job();
    assert_false(heap_account_describe(text, sizeof text));
    assert_false(has_room(2 * LIMIT));
    heap_account_end_job();
    assert_true(heap_account_describe(text, sizeof text));
    assert_string_equal(text, "limit heap: 104857600 bytes, with 1000 in use "
                              "when 209715200 were wanted");
    heap_account_begin_job();
    assert_false(heap_account_describe(text, sizeof text));
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_added_and_freed_is_counted),
        TEST(what_is_free_in_arenas_is_not_in_use),
        TEST(what_one_job_needs_is_watched),
        TEST(threads_count_together),
        TEST(without_a_limit_there_is_room),
        TEST(between_jobs_there_is_room),
        TEST(the_limit_holds_until_the_last_of_several_jobs_ends),
        TEST(a_job_has_room_up_to_its_limit),
        TEST(the_largest_sizes_are_refused),
        TEST(once_refused_a_job_has_a_reserve),
        TEST(the_reserve_is_at_least_a_megabyte),
        TEST(the_reserve_ends_with_the_job),
        TEST(what_is_free_in_arenas_is_room),
        TEST(a_job_that_begins_at_the_limit_has_a_reserve),
        TEST(jobs_that_keep_it_all_come_to_an_end),
        TEST(a_new_limit_holds_for_the_running_job),
        TEST(a_limit_below_what_is_in_use_leaves_reserves),
        TEST(a_block_that_changes_is_counted_once),
        TEST(a_first_limit_holds_for_the_running_job),
        TEST(an_exempt_thread_is_refused_nothing),
        TEST(what_was_refused_is_described),
    };
    heap_account_init(LIMIT, unused);
    return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
