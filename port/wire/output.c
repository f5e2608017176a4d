/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "wire/output.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/err.h"
#include "wire/frame.h"
#include "wire/lane.h"
#include "wire/protocol.h"

static struct {
    pthread_mutex_t lock; /* held for one frame */
    atomic_int fd;        /* -1 once closed */
    bool wide;            /* by frame_widen */
    size_t max_frame;
    atomic_bool broken;
} output = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

void output_init(int fd, size_t max_frame)
{
    output.fd = fd;
    output.max_frame = max_frame;
}

size_t output_max_frame(void)
{
    return output.max_frame;
}

void output_begin(struct buf *b)
{
    b->max = output.max_frame + FRAME_HEADER;
    b->may_share = true;
    frame_begin(b);
}

bool output_may_block(const struct buf *b)
{
    return b->len > PIPE_BUF;
}

static void write_frame(int fd, struct buf *b)
{
    struct err err = {""};
    pthread_mutex_lock(&output.lock);
    output.wide = output.wide || frame_widen(fd, b->len);
    if (frame_write(fd, b, &err) < 0)
        output.broken = true;
    pthread_mutex_unlock(&output.lock);
}

/* What is in the lane already need not go through the pipe. */
static void write_place(int fd, struct buf *b)
{
    char data[FRAME_HEADER + LANE_PLACE];
    struct buf place = {.data = data, .len = sizeof data, .cap = sizeof data};
    lane_sent(b->len - FRAME_HEADER, data + FRAME_HEADER);
    buf_let_go(b);
    write_frame(fd, &place);
}

void output_send(struct buf *b)
{
    int fd = output.fd;
    if (fd < 0)
        return;
    if (b->shared && b->why == BUF_OK && b->len - FRAME_HEADER >= LANE_LEAST)
        write_place(fd, b);
    else
        write_frame(fd, b);
}

bool output_broken(void)
{
    return output.broken;
}

bool output_is_open(void)
{
    return output.fd >= 0;
}

/* Takes no lock: after fork(2) another thread may have held it for ever. */
void output_close(void)
{
    output.fd = -1;
}
