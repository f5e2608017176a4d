/* SPDX-License-Identifier: Apache-2.0
 *
 * lane: a file in memory, of which each half is mapped as far as it is needed.
 */
#include "config.h"

#include "wire/lane.h"

#include <ei.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/protocol.h"

/* What is kept of a half from one frame to the next, and mapped for good. */
#define KEEP_SIZE ((size_t)1024 * 1024)

/* Sizes are multiples of it: no page is larger. */
#define STEP ((size_t)LANE_HEAD)

/* So many frames in the pipe, and what is large has not been used for long. */
#define QUIET_FRAMES 64

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* What both sides know of the halves, at the places that protocol.h names. The
 * first two are written here, the others by the peer. Each side says first what
 * it is going to do with the half `in`, and then looks whether the other has
 * said so: two of them never do it at once. */
struct words {
    _Atomic uint32_t in_read;
    _Atomic uint32_t in_tidy;
    _Atomic uint32_t out_read;
    _Atomic uint32_t in_write;
};

struct half {
    char *base; /* NULL: there is no lane */
    size_t mapped;
    size_t used;     /* no page beyond it is in memory */
    uint32_t serial; /* of the last frame */
};

static struct {
    pthread_mutex_t lock;
    int fd;      /* until the peer has answered */
    size_t room; /* of a half */
    size_t max_frame;
    struct words *words;
    struct half in, out;
    _Atomic(struct frame *) frame; /* what is in the half `in` */
    bool lent;                     /* the half `out` is */
    atomic_bool on;
    atomic_bool large; /* a half is larger than what is kept */
    atomic_int quiet;  /* frames since then */
    bool noted;        /* the notes are in memory */
    bool is_child;
} lane = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

/* In a forked child, another thread's lock is never given back. */
static void lock(void)
{
    if (!lane.is_child)
        pthread_mutex_lock(&lane.lock);
}

static void unlock(void)
{
    if (!lane.is_child)
        pthread_mutex_unlock(&lane.lock);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t steps(size_t size)
{
    return (size + STEP - 1) / STEP * STEP;
}

/* ---- a half ------------------------------------------------------------ */

/* NULL: it cannot be had. */
static void *map(size_t size, size_t at)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, lane.fd,
                      (off_t)at);
    /* cppcheck-suppress memleak */
    return base == MAP_FAILED ? NULL : base;
}

static bool half_map(struct half *half, size_t at)
{
    half->mapped = smaller(KEEP_SIZE, lane.room);
    half->base = map(half->mapped, at);
    return half->base != NULL;
}

static void half_unmap(struct half *half)
{
    if (half->base)
        munmap(half->base, half->mapped);
    *half = (struct half){.base = NULL};
}

/* Maps so many bytes, at least what is kept; base moves. */
static bool half_resize(struct half *half, size_t size)
{
    size = smaller(steps(larger(size, KEEP_SIZE)), lane.room);
    if (size == half->mapped)
        return true;
    void *base = mremap(half->base, half->mapped, size, MREMAP_MAYMOVE);
    if (base == MAP_FAILED)
        return false;
    half->base = base;
    half->mapped = size;
    return true;
}

/* Maps so many bytes, or more. */
static bool half_reach(struct half *half, size_t size)
{
    return size <= half->mapped || half_resize(half, size);
}

/* Gives back what is not kept. */
static void half_shrink(struct half *half)
{
    if (half->used <= KEEP_SIZE ||
        (half->mapped < half->used && !half_resize(half, half->used)))
        return;
    madvise(half->base + KEEP_SIZE, half->mapped - KEEP_SIZE, MADV_REMOVE);
    half->used = KEEP_SIZE;
    half_resize(half, KEEP_SIZE);
}

/* Makes memory for so many bytes: to write where there is none would end the
 * program. An older kernel does it as they are written. */
static bool populate(char *at, size_t size)
{
    return madvise(at, size, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

/* No page up to there is written for the first time from now on. */
static bool half_fill(struct half *half, size_t size)
{
    size = steps(size);
    if (size <= half->used)
        return true;
    if (!populate(half->base + half->used, size - half->used))
        return false;
    half->used = size;
    return true;
}

/* ---- its beginning ----------------------------------------------------- */

/* Where files have a limit, the peer could not write beyond it, or would be
 * ended by a signal for that. */
static bool files_are_limited(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) < 0 ||
           limit.rlim_cur != RLIM_INFINITY;
}

static int make_file(size_t size)
{
    int fd = memfd_create("pyport-lane", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && (ftruncate(fd, (off_t)size) < 0 ||
                    fcntl(fd, F_ADD_SEALS,
                          F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void close_file(void)
{
    if (lane.fd >= 0)
        close(lane.fd);
    lane.fd = -1;
}

static void drop(void)
{
    half_unmap(&lane.in);
    half_unmap(&lane.out);
    if (lane.words)
        munmap(lane.words, STEP);
    lane.words = NULL;
    close_file();
}

static bool make(size_t max_frame)
{
    lane.max_frame = max_frame;
    lane.room = steps(max_frame + LANE_SKIP);
    lane.fd = make_file(STEP + 2 * lane.room);
    if (lane.fd < 0)
        return false;
    lane.words = map(STEP, 0);
    if (lane.words && half_map(&lane.in, STEP) &&
        half_map(&lane.out, STEP + lane.room))
        return true;
    drop();
    return false;
}

bool lane_offer(size_t max_frame, int *fd, size_t *room)
{
    lock();
    if (!lane.words && !files_are_limited())
        make(max_frame);
    *fd = lane.fd;
    *room = lane.room;
    unlock();
    return *fd >= 0;
}

void lane_answer(bool opened)
{
    lock();
    if (lane.fd >= 0) {
        if (opened)
            close_file();
        else
            drop();
        lane.on = opened;
    }
    unlock();
}

/* ---- from the peer ----------------------------------------------------- */

/* As the peer writes it, and in no other form. */
static const char place_head[] = {(char)TERM_VERSION,
                                  ERL_SMALL_TUPLE_EXT,
                                  3,
                                  ERL_SMALL_ATOM_UTF8_EXT,
                                  4,
                                  'l',
                                  'a',
                                  'n',
                                  'e',
                                  ERL_INTEGER_EXT};
#define SERIAL_AT (sizeof place_head)
#define SIZE_AT (SERIAL_AT + 5)

static bool is_place(const struct frame *frame)
{
    return frame->len == LANE_PLACE &&
           memcmp(frame->data, place_head, sizeof place_head) == 0 &&
           frame->data[SIZE_AT - 1] == ERL_INTEGER_EXT;
}

static void note_size(void)
{
    lane.large = larger(lane.in.used, lane.out.used) > KEEP_SIZE;
    lane.quiet = 0;
}

/* What is in the half, whose size only now is known. */
static enum frame_status take(uint32_t serial, size_t size, struct frame **out,
                              struct err *err)
{
    struct half *in = &lane.in;
    in->serial = serial;
    in->used = larger(in->used, steps(LANE_SKIP + size));
    note_size();
    if (!half_reach(in, LANE_SKIP + size)) {
        *out = frame_copy(in->base + LANE_SKIP, smaller(size, FRAME_HEAD));
        lane.words->in_read = serial;
        err_set(err, "no memory for a frame of %zu bytes", size);
        return *out ? FRAME_NO_MEMORY : FRAME_BROKEN;
    }
    *out = (struct frame *)(void *)(in->base + LANE_SKIP - sizeof **out);
    (*out)->len = size;
    lane.frame = *out;
    return FRAME_OK;
}

/* What is large and was used only once is not kept for ever. */
static void be_quiet(void)
{
    if (lane.large && ++lane.quiet >= QUIET_FRAMES)
        lane_tidy();
}

enum frame_status lane_follow(struct frame **frame, struct err *err)
{
    if (!lane.on || !is_place(*frame)) {
        be_quiet();
        return FRAME_OK;
    }
    const uint32_t serial = bytes_get((*frame)->data + SERIAL_AT, 4);
    const size_t size = bytes_get((*frame)->data + SIZE_AT, 4);
    free(*frame);
    *frame = NULL;
    if (lane.frame || size > lane.max_frame) {
        err_set(err, "impossible place in the lane: %u, %zu bytes",
                (unsigned)serial, size);
        return FRAME_IMPOSSIBLE;
    }
    lock();
    const enum frame_status status = take(serial, size, frame, err);
    unlock();
    return status;
}

bool lane_release(struct frame *frame)
{
    if (!frame || frame != lane.frame)
        return false;
    if (lane.is_child)
        return true;
    lock();
    lane.frame = NULL;
    lane.words->in_read = lane.in.serial;
    unlock();
    return true;
}

/* ---- to the peer ------------------------------------------------------- */

/* A buffer begins with the header that a frame in the pipe has. */
#define BEGIN (LANE_SKIP - FRAME_HEADER)

static bool is_free(void)
{
    return lane.on && !lane.is_child && !lane.lent &&
           lane.words->out_read == lane.out.serial;
}

static char *fit(size_t size)
{
    struct half *out = &lane.out;
    if (size > lane.room - BEGIN || !half_reach(out, BEGIN + size) ||
        !half_fill(out, BEGIN + size))
        return NULL;
    note_size();
    return out->base + BEGIN;
}

char *lane_lend(size_t size)
{
    char *data = NULL;
    if (!lane.on || lane.is_child)
        return NULL;
    lock();
    if (is_free())
        data = fit(size);
    lane.lent = lane.lent || data != NULL;
    unlock();
    return data;
}

char *lane_extend(size_t size)
{
    lock();
    char *data = fit(size);
    unlock();
    return data;
}

void lane_return(void)
{
    lock();
    lane.lent = false;
    unlock();
}

void lane_sent(size_t size, char place[LANE_PLACE])
{
    lock();
    lane.out.serial = lane.out.serial % INT32_MAX + 1;
    lane.lent = false;
    memcpy(place, place_head, sizeof place_head);
    bytes_put(place + SERIAL_AT, lane.out.serial, 4);
    place[SIZE_AT - 1] = ERL_INTEGER_EXT;
    bytes_put(place + SIZE_AT, size, 4);
    unlock();
}

/* ---- notes -------------------------------------------------------------- */

char *lane_notes(size_t *size)
{
    lock();
    char *notes = lane.on ? (char *)lane.words + LANE_NOTES : NULL;
    *size = LANE_HEAD - LANE_NOTES;
    if (notes && !lane.noted)
        lane.noted = populate(notes, *size);
    if (!lane.noted)
        notes = NULL;
    unlock();
    return notes;
}

/* ---- what it takes ----------------------------------------------------- */

/* Unless the peer writes there, or what it has written was not read. */
static void tidy_in(void)
{
    if (lane.frame)
        return;
    lane.words->in_tidy = 1;
    if (lane.words->in_write == lane.in.serial)
        half_shrink(&lane.in);
    lane.words->in_tidy = 0;
}

void lane_tidy(void)
{
    if (!lane.on || lane.is_child)
        return;
    lock();
    if (is_free())
        half_shrink(&lane.out);
    tidy_in();
    note_size();
    unlock();
}

size_t lane_bytes(void)
{
    lock();
    const size_t bytes = lane.in.used + lane.out.used +
                         (lane.noted ? LANE_HEAD - LANE_NOTES : 0);
    unlock();
    return bytes;
}

/* Only this thread goes on, and the lock may be another's. The frame that it
 * runs stays where it can be read. */
void lane_in_child(void)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    const int access = PROT_READ | PROT_WRITE;
    struct half *out = &lane.out;
    lane.is_child = true;
    if (!out->base)
        return;
    /* cppcheck-suppress invalidFunctionArg */
    void *own = mmap(out->base, out->mapped, access, flags, -1, 0);
    if (own == MAP_FAILED)
        out->base = NULL;
    /* cppcheck-suppress memleak */
}
