/* SPDX-License-Identifier: Apache-2.0
 *
 * Many calls in one request, while another thread asks for them back: each has
 * a result or is given back, in order. Meant to be run under ThreadSanitizer,
 * too.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ei.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "task/multicall.h"
#include "task/reply.h"
#include "wire/clock.h"
#include "wire/lane.h"
#include "wire/protocol.h"

#include "../talk.h"

enum { CALLS = 40, ROUNDS = 500 };

/* {7, …} with a list of small integers, which stand for calls. */
static char bytes[2 + 5 + 2 * CALLS + 1];
static const struct request seven = {
    .frame = bytes, .len = sizeof bytes, .id_at = 0, .id_len = 2, .args_at = 2};
static const struct request eight = {.frame = "a\10", .id_len = 2};

static void make_request(void)
{
    int at = 2;
    memcpy(bytes, "a\7", 2);
    ei_encode_list_header(bytes, &at, CALLS);
    for (int i = 0; i < CALLS; i++)
        ei_encode_long(bytes, &at, i);
    ei_encode_empty_list(bytes, &at);
}

static bool runs = true;

static bool goes_on(void)
{
    return runs;
}

/* Runs all that may start; how many. */
static int run(int fails_at)
{
    struct buf out;
    struct err err = {""};
    struct task task = {.req = &seven, .at = seven.args_at};
    int n = 0;
    buf_init(&out, 0);
    form_init(&task.opts.form);
    assert_int_equal(multicall_begin(&task, &err), 0);
    while (multicall_next(&task)) {
        assert_int_equal(bytes[task.at + 1], n);
        if (n++ == fails_at)
            multicall_skip(&task);
        else
            task.at += 2;
        multicall_open(&out);
        reply_ok(&out);
        multicall_close(&out);
    }
    multicall_end(&out);
    buf_free(&out);
    return n;
}

/* What has come: results, and calls that were given back. */
static void count(int *results, int *back)
{
    char word[MAXATOMLEN_UTF8];
    *results = *back = 0;
    for (bool last = false; !last;) {
        struct err err = {""};
        struct frame *frame = NULL;
        int at = 1, n = 0;
        long id = 0, number = 0;
        assert_int_equal(frame_read(&from_port, &frame, &err), FRAME_OK);
        ei_decode_tuple_header(frame->data, &at, &n);
        ei_decode_long(frame->data, &at, &id);
        assert_int_equal(id, 7);
        last = ei_decode_tuple_header(frame->data, &at, &n) < 0;
        ei_decode_atom(frame->data, &at, word);
        if (!last)
            ei_decode_long(frame->data, &at, &number);
        if (strcmp(word, "part") == 0) {
            assert_int_equal(number, *results);
            ei_decode_tuple_header(frame->data, &at, &n);
            *results += n;
        } else if (!last) {
            assert_string_equal(word, "not_started");
            *back += (int)number;
        }
        free(frame);
    }
    assert_string_equal(word, "ok");
}

static void all_have_results(void **state)
{
    int results, back;
    (void)state;
    assert_int_equal(run(3), CALLS);
    count(&results, &back);
    assert_int_equal(results, CALLS);
    assert_int_equal(back, 0);
}

static void none_may_start(void **state)
{
    int results, back;
    (void)state;
    runs = false;
    assert_int_equal(run(-1), 0);
    runs = true;
    count(&results, &back);
    assert_int_equal(results, 0);
    assert_int_equal(back, CALLS);
}

/* Nothing runs, or something else: nothing happens. */
static void nothing_to_take_back(void **state)
{
    int results, back;
    (void)state;
    multicall_take_back(&seven);
    assert_int_equal(run(-1), CALLS);
    multicall_take_back(&seven);
    multicall_take_back(&eight);
    count(&results, &back);
    assert_int_equal(results, CALLS);
}

static atomic_int round_now, round_done;

static void *take_back(void *unused)
{
    for (int round = 1; round <= ROUNDS; round++) {
        while (round_now < round)
            sched_yield();
        for (volatile int i = 0; i < round * 20; i++)
            ;
        multicall_take_back(&eight);
        multicall_take_back(&seven);
        round_done = round;
    }
    return unused;
}

static void threads_agree(void **state)
{
    int results, back;
    pthread_t other;
    (void)state;
    round_now = round_done = 0;
    assert_int_equal(pthread_create(&other, NULL, take_back, NULL), 0);
    for (int round = 1; round <= ROUNDS; round++) {
        round_now = round;
        const int n = run(-1);
        count(&results, &back);
        assert_int_equal(results, n);
        assert_int_equal(back, CALLS - n);
        while (round_done < round)
            sched_yield();
    }
    pthread_join(other, NULL);
}

/* From now on results are kept. */
static void with_notes(void **state)
{
    int fd;
    size_t room;
    (void)state;
    assert_true(lane_offer(DEFAULT_MAX_FRAME, &fd, &room));
    lane_answer(true);
    char *notes = lane_notes(&room);
    assert_non_null(notes);
    assert_int_equal(room, LANE_HEAD - LANE_NOTES);
    all_have_results(state);
    none_may_start(state);
    nothing_to_take_back(state);
    threads_agree(state);
    for (size_t i = 0; i < sizeof(uint64_t); i++)
        assert_int_equal(notes[i], 0);
}

static int setup(void **state)
{
    (void)state;
    open_pipe();
    embed_start();
    make_request();
    multicall_init(goes_on);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_have_results),
        cmocka_unit_test(none_may_start),
        cmocka_unit_test(nothing_to_take_back),
        cmocka_unit_test(threads_agree),
        cmocka_unit_test(with_notes),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
