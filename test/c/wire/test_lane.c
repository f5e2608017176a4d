/* SPDX-License-Identifier: Apache-2.0
 *
 * lane: large frames in memory that the peer reaches. The test is the peer: it
 * opens the file as the VM does. There is one lane, so the tests go on where
 * those before them ended.
 */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "wire/buf.h"
#include "wire/bytes.h"
#include "wire/frame.h"
#include "wire/lane.h"
#include "wire/output.h"
#include "wire/protocol.h"

enum { MAX_FRAME = 8 << 20, KEPT = 1 << 20, QUIET = 64 };

static int file = -1; /* as the peer has it */
static size_t room;
static uint32_t serial;
static struct err err;

/* The first words of a place are the same whoever writes it. */
static struct frame *place(uint32_t n, uint32_t size)
{
    char bytes[LANE_PLACE] = "\203h\3w\4laneb";
    bytes_put(bytes + 10, n, 4);
    bytes[14] = 'b';
    bytes_put(bytes + 15, size, 4);
    return frame_copy(bytes, sizeof bytes);
}

static void say(uint32_t n)
{
    assert_int_equal(pwrite(file, &n, sizeof n, LANE_IN_WRITE), sizeof n);
}

static void put(const char *data, size_t len)
{
    say(serial + 1);
    assert_int_equal(pwrite(file, data, len, LANE_HEAD + LANE_SKIP), len);
}

static uint32_t word(off_t at)
{
    uint32_t n = 0;
    assert_int_equal(pread(file, &n, sizeof n, at), sizeof n);
    return n;
}

static void have_read(uint32_t n)
{
    assert_int_equal(pwrite(file, &n, sizeof n, LANE_OUT_READ), sizeof n);
}

static size_t in_memory(void)
{
    struct stat s;
    assert_int_equal(fstat(file, &s), 0);
    return (size_t)s.st_blocks * 512;
}

static char *text(size_t len)
{
    char *data = malloc(len);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(i * 31 + (i >> 9));
    return data;
}

/* The peer writes a frame of so many bytes and says where. */
static struct frame *come(size_t len, const char *data)
{
    put(data, len);
    struct frame *f = place(++serial, (uint32_t)len);
    assert_int_equal(lane_follow(&f, &err), FRAME_OK);
    assert_int_equal(f->len, len);
    assert_memory_equal(f->data, data, len);
    return f;
}

/* ---- its beginning ----------------------------------------------------- */

static void nothing_before_there_is_one(void **state)
{
    (void)state;
    struct frame *f = place(1, 5);
    assert_int_equal(lane_follow(&f, &err), FRAME_OK);
    assert_int_equal(f->len, LANE_PLACE);
    frame_free(f);
    assert_null(lane_lend(LANE_LEAST));
    lane_answer(true);
    assert_null(lane_lend(LANE_LEAST));
}

static void none_where_files_are_limited(void **state)
{
    (void)state;
    struct rlimit old, limited;
    int fd = -1;
    size_t n = 0;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    limited = (struct rlimit){1 << 30, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limited), 0);
    assert_false(lane_offer(MAX_FRAME, &fd, &n));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
}

static void is_offered_until_it_is_answered(void **state)
{
    (void)state;
    char name[64];
    int fd = -1, again = -1, flags = 0;
    assert_true(lane_offer(MAX_FRAME, &fd, &room));
    assert_true(room >= MAX_FRAME + LANE_SKIP);
    assert_true(lane_offer(MAX_FRAME, &again, &room));
    assert_int_equal(fd, again);
    assert_null(lane_lend(LANE_LEAST));
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    file = open(name, O_RDWR);
    assert_true(file >= 0);
    lane_answer(true);
    flags = fcntl(fd, F_GETFD);
    assert_int_equal(flags, -1);
    assert_false(lane_offer(MAX_FRAME, &again, &room));
}

static void nobody_cuts_it_off(void **state)
{
    (void)state;
    assert_int_equal(ftruncate(file, 0), -1);
    assert_int_equal(ftruncate(file, LANE_HEAD), -1);
    assert_int_equal(pwrite(file, "x", 1, (off_t)(LANE_HEAD + 2 * room)), -1);
}

/* ---- from the peer ----------------------------------------------------- */

static void a_frame_comes(void **state)
{
    (void)state;
    const size_t sizes[] = {1, LANE_LEAST, KEPT, KEPT + 1, MAX_FRAME};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *data = text(sizes[i]);
        struct frame *f = come(sizes[i], data);
        assert_int_equal(word(LANE_IN_READ), serial - 1);
        assert_true(lane_bytes() >= sizes[i]);
        frame_free(f);
        assert_int_equal(word(LANE_IN_READ), serial);
        free(data);
    }
    assert_true(in_memory() >= MAX_FRAME);
    lane_tidy();
    assert_true(in_memory() <= KEPT + 2 * LANE_HEAD);
}

static void what_is_being_written_is_not_given_back(void **state)
{
    (void)state;
    char *data = text(MAX_FRAME);
    put(data, MAX_FRAME);
    lane_tidy();
    struct frame *f = place(++serial, MAX_FRAME);
    assert_int_equal(lane_follow(&f, &err), FRAME_OK);
    lane_tidy();
    assert_memory_equal(f->data, data, MAX_FRAME);
    frame_free(f);
    say(serial + 1);
    lane_tidy();
    assert_true(in_memory() >= MAX_FRAME);
    say(serial); /* it went through the pipe */
    lane_tidy();
    assert_true(in_memory() <= KEPT + 2 * LANE_HEAD);
    assert_int_equal(word(LANE_IN_TIDY), 0);
    free(data);
}

static void other_frames_pass(void **state)
{
    (void)state;
    struct frame *f = place(1, 5);
    f->data[10 + 4] = 'a';
    assert_int_equal(lane_follow(&f, &err), FRAME_OK);
    assert_int_equal(f->len, LANE_PLACE);
    frame_free(f);
}

static void no_place_is_impossible(void **state)
{
    (void)state;
    struct frame *f = come(5, "first"), *other = place(serial + 1, 5);
    assert_int_equal(lane_follow(&other, &err), FRAME_IMPOSSIBLE);
    assert_null(other);
    frame_free(f);
    other = place(serial + 1, MAX_FRAME + 1);
    assert_int_equal(lane_follow(&other, &err), FRAME_IMPOSSIBLE);
    assert_null(other);
}

static size_t address_space(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    assert_non_null(statm);
    assert_int_equal(fscanf(statm, "%lu", &pages), 1);
    fclose(statm);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void without_memory_its_beginning_is_known(void **state)
{
    (void)state;
    struct rlimit old, limited;
    char *data = text(MAX_FRAME);
    put(data, MAX_FRAME);
    struct frame *f = place(++serial, MAX_FRAME);
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    limited = (struct rlimit){address_space() + MAX_FRAME / 2, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &limited), 0);
    const enum frame_status status = lane_follow(&f, &err);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(status, FRAME_NO_MEMORY);
    assert_int_equal(f->len, FRAME_HEAD);
    assert_memory_equal(f->data, data, FRAME_HEAD);
    assert_int_equal(word(LANE_IN_READ), serial);
    frame_free(f);
    lane_tidy();
    assert_true(in_memory() <= KEPT + 2 * LANE_HEAD);
    free(data);
}

/* ---- to the peer ------------------------------------------------------- */

static int ends[2];

static void append(struct buf *b, const char *data, size_t len)
{
    assert_int_equal(buf_reserve(b, len), 0);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

/* Sends a frame of so many bytes, in pieces; the serial if it took the lane. */
static uint32_t go(size_t len, const char *data, size_t piece)
{
    char got[FRAME_HEADER + LANE_PLACE];
    struct buf b;
    buf_init(&b, 0);
    output_begin(&b);
    for (size_t done = 0; done < len; done += piece)
        append(&b, data + done, piece < len - done ? piece : len - done);
    const bool shared = b.shared;
    if (shared)
        output_send(&b);
    buf_free(&b);
    if (!shared)
        return 0;
    assert_int_equal(read(ends[0], got, sizeof got), sizeof got);
    assert_int_equal(bytes_get(got, 4), LANE_PLACE);
    assert_int_equal(bytes_get(got + FRAME_HEADER + 15, 4), len);
    return bytes_get(got + FRAME_HEADER + 10, 4);
}

static void assert_there(size_t len, const char *data)
{
    char *got = malloc(len);
    assert_int_equal(
        pread(file, got, len, (off_t)(LANE_HEAD + room + LANE_SKIP)), len);
    assert_memory_equal(got, data, len);
    free(got);
}

static void a_frame_goes(void **state)
{
    (void)state;
    const size_t sizes[] = {LANE_LEAST, KEPT, KEPT + 1, MAX_FRAME};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char *data = text(sizes[i]);
        for (size_t piece = 5000; piece <= sizes[i]; piece *= 50) {
            const uint32_t n = go(sizes[i], data, piece);
            assert_true(n > 0);
            assert_there(sizes[i], data);
            have_read(n);
        }
        free(data);
    }
}

static void a_small_one_does_not(void **state)
{
    (void)state;
    char *data = text(1000);
    assert_int_equal(go(1000, data, 1000), 0);
    free(data);
}

static void the_next_waits_for_nobody(void **state)
{
    (void)state;
    char *data = text(LANE_LEAST);
    const uint32_t n = go(LANE_LEAST, data, LANE_LEAST);
    assert_true(n > 0);
    assert_int_equal(go(LANE_LEAST, data, LANE_LEAST), 0);
    have_read(n + 1); /* what was not sent cannot have been read */
    assert_int_equal(go(LANE_LEAST, data, LANE_LEAST), 0);
    have_read(n);
    assert_int_equal(go(LANE_LEAST, data, LANE_LEAST), n + 1);
    have_read(n + 1);
    free(data);
}

static void what_is_not_sent_is_free(void **state)
{
    (void)state;
    char *data = text(LANE_LEAST);
    struct buf one, two;
    buf_init(&one, 0);
    buf_init(&two, 0);
    output_begin(&one);
    output_begin(&two);
    append(&one, data, LANE_LEAST);
    append(&two, data, LANE_LEAST);
    assert_true(one.shared && !two.shared);
    buf_shrink(&one);
    assert_null(one.data);
    output_begin(&one);
    append(&one, data, LANE_LEAST);
    assert_true(one.shared);
    buf_free(&one);
    buf_free(&two);
    free(data);
}

/* A large value that failed, and the error in its stead. */
static void a_frame_that_got_small_goes_through_the_pipe(void **state)
{
    (void)state;
    char *data = text(LANE_LEAST), got[FRAME_HEADER + 3];
    struct buf b;
    buf_init(&b, 0);
    output_begin(&b);
    const size_t mark = buf_mark(&b);
    append(&b, data, LANE_LEAST);
    buf_rewind(&b, mark);
    append(&b, "bad", 3);
    assert_true(b.shared);
    output_send(&b);
    assert_int_equal(read(ends[0], got, sizeof got), sizeof got);
    assert_memory_equal(got, "\0\0\0\3bad", sizeof got);
    buf_free(&b);
    free(data);
}

static void too_large_is_too_large(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    output_begin(&b);
    assert_int_equal(buf_reserve(&b, LANE_LEAST), 0);
    assert_true(b.shared);
    b.len += LANE_LEAST;
    assert_int_equal(buf_reserve(&b, MAX_FRAME), -1);
    assert_int_equal(b.why, BUF_TOO_LARGE);
    buf_free(&b);
}

/* ---- what it takes ----------------------------------------------------- */

static void what_is_large_is_given_back(void **state)
{
    (void)state;
    char *data = text(MAX_FRAME);
    const uint32_t n = go(MAX_FRAME, data, MAX_FRAME);
    lane_tidy(); /* not what has not been read */
    assert_there(MAX_FRAME, data);
    have_read(n);
    assert_true(in_memory() >= MAX_FRAME);
    lane_tidy();
    assert_true(in_memory() <= 2 * KEPT + 3 * LANE_HEAD);
    assert_true(lane_bytes() <= 2 * KEPT + LANE_HEAD);
    have_read(go(MAX_FRAME, data, MAX_FRAME));
    free(data);
}

static void it_is_when_others_have_come(void **state)
{
    (void)state;
    assert_true(in_memory() >= MAX_FRAME);
    for (int i = 0; i < QUIET; i++) {
        struct frame *f = frame_copy("x", 1);
        assert_int_equal(lane_follow(&f, &err), FRAME_OK);
        frame_free(f);
    }
    assert_true(in_memory() <= 2 * KEPT + 3 * LANE_HEAD);
}

/* What a forked child writes changes nothing, and it still has its frame. */
static void a_child_has_its_own(void **state)
{
    (void)state;
    char *data = text(LANE_LEAST), *others = text(LANE_LEAST);
    int status = -1;
    struct buf b;
    memset(others, 'o', LANE_LEAST);
    struct frame *f = come(LANE_LEAST, data);
    buf_init(&b, 0);
    output_begin(&b);
    append(&b, data, LANE_LEAST);
    assert_true(b.shared);
    const pid_t child = fork();
    if (child == 0) {
        lane_in_child();
        memcpy(b.data, others, LANE_LEAST);
        const bool same = memcmp(f->data, data, LANE_LEAST) == 0;
        append(&b, others, LANE_LEAST);
        buf_free(&b);
        frame_free(f);
        _exit(same && !lane_lend(LANE_LEAST) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(word(LANE_IN_READ), serial - 1);
    assert_memory_equal(b.data + FRAME_HEADER, data, LANE_LEAST);
    buf_free(&b);
    frame_free(f);
    free(data);
    free(others);
}

static int setup(void **state)
{
    (void)state;
    if (pipe(ends) < 0)
        return -1;
    output_init(ends[1], MAX_FRAME);
    return 0;
}

#define TEST(f) cmocka_unit_test(f)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_before_there_is_one),
        TEST(none_where_files_are_limited),
        TEST(is_offered_until_it_is_answered),
        TEST(nobody_cuts_it_off),
        TEST(a_frame_comes),
        TEST(what_is_being_written_is_not_given_back),
        TEST(other_frames_pass),
        TEST(no_place_is_impossible),
        TEST(without_memory_its_beginning_is_known),
        TEST(a_frame_goes),
        TEST(a_small_one_does_not),
        TEST(the_next_waits_for_nobody),
        TEST(what_is_not_sent_is_free),
        TEST(a_frame_that_got_small_goes_through_the_pipe),
        TEST(too_large_is_too_large),
        TEST(what_is_large_is_given_back),
        TEST(it_is_when_others_have_come),
        TEST(a_child_has_its_own),
    };
    return cmocka_run_group_tests_name("lane", tests, setup, NULL);
}
