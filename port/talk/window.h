/* SPDX-License-Identifier: Apache-2.0
 *
 * window: how many bytes may be sent ahead of what the reader has handled, so
 * that Python cannot write faster than its reader reads. Lines of logs and
 * messages have a window each: a receiver that does not read holds up messages,
 * but no line. One frame may go beyond its window, so that a large one is not
 * stuck.
 */
#ifndef PORT_TALK_WINDOW_H
#define PORT_TALK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>

#include "value/python.h"

enum window { WINDOW_LINES, WINDOW_MESSAGES, WINDOWS };

/* The size of each, in bytes; 0: nobody counts. Any thread, no GIL. */
void window_set(long size);

/* Takes room for n bytes. 1: taken; 0: there is no room now and `wait` is
 * false; -1 with an exception, as in wait_until. GIL held; waits without. */
int window_take(enum window window, size_t n, bool wait);

/* The reader has handled n bytes. Any thread, no GIL. */
void window_give(enum window window, long long n);

#endif
