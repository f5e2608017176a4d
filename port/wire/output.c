/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "wire/output.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "wire/err.h"
#include "wire/frame.h"
#include "wire/protocol.h"

static struct {
    pthread_mutex_t lock; /* held for one frame */
    atomic_int fd;        /* -1 once closed */
    size_t max_frame;
    atomic_bool broken;
} output = {PTHREAD_MUTEX_INITIALIZER, -1, 0, false};

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
    frame_begin(b);
}

bool output_may_block(const struct buf *b)
{
    return b->len > PIPE_BUF;
}

void output_send(struct buf *b)
{
    struct err err = {""};
    int fd = output.fd;
    if (fd < 0)
        return;
    pthread_mutex_lock(&output.lock);
    if (frame_write(fd, b, &err) < 0)
        output.broken = true;
    pthread_mutex_unlock(&output.lock);
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
