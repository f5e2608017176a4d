/* SPDX-License-Identifier: Apache-2.0
 *
 * wait: how a Python thread waits for something that comes from Erlang: an
 * acknowledgement, an answer. Whoever reads the input delivers it. While a
 * short job runs there is no reader, so the thread that waits becomes one.
 */
#ifndef PORT_TALK_WAIT_H
#define PORT_TALK_WAIT_H

#include <stdbool.h>

#include "value/python.h"

/* Call once, before Python starts. */
void wait_init(void);

/* How to read: `read` waits for a frame, for `ms` milliseconds at most, and
 * handles it. False, at once: another thread reads. It is called without the
 * GIL. Call before there are threads; without it others have to read. */
void wait_set_reader(bool (*read)(int ms));

/* Waits until `done`, which is asked with `what` and may lock, but not wait.
 * 0; or -1 with an exception: there is no connection to Erlang any more
 * (erlang.SendError), or a signal handler raised. GIL held; waits without. */
int wait_until(bool (*done)(const void *what), const void *what);

/* Sets the exception if a thread cannot even begin to wait. Returns -1. GIL
 * held. */
int wait_refuse(void);

/* What somebody waits for may have come, or nobody reads any more. Any thread,
 * no GIL. */
void wait_wake(void);

/* The input has ended: nothing will come. Any thread, no GIL. */
void wait_end(void);

/* Whether nothing will come. Not in a forked child. Any thread, no GIL. */
bool wait_has_ended(void);

#endif
