/* SPDX-License-Identifier: Apache-2.0
 *
 * event: what Python sends without having been asked. {event, send, …} is a
 * message for an Erlang process, {event, log, …} a line for the logger.
 *
 * So that Python cannot write faster than its reader reads, the reader may
 * set a window: bytes of events that it has not acknowledged. A message waits
 * for room in it, a line of a log is dropped.
 */
#ifndef PORT_TALK_EVENT_H
#define PORT_TALK_EVENT_H

#include <stdbool.h>

#include "value/python.h"

/* Call once, before Python starts. */
void event_init(void);

/* Sends {event, Name, Data}. 1: sent; 0: not sent, because the reader is behind
 * and `wait` is false; -1 with an exception. GIL held, any thread; waits
 * without the GIL, until a signal handler raises. */
int event_send(const char *name, PyObject *data, bool wait);

/* How many bytes of events may be unacknowledged; 0: any number. Any thread, no
 * GIL. */
void event_set_window(long window);

/* The input has ended, so there will be no room any more: whoever waits for it
 * gets an exception. Any thread, no GIL. */
void event_end(void);

/* {ack, N}: the reader has dealt with n bytes. Any thread, no GIL. */
void event_acked(long long n);

#endif
