/* SPDX-License-Identifier: Apache-2.0
 *
 * frame: reading and writing whole frames.
 */
#include "config.h"

#include "wire/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/lane.h"
#include "wire/protocol.h"

/* What a pipe holds at first, on Linux. */
#define PIPE_SIZE 65536

void frame_reader_init(struct frame_reader *r, int fd, size_t max_frame)
{
    r->fd = fd;
    r->wide = false;
    r->max_frame = max_frame < FRAME_LIMIT ? max_frame : FRAME_LIMIT;
    r->start = 0;
    r->end = 0;
}

/* After a failed read or write: 0 to try again, -1 to give up. A descriptor
 * that we were given may be non-blocking. */
static int again(int fd, short events)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        struct pollfd p = {.fd = fd, .events = events};
        return poll(&p, 1, -1) >= 0 || errno == EINTR ? 0 : -1;
    }
    return errno == EINTR ? 0 : -1;
}

/* Some bytes, at least one. 0: end of input. -1: err is set. */
static ssize_t read_some(int fd, char *to, size_t n, struct err *err)
{
    for (;;) {
        ssize_t got = read(fd, to, n);
        if (got >= 0)
            return got;
        if (again(fd, POLLIN) < 0)
            return err_set(err, "read: %s", strerror(errno));
    }
}

bool frame_widen(int fd, size_t size)
{
    return size > PIPE_SIZE && (fcntl(fd, F_SETPIPE_SZ, LANE_LEAST), true);
}

static size_t buffered(const struct frame_reader *r)
{
    return r->end - r->start;
}

/* The length in the header that the buffer begins with. */
static uint32_t next_length(const struct frame_reader *r)
{
    return bytes_get(r->buffer + r->start, FRAME_HEADER);
}

/* Reads what there is into the buffer, as read_some. */
static ssize_t fill(struct frame_reader *r, struct err *err)
{
    memmove(r->buffer, r->buffer + r->start, buffered(r));
    r->end = buffered(r);
    r->start = 0;
    ssize_t got =
        read_some(r->fd, r->buffer + r->end, sizeof r->buffer - r->end, err);
    if (got > 0)
        r->end += (size_t)got;
    return got;
}

/* Moves bytes out of the buffer, at most n. */
static size_t take(struct frame_reader *r, char *to, size_t n)
{
    if (n > buffered(r))
        n = buffered(r);
    memcpy(to, r->buffer + r->start, n);
    r->start += n;
    return n;
}

static enum frame_status broken(ssize_t got, struct err *err)
{
    if (got == 0)
        err_set(err, "the input ended inside a frame");
    return FRAME_BROKEN;
}

/* The body of a frame: what is in the buffer, the rest straight from fd. */
static enum frame_status read_body(struct frame_reader *r, struct frame *f,
                                   struct err *err)
{
    size_t have = take(r, f->data, f->len);
    while (have < f->len) {
        ssize_t got = read_some(r->fd, f->data + have, f->len - have, err);
        if (got <= 0)
            return broken(got, err);
        have += (size_t)got;
    }
    return FRAME_OK;
}

/* Reads a body and keeps only the beginning that fits into f. FRAME_OK: the
 * next frame can be read. */
static enum frame_status skip_body(struct frame_reader *r, size_t length,
                                   struct frame *f, struct err *err)
{
    enum frame_status status = read_body(r, f, err);
    size_t left = length - f->len;
    while (status == FRAME_OK && left > 0) {
        if (buffered(r) == 0) {
            ssize_t got = fill(r, err);
            if (got <= 0)
                return broken(got, err);
        }
        size_t n = left < buffered(r) ? left : buffered(r);
        r->start += n;
        left -= n;
    }
    return status;
}

static struct frame *new_frame(size_t length)
{
    struct frame *f = malloc(sizeof *f + length);
    if (f != NULL)
        f->len = length;
    return f;
}

struct frame *frame_copy(const char *data, size_t len)
{
    struct frame *f = new_frame(len);
    if (f != NULL)
        memcpy(f->data, data, len);
    return f;
}

void frame_free(struct frame *frame)
{
    if (!lane_release(frame))
        free(frame);
}

/* The frame whose header has just been taken. */
static enum frame_status read_frame(struct frame_reader *r, size_t length,
                                    struct frame **out, struct err *err)
{
    const bool allowed = length <= r->max_frame;
    if (allowed && (*out = new_frame(length)) != NULL)
        return read_body(r, *out, err);
    *out = new_frame(length < FRAME_HEAD ? length : FRAME_HEAD);
    enum frame_status status =
        *out != NULL ? skip_body(r, length, *out, err) : FRAME_BROKEN;
    if (allowed)
        err_set(err, "no memory for a frame of %zu bytes", length);
    else
        err_set(err, "frame of %zu bytes is larger than max_frame (%zu)",
                length, r->max_frame);
    if (status == FRAME_OK)
        status = allowed ? FRAME_NO_MEMORY : FRAME_TOO_LARGE;
    return status;
}

enum frame_status frame_read(struct frame_reader *r, struct frame **out,
                             struct err *err)
{
    *out = NULL;
    while (buffered(r) < FRAME_HEADER) {
        ssize_t got = fill(r, err);
        if (got == 0 && buffered(r) == 0)
            return FRAME_EOF;
        if (got <= 0)
            return broken(got, err);
    }
    uint32_t length = next_length(r);
    if (length > FRAME_LIMIT) {
        err_set(err, "impossible frame length %u", (unsigned)length);
        return FRAME_IMPOSSIBLE;
    }
    r->start += FRAME_HEADER;
    r->wide = r->wide || frame_widen(r->fd, FRAME_HEADER + length);
    enum frame_status status = read_frame(r, length, out, err);
    if (status == FRAME_BROKEN) {
        free(*out);
        *out = NULL;
    }
    return status;
}

bool frame_buffered(const struct frame_reader *r)
{
    if (buffered(r) < FRAME_HEADER)
        return false;
    uint32_t length = next_length(r);
    return length > FRAME_LIMIT || length <= buffered(r) - FRAME_HEADER;
}

int frame_begin(struct buf *b)
{
    buf_rewind(b, 0);
    if (buf_reserve(b, FRAME_HEADER) < 0)
        return -1;
    b->len = FRAME_HEADER;
    return 0;
}

int frame_write(int fd, struct buf *b, struct err *err)
{
    if (b->why != BUF_OK || b->len < FRAME_HEADER)
        return err_set(err, "unfinished frame");
    bytes_put(b->data, b->len - FRAME_HEADER, FRAME_HEADER);
    for (size_t done = 0; done < b->len;) {
        ssize_t n = write(fd, b->data + done, b->len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (again(fd, POLLOUT) < 0)
            return err_set(err, "write: %s", strerror(errno));
    }
    return 0;
}
