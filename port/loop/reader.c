/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/reader.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "loop/route.h"
#include "process/fds.h"
#include "talk/wait.h"
#include "wire/clock.h"
#include "wire/frame.h"
#include "wire/lane.h"
#include "wire/protocol.h"

/* Whoever sleeps in poll(2) does not notice that Python has closed our
 * descriptors (os.closerange), and no kick comes then. So nobody sleeps for
 * longer than this. */
#define NAP_MS 1000

static pthread_mutex_t role = PTHREAD_MUTEX_INITIALIZER;

/* How many threads want the role for longer than a helper. */
static atomic_int wanted;

/* Touched by the reader only. */
static struct frame_reader input;
static bool ended;
static bool asked; /* to end, by quit */
static int exit_code = EXIT_OK_EOF;

void reader_init(int fd, size_t max_frame)
{
    frame_reader_init(&input, fd, max_frame);
}

/* A helper that has the role sleeps until there is input, or a kick. */
void reader_take(void)
{
    if (pthread_mutex_trylock(&role) == 0)
        return;
    wanted++;
    fds_kick();
    pthread_mutex_lock(&role);
    wanted--;
}

void reader_give(void)
{
    pthread_mutex_unlock(&role);
    wait_wake();
}

int reader_exit_code(void)
{
    return exit_code;
}

static bool input_now(void)
{
    struct pollfd in = {.fd = input.fd, .events = POLLIN};
    return frame_buffered(&input) || poll(&in, 1, 0) > 0;
}

bool reader_wait(int ms)
{
    struct pollfd both[] = {{.fd = input.fd, .events = POLLIN},
                            {.fd = fds_kicked(), .events = POLLIN}};
    if (frame_buffered(&input))
        return true;
    if (poll(both, 2, ms < 0 || ms > NAP_MS ? NAP_MS : ms) <= 0)
        return false;
    if (both[1].revents)
        fds_unkick();
    return both[0].revents != 0;
}

bool reader_wait_end(void)
{
    struct pollfd both[] = {{.fd = input.fd, .events = 0},
                            {.fd = fds_kicked(), .events = POLLIN}};
    if (poll(both, 2, NAP_MS) <= 0)
        return false;
    if (both[1].revents)
        fds_unkick();
    return both[0].revents != 0 || fds_input_ended();
}

static enum reader_status end(int code)
{
    ended = true;
    exit_code = code;
    wait_end();
    return READER_END;
}

/* The work ends. What Python still waits for may come until the input ends. */
static enum reader_status quit(void)
{
    asked = true;
    return READER_END;
}

bool reader_has_ended(void)
{
    return ended || asked;
}

bool reader_was_asked(void)
{
    return asked;
}

static enum frame_status next_frame(struct frame **frame, struct err *err)
{
    const enum frame_status status = frame_read(&input, frame, err);
    return status == FRAME_OK ? lane_follow(frame, err) : status;
}

static enum reader_status read_frame(bool busy)
{
    struct frame *frame = NULL;
    struct err err = {""};

    switch (next_frame(&frame, &err)) {
    case FRAME_OK:
        return route_frame(frame, busy) ? READER_ROUTED : quit();
    case FRAME_TOO_LARGE:
        route_refused(frame, &err);
        return READER_ROUTED;
    case FRAME_NO_MEMORY:
        route_no_memory(frame, &err);
        return READER_ROUTED;
    case FRAME_EOF:
        return end(EXIT_OK_EOF);
    case FRAME_IMPOSSIBLE:
        fprintf(stderr, "pyport: %s\n", err.text);
        return end(EXIT_PROTOCOL);
    default:
        fprintf(stderr, "pyport: %s\n", err.text);
        return end(EXIT_IO);
    }
}

enum reader_status reader_read(bool wait, bool busy)
{
    if (reader_has_ended())
        return READER_END;
    if (!wait && !input_now())
        return READER_NOTHING;
    return read_frame(busy);
}

bool reader_help(int ms)
{
    if (wanted || pthread_mutex_trylock(&role) != 0)
        return false;
    if (!wanted && !ended && reader_wait(ms))
        read_frame(true);
    reader_give();
    return true;
}

void reader_serve(int ms)
{
    const long long until = clock_now() + ms * CLOCK_NS_PER_MS;
    for (int left = ms; left > 0;
         left = (int)((until - clock_now()) / CLOCK_NS_PER_MS)) {
        if (ended)
            clock_sleep(left);
        else if (reader_wait(left))
            read_frame(true);
    }
}
