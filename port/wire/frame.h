/* SPDX-License-Identifier: Apache-2.0
 *
 * frame: whole frames from and to a file descriptor.
 *
 * A frame is FRAME_HEADER bytes of big-endian length and that many bytes. Both
 * directions block, go on after EINTR and after short reads and writes, and
 * wait when the descriptor is a non-blocking one. Neither keeps the descriptor
 * or closes it. One thread at a time may use a reader; one at a time may write
 * to a descriptor (the caller's mutexes). No Python, no GIL.
 */
#ifndef PORT_WIRE_FRAME_H
#define PORT_WIRE_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/buf.h"
#include "wire/err.h"

/* A frame that was read, without its header. Owned by who got it: frame_free().
 */
struct frame {
    size_t len;
    char data[];
};

/* What is kept of a frame that is too large: enough to find its Id. */
#define FRAME_HEAD 64

#define FRAME_BUFFER (64 * 1024)

struct frame_reader {
    int fd;
    bool wide; /* by frame_widen */
    size_t max_frame;
    size_t start; /* buffer[start .. end) has been read and not been used */
    size_t end;
    char buffer[FRAME_BUFFER];
};

enum frame_status {
    FRAME_OK,
    FRAME_EOF,        /* the input ended between two frames */
    FRAME_TOO_LARGE,  /* skipped, the next one can be read */
    FRAME_NO_MEMORY,  /* the same */
    FRAME_IMPOSSIBLE, /* no frame is that long: the input is out of step */
    FRAME_BROKEN,     /* nothing more can be read */
};

/* There is nothing to free: the buffer is inside. */
void frame_reader_init(struct frame_reader *r, int fd, size_t max_frame);

/* Waits for one whole frame.
 * FRAME_OK: *out is the frame.
 * FRAME_TOO_LARGE, FRAME_NO_MEMORY: longer than max_frame, or no memory for it;
 *     *out has its first bytes, at most FRAME_HEAD.
 * FRAME_EOF: *out is NULL.
 * FRAME_IMPOSSIBLE, FRAME_BROKEN (input that ends inside a frame, a failed
 *     read): *out is NULL, the text is in err. */
enum frame_status frame_read(struct frame_reader *r, struct frame **out,
                             struct err *err);

/* A frame with these bytes; NULL: no memory. */
struct frame *frame_copy(const char *data, size_t len);

/* Nothing for NULL. */
void frame_free(struct frame *frame);

/* True when the next frame_read will not wait for input. */
bool frame_buffered(const struct frame_reader *r);

/* If fd is a pipe and a frame of this size, with its header, is more than a
 * pipe holds at first, from now on it holds what does not take the lane: each
 * piece costs both sides a system call and a switch. True: it was tried. */
bool frame_widen(int fd, size_t size);

/* Empties b and keeps room for the header. Returns 0, or -1 as buf_reserve. */
int frame_begin(struct buf *b);

/* Writes the length and all of b, which began with frame_begin. Returns 0, or
 * -1 with the text in err: the peer may have got part of the frame. */
int frame_write(int fd, struct buf *b, struct err *err);

#endif
