/* SPDX-License-Identifier: Apache-2.0
 *
 * talk: a pipe that frames go into, and what has come out of it.
 */
#ifndef TEST_C_TALK_H
#define TEST_C_TALK_H

#include <unistd.h>

#include "talk/wait.h"
#include "values.h"
#include "wire/frame.h"
#include "wire/output.h"

static char text[500];

static struct frame_reader from_port; /* from the pipe */

static inline void open_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    output_init(ends[1], DEFAULT_MAX_FRAME);
    frame_reader_init(&from_port, ends[0], DEFAULT_MAX_FRAME);
}

/* Shows the next frame in `text`; its bytes. */
static inline size_t next_frame(void)
{
    struct err err = {""};
    struct frame *frame = NULL;
    assert_int_equal(frame_read(&from_port, &frame, &err), FRAME_OK);
    const size_t n = frame->len;
    show(frame->data + 1, text, sizeof text);
    free(frame);
    return n;
}

/* Python starts; a thread that waits reads by this. */
static inline void start_talking(bool (*read)(int ms))
{
    wait_init();
    wait_set_reader(read);
    embed_start();
}

/* The value; NULL: the exception is in `text`. */
static inline PyObject *evaluated(const char *expression)
{
    PyObject *value = embed_eval(expression);
    if (!value)
        take_error(text, sizeof text);
    return value;
}

/* From now on SIGUSR1 raises KeyError. */
static inline void raise_at_signal(void)
{
    embed_run("import signal\n"
              "def stop(*_): raise KeyError('stop')\n"
              "signal.signal(signal.SIGUSR1, stop)\n");
}

#endif
