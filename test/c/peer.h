/* SPDX-License-Identifier: Apache-2.0
 *
 * peer: a pipe, and a thread at its other end that gives or takes as much at a
 * time as it is told to.
 *
 * Only the test's own thread asserts, and it leaves `stream` alone while the
 * peer runs.
 */
#ifndef TEST_C_PEER_H
#define TEST_C_PEER_H

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

#include "wire/buf.h"
#include "wire/put.h"

static int ends[2];       /* the pipe: read from 0, write to 1 */
static struct buf stream; /* what the peer writes, or has read */
static size_t piece;      /* what it moves at once; 0 = all there is */
static pthread_t peer;

static void hang_up(int which)
{
    if (ends[which] >= 0)
        close(ends[which]);
    ends[which] = -1;
}

/* The i-th byte of a frame of n bytes. */
static char byte_of(size_t n, size_t i)
{
    return (char)(i * 31 + n * 7 + (i >> 8));
}

static void add_length(uint32_t n)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        put_raw(&stream, &(char){(char)(n >> shift)}, 1);
}

static void add_body(size_t n)
{
    assert_int_equal(buf_reserve(&stream, n), 0);
    for (size_t i = 0; i < n; i++)
        stream.data[stream.len++] = byte_of(n, i);
}

static void add_frame(size_t n)
{
    add_length((uint32_t)n);
    add_body(n);
}

static void *write_stream(void *unused)
{
    (void)unused;
    for (size_t done = 0; done < stream.len;) {
        size_t n = stream.len - done;
        ssize_t did = write(ends[1], stream.data + done,
                            piece > 0 && piece < n ? piece : n);
        if (did > 0)
            done += (size_t)did;
        else if (did < 0 && errno != EINTR)
            break;
    }
    hang_up(1);
    return NULL;
}

/* The peer begins to write the stream, and hangs up at its end. */
static void start_writer(void)
{
    assert_int_equal(pthread_create(&peer, NULL, write_stream, NULL), 0);
}

static void *read_stream(void *unused)
{
    (void)unused;
    for (;;) {
        if (buf_reserve(&stream, 65536) < 0)
            break;
        ssize_t n =
            read(ends[0], stream.data + stream.len, piece > 0 ? piece : 65536);
        if (n == 0)
            break;
        stream.len += n > 0 ? (size_t)n : 0;
    }
    return NULL;
}

/* The peer begins to read, until the other end is closed. */
static void start_reader(void)
{
    assert_int_equal(pthread_create(&peer, NULL, read_stream, NULL), 0);
}

static void join_peer(void)
{
    pthread_join(peer, NULL);
}

static void does_nothing(int signal)
{
    (void)signal;
}

/* While `on`, a signal that interrupts system calls comes every 200 us. */
static void interrupt(bool on)
{
    struct sigaction act = {.sa_handler = does_nothing}; /* no SA_RESTART */
    sigaction(SIGALRM, &act, NULL);
    struct timeval every = {0, on ? 200 : 0};
    setitimer(ITIMER_REAL, &(struct itimerval){every, every}, NULL);
}

#endif
