/* SPDX-License-Identifier: Apache-2.0
 *
 * reader: a role. At most one thread at a time reads the input. The main
 * thread takes the role between jobs, the sentinel while a long job runs; the
 * role is a mutex, and whoever holds it is the reader. No Python, no GIL: the
 * main thread lets go of the GIL before it waits here.
 */
#ifndef PORT_LOOP_READER_H
#define PORT_LOOP_READER_H

#include <stdbool.h>
#include <stddef.h>

/* Call once, before there are threads. */
void reader_init(int fd, size_t max_frame);

enum reader_status {
    READER_NOTHING, /* no input now */
    READER_ROUTED,  /* a frame was read, and routed (see route.h) */
    READER_END      /* there will be no more input */
};

void reader_take(void);
void reader_give(void);

/* Reads one frame and routes it; only with the role. wait: until there is
 * input; else READER_NOTHING. `busy` is handed on to route_frame. */
enum reader_status reader_read(bool wait, bool busy);

/* Sleeps until there is input (true), a kick, or `ms` milliseconds have passed
 * (-1: it does not matter), or for a second; only with the role. */
bool reader_wait(int ms);

/* Sleeps until there is a kick, or the input has hung up or been ended (true),
 * or for a second; reads nothing. Only with the role. */
bool reader_wait_end(void);

/* Whether the end has come, which a helper may have read. With the role. */
bool reader_has_ended(void);

/* Whether the end came as the frame quit: then the peer still reads. With the
 * role, or when reading is over. */
bool reader_was_asked(void);

/* For a Python thread that waits for something from Erlang (talk/wait.h): takes
 * the role if nobody has it or wants it, waits `ms` milliseconds for one frame,
 * reads it and gives the role back. False, at once: another thread reads. */
bool reader_help(int ms);

/* For `ms` milliseconds, handles what still comes after quit. Only with the
 * role. */
void reader_serve(int ms);

/* Why the input ended: an exit code. With the role, or when reading is over. */
int reader_exit_code(void);

#endif
