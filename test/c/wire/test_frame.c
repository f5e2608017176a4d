/* SPDX-License-Identifier: Apache-2.0
 *
 * frame: over pipes that give and take as little as they like, with signals
 * in between.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../peer.h"
#include "wire/frame.h"
#include "wire/protocol.h"

/* Linked with -Wl,--wrap=malloc a large allocation can be made to fail;
 * without, those tests are skipped. */
void *__real_malloc(size_t n) __attribute__((weak));
void *__wrap_malloc(size_t n);

static size_t largest = SIZE_MAX;

void *__wrap_malloc(size_t n)
{
    return n > largest ? NULL : __real_malloc(n);
}

enum { MAX_FRAME = 1 << 20 };

static struct frame_reader reader;
static struct frame *frame; /* the last one read */
static struct err err;

static int setup(void **state)
{
    (void)state;
    buf_init(&stream, SIZE_MAX);
    frame = NULL;
    err.text[0] = '\0';
    piece = 0;
    if (pipe(ends) < 0)
        return -1;
    frame_reader_init(&reader, ends[0], MAX_FRAME);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hang_up(0);
    hang_up(1);
    buf_free(&stream);
    free(frame);
    frame = NULL;
    return 0;
}

/* Everything as at the start of a test. */
static void renew(void)
{
    teardown(NULL);
    assert_int_equal(setup(NULL), 0);
}

static enum frame_status next(void)
{
    free(frame);
    err.text[0] = '\0';
    return frame_read(&reader, &frame, &err);
}

/* The next frame is one that was added with `whole` bytes, cut to n. */
static void assert_head(size_t whole, size_t n)
{
    assert_non_null(frame);
    assert_int_equal(frame->len, n);
    for (size_t i = 0; i < n; i++)
        if (frame->data[i] != byte_of(whole, i))
            fail_msg("frame of %zu bytes: byte %zu is wrong", whole, i);
}

static void assert_next(size_t n)
{
    assert_int_equal(next(), FRAME_OK);
    assert_string_equal(err.text, "");
    assert_head(n, n);
}

static void assert_next_too_large(size_t n)
{
    assert_int_equal(next(), FRAME_TOO_LARGE);
    assert_head(n, n < FRAME_HEAD ? n : FRAME_HEAD);
}

static void assert_eof(void)
{
    assert_int_equal(next(), FRAME_EOF);
    assert_null(frame);
    assert_string_equal(err.text, "");
    assert_int_equal(next(), FRAME_EOF); /* and so it stays */
}

static void assert_ends(enum frame_status status, const char *text)
{
    assert_int_equal(next(), status);
    assert_null(frame);
    assert_string_equal(err.text, text);
}

/* Lengths around everything that has a size of its own. */
static const size_t lengths[] = {
    5,     0,     1, 4,      64,        65,     65531, 65532, 65533, 65536,
    65537, 70000, 2, 131068, MAX_FRAME, 300000, 3,     0,     0,     7,
};

#define N_LENGTHS (sizeof lengths / sizeof *lengths)

static void read_all_lengths(void)
{
    for (size_t i = 0; i < N_LENGTHS; i++)
        add_frame(lengths[i]);
    start_writer();
    for (size_t i = 0; i < N_LENGTHS; i++)
        assert_next(lengths[i]);
    assert_eof();
    join_peer();
}

static void reads_frames_of_any_length(void **state)
{
    (void)state;
    read_all_lengths();
}

/* Only with a frame that a pipe would carry in pieces. */
static void widens_its_pipe(void **state)
{
    (void)state;
    const int first = fcntl(ends[0], F_GETPIPE_SZ);
    add_frame((size_t)first - FRAME_HEADER);
    add_frame((size_t)first - FRAME_HEADER + 1);
    start_writer();
    assert_next((size_t)first - FRAME_HEADER);
    assert_int_equal(fcntl(ends[0], F_GETPIPE_SZ), first);
    assert_next((size_t)first - FRAME_HEADER + 1);
    assert_int_equal(fcntl(ends[0], F_GETPIPE_SZ), LANE_LEAST);
    assert_eof();
    join_peer();
}

static void reads_from_a_stream_in_pieces(void **state)
{
    (void)state;
    static const size_t pieces[] = {3, 1000, 4096, 65535, 65536, 65540};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        renew();
        piece = pieces[i];
        read_all_lengths();
    }
}

static void reads_byte_by_byte(void **state)
{
    (void)state;
    piece = 1;
    for (size_t n = 0; n < 300; n++)
        add_frame(n);
    start_writer();
    for (size_t n = 0; n < 300; n++)
        assert_next(n);
    assert_eof();
    join_peer();
}

static void knows_when_a_frame_is_buffered(void **state)
{
    (void)state;
    add_frame(10);
    add_frame(20);
    add_frame(0);
    add_frame(30);
    stream.len--; /* the last byte is missing */
    assert_int_equal(write(ends[1], stream.data, stream.len), stream.len);
    assert_false(frame_buffered(&reader));
    assert_next(10);
    assert_true(frame_buffered(&reader));
    assert_next(20);
    assert_true(frame_buffered(&reader));
    assert_next(0);
    assert_false(frame_buffered(&reader));
    assert_int_equal(write(ends[1], &(char){byte_of(30, 29)}, 1), 1);
    assert_next(30);
    assert_false(frame_buffered(&reader));
}

static void skips_a_frame_that_is_too_large(void **state)
{
    (void)state;
    static const size_t sizes[] = {MAX_FRAME + 1, 3 * MAX_FRAME, 70000, 65, 63};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        add_frame(sizes[i]);
        add_frame(10);
    }
    start_writer();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        reader.max_frame = sizes[i] - 1;
        assert_next_too_large(sizes[i]);
        char text[256];
        snprintf(text, sizeof text,
                 "frame of %zu bytes is larger than max_frame (%zu)", sizes[i],
                 sizes[i] - 1);
        assert_string_equal(err.text, text);
        assert_next(10);
    }
    assert_eof();
    join_peer();
}

static void skips_a_frame_without_memory_for_it(void **state)
{
    (void)state;
    if (__real_malloc == NULL)
        skip();
    add_frame(100000);
    add_frame(10);
    start_writer();
    largest = 1000;
    enum frame_status status = next();
    largest = SIZE_MAX;
    assert_int_equal(status, FRAME_NO_MEMORY);
    assert_head(100000, FRAME_HEAD);
    assert_string_equal(err.text, "no memory for a frame of 100000 bytes");
    assert_next(10);
    assert_eof();
    join_peer();
}

static void gives_up_without_any_memory(void **state)
{
    (void)state;
    if (__real_malloc == NULL)
        skip();
    add_frame(10);
    start_writer();
    join_peer();
    largest = 0;
    enum frame_status status = next();
    largest = SIZE_MAX;
    assert_int_equal(status, FRAME_BROKEN);
    assert_null(frame);
    assert_string_equal(err.text, "no memory for a frame of 10 bytes");
}

static void impossible_lengths_break_it(void **state)
{
    (void)state;
    add_frame(3);
    add_length(0x80000000);
    assert_int_equal(write(ends[1], stream.data, stream.len), stream.len);
    assert_next(3);
    assert_true(frame_buffered(&reader)); /* what follows does not wait */
    assert_ends(FRAME_IMPOSSIBLE, "impossible frame length 2147483648");
    assert_ends(FRAME_IMPOSSIBLE, "impossible frame length 2147483648");
}

static void an_end_inside_a_frame_breaks_it(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 100000, MAX_FRAME + 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t cuts[] = {1, 3, 4, 5, 60, 70000, sizes[i] + 3};
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            if (cuts[c] > sizes[i] + 3)
                continue;
            renew();
            add_frame(sizes[i]);
            stream.len = cuts[c];
            start_writer();
            assert_ends(FRAME_BROKEN, "the input ended inside a frame");
            join_peer();
        }
    }
}

static void a_failed_read_breaks_it(void **state)
{
    (void)state;
    frame_reader_init(&reader, -1, MAX_FRAME);
    assert_ends(FRAME_BROKEN, "read: Bad file descriptor");
}

static void reads_on_after_signals(void **state)
{
    (void)state;
    piece = 1000;
    for (int i = 0; i < 20; i++)
        add_frame(100000);
    interrupt(true);
    start_writer();
    for (int i = 0; i < 20; i++) {
        usleep(1000);
        assert_next(100000);
    }
    assert_eof();
    interrupt(false);
    join_peer();
}

static void waits_when_the_descriptor_does_not(void **state)
{
    (void)state;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    read_all_lengths();
}

static void write_frame(size_t n)
{
    struct buf b;
    buf_init(&b, n + FRAME_HEADER);
    assert_int_equal(frame_begin(&b), 0);
    assert_int_equal(buf_reserve(&b, n), 0);
    for (size_t i = 0; i < n; i++)
        b.data[b.len++] = byte_of(n, i);
    assert_int_equal(frame_write(ends[1], &b, &err), 0);
    assert_string_equal(err.text, "");
    buf_free(&b);
}

/* Writes all lengths to a peer that takes them at its own pace, and looks at
 * what has arrived with the reader. */
static void write_all_lengths(void)
{
    start_reader();
    for (size_t i = 0; i < N_LENGTHS; i++)
        write_frame(lengths[i]);
    hang_up(1);
    join_peer();
    hang_up(0);
    assert_int_equal(pipe(ends), 0);
    frame_reader_init(&reader, ends[0], MAX_FRAME);
    start_writer();
    for (size_t i = 0; i < N_LENGTHS; i++)
        assert_next(lengths[i]);
    assert_eof();
    join_peer();
}

static void writes_through_a_full_pipe(void **state)
{
    (void)state;
    piece = 997;
    write_all_lengths();
}

static void writes_on_after_signals(void **state)
{
    (void)state;
    piece = 5000;
    interrupt(true);
    write_all_lengths();
    interrupt(false);
}

static void writes_to_a_descriptor_that_does_not_wait(void **state)
{
    (void)state;
    piece = 5000;
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    write_all_lengths();
}

static void says_that_nobody_reads(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    hang_up(0);
    assert_int_equal(frame_begin(&stream), 0);
    put_version(&stream);
    assert_int_equal(frame_write(ends[1], &stream, &err), -1);
    assert_string_equal(err.text, "write: Broken pipe");
}

static void writes_no_unfinished_frame(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(frame_write(ends[1], &b, &err), -1);
    assert_int_equal(frame_begin(&b), 0);
    assert_int_equal(put_raw(&b, "0123456789", 10), -1);
    assert_int_equal(frame_write(ends[1], &b, &err), -1);
    assert_string_equal(err.text, "unfinished frame");
    buf_free(&b);
    buf_init(&b, 3);
    assert_int_equal(frame_begin(&b), -1);
    assert_int_equal(b.why, BUF_TOO_LARGE);
    buf_free(&b);
    hang_up(1);
    assert_eof(); /* nothing was written */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_frames_of_any_length),
        TEST(widens_its_pipe),
        TEST(reads_from_a_stream_in_pieces),
        TEST(reads_byte_by_byte),
        TEST(knows_when_a_frame_is_buffered),
        TEST(skips_a_frame_that_is_too_large),
        TEST(skips_a_frame_without_memory_for_it),
        TEST(gives_up_without_any_memory),
        TEST(impossible_lengths_break_it),
        TEST(an_end_inside_a_frame_breaks_it),
        TEST(a_failed_read_breaks_it),
        TEST(reads_on_after_signals),
        TEST(waits_when_the_descriptor_does_not),
        TEST(writes_through_a_full_pipe),
        TEST(writes_on_after_signals),
        TEST(writes_to_a_descriptor_that_does_not_wait),
        TEST(says_that_nobody_reads),
        TEST(writes_no_unfinished_frame),
    };
    return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
