/* SPDX-License-Identifier: Apache-2.0
 *
 * Where frames go when memory runs out: each request is answered.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <ei.h>

#include "loop/jobs.h"
#include "loop/route.h"
#include "wire/output.h"
#include "wire/put.h"

/* Linked with -Wl,--wrap=malloc one size can be made to fail. */
void *__real_malloc(size_t n);
void *__wrap_malloc(size_t n);

static size_t failing;

void *__wrap_malloc(size_t n)
{
    return n == failing ? NULL : __real_malloc(n);
}

static int replies;     /* where they can be read */
static struct buf next; /* frame that is routed */

static int setup(void **state)
{
    int ends[2];
    (void)state;
    if (pipe(ends) < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return -1;
    replies = ends[0];
    output_init(ends[1], 1 << 20);
    jobs_init();
    buf_init(&next, SIZE_MAX);
    return 0;
}

/* What was answered since the last time, as a string. */
static const char *answered(void)
{
    static char text[4096];
    ssize_t n = read(replies, text, sizeof text - 1);
    for (ssize_t i = 0; i < n; i++)
        if (!text[i])
            text[i] = ' ';
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* {Id, Op} as a term of its own; Ids are small integers. */
static void put_request(struct buf *out, char id, const char *op)
{
    put_version(out);
    put_tuple(out, 2);
    put_long(out, id);
    put_atom_z(out, op);
}

static void put_cancel(struct buf *out, char id)
{
    put_version(out);
    put_tuple(out, 2);
    put_atom_z(out, "cancel");
    put_long(out, id);
}

static void put_batch(struct buf *out, const char *ids)
{
    struct buf part;
    const size_t n = strlen(ids);
    put_version(out);
    put_list(out, n);
    for (size_t i = 0; i < n; i++) {
        buf_init(&part, SIZE_MAX);
        put_request(&part, ids[i], "eval");
        put_binary(out, part.data, part.len);
        buf_free(&part);
    }
    put_nil(out);
}

/* Takes what the buffer has, with memory for jobs or without. */
static void route(struct buf *out, bool memory)
{
    struct frame *frame = frame_copy(out->data, out->len);
    assert_non_null(frame);
    buf_free(out);
    buf_init(out, SIZE_MAX);
    failing = memory ? 0 : sizeof(struct job);
    assert_true(route_frame(frame, true));
    failing = 0;
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;
    while ((text = strstr(text, part))) {
        text += strlen(part);
        n++;
    }
    return n;
}

static void drop_jobs(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct job *job = jobs_start_next(true);
        assert_non_null(job);
        jobs_done();
        job_free(job);
    }
    assert_false(jobs_waiting());
}

#define REFUSED "no memory for a request of"

static void test_request(void **state)
{
    (void)state;
    put_request(&next, 7, "eval");
    route(&next, false);
    assert_int_equal(count(answered(), REFUSED), 1);
    drop_jobs(0);
    put_request(&next, 7, "eval");
    route(&next, true);
    assert_string_equal(answered(), "");
    drop_jobs(1);
}

static void test_batch(void **state)
{
    (void)state;
    put_batch(&next, "\1\2\3");
    route(&next, false);
    assert_int_equal(count(answered(), REFUSED), 3);
    drop_jobs(0);
    put_batch(&next, "\1\2\3");
    route(&next, true);
    drop_jobs(3);
}

static void test_control(void **state)
{
    (void)state;
    put_batch(&next, "\1\2");
    route(&next, true);
    put_cancel(&next, 2);
    route(&next, false);
    const char *answer = answered();
    assert_int_equal(count(answer, "cancelled"), 1);
    assert_int_equal(count(answer, "undefined"), 0);
    drop_jobs(1);
}

/* An answer that nobody waits for, or that is none: it names no request. */
static void test_wrong_answer(void **state)
{
    (void)state;
    put_version(&next);
    put_tuple(&next, 2);
    put_atom_z(&next, "reply");
    put_long(&next, 2);
    route(&next, true);
    const char *answer = answered();
    assert_int_equal(count(answer, "undefined"), 1);
    assert_int_equal(count(answer, "control must be {reply"), 1);
}

/* {within, 300, Request} */
static void put_within(struct buf *out, const struct buf *request)
{
    put_version(out);
    put_tuple(out, 3);
    put_atom_z(out, "within");
    put_long(out, 300);
    put_binary(out, request->data, request->len);
}

static const char *answered_within(const char *op, size_t cut)
{
    struct buf request;
    buf_init(&request, SIZE_MAX);
    put_request(&request, 7, op);
    request.len -= cut;
    put_within(&next, &request);
    buf_free(&request);
    route(&next, true);
    return answered();
}

/* Nobody waits for this call, so nothing can run within it. */
static void test_within(void **state)
{
    (void)state;
    assert_int_equal(count(answered_within("eval", 0), "cancelled"), 1);
    assert_int_equal(count(answered_within("stack", 0), "unsupported"), 1);
    assert_int_equal(count(answered_within("eval", 3), "badarg"), 1);
    drop_jobs(0);
}

/* An answer to whoever asks within a call names that request, or none. */
static void test_within_refused(void **state)
{
    const char id[] = {ERL_SMALL_INTEGER_EXT, 7, '\0'};
    const char call[] = {ERL_INTEGER_EXT, ' ', ' ', '\0'};
    const struct err large = {"too large"};
    struct buf request;
    (void)state;
    buf_init(&request, SIZE_MAX);
    put_request(&request, 7, "eval");
    for (size_t cut = 0; cut < 4; cut += 3) {
        buf_free(&next);
        buf_init(&next, SIZE_MAX);
        put_within(&next, &request);
        route_refused(frame_copy(next.data, next.len - cut), &large);
        assert_int_equal(count(answered(), id), 1);
        route_no_memory(frame_copy(next.data, next.len - cut), &large);
        assert_int_equal(count(answered(), id), 1);
    }
    route(&next, false);
    assert_int_equal(count(answered(), id), 1);
    buf_free(&request);
    buf_init(&request, SIZE_MAX);
    put_cancel(&request, 7);
    put_within(&next, &request);
    route(&next, true);
    const char *text = answered();
    assert_int_equal(count(text, "unsupported"), 1);
    assert_int_equal(count(text, id) + count(text, call), 0);
    buf_free(&request);
    drop_jobs(0);
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&next);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request), cmocka_unit_test(test_batch),
        cmocka_unit_test(test_control), cmocka_unit_test(test_wrong_answer),
        cmocka_unit_test(test_within),  cmocka_unit_test(test_within_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
