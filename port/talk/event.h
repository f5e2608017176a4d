/* SPDX-License-Identifier: Apache-2.0
 *
 * event: what Python sends without having been asked, and without an answer:
 * {event, log, …} is a line for the logger. Events have a window (window.h).
 */
#ifndef PORT_TALK_EVENT_H
#define PORT_TALK_EVENT_H

#include <stdbool.h>

#include "value/python.h"
#include "wire/buf.h"

/* Sends {event, Name, Data}. 1: sent; 0: not sent, because the reader is behind
 * and `wait` is false, or because nobody reads any more; -1 with an exception.
 * GIL held, any thread; waits without the GIL. */
int event_send(const char *name, PyObject *data, bool wait);

/* Begins a frame {event, Name, Data} that does not count for the window, for
 * when nobody reads the input, so that there would never be room. The caller
 * puts the data, sends the frame (output_send) and frees it. -1: the name is
 * not an atom. Any thread, no GIL. */
int event_begin(struct buf *out, const char *name);

/* {ack, N}: the reader has handled n bytes. Any thread, no GIL. */
void event_acked(long long n);

#endif
