/* SPDX-License-Identifier: Apache-2.0
 *
 * handlers: our handlers of signals as Python sees them. It has a real one for
 * each, which user code may replace and put back (erlang._signals).
 */
#ifndef PORT_LOOP_HANDLERS_H
#define PORT_LOOP_HANDLERS_H

#include "value/python.h"

/* Tells Python of SIGINT and SIGTERM. 0, or -1 with an exception. GIL held,
 * main thread. */
int handlers_init(void);

/* Tells Python of another one: sets the handler for this signal. 0, or -1 with
 * an exception. GIL held, main thread. */
int handlers_add(int signum, PyObject *handler);

/* Runs the handlers of signals that came between two jobs. What they raise does
 * not concern the next job: it is reported, or dropped if it is a
 * KeyboardInterrupt. If the next job is already cancelled, it is interrupted
 * once it has begun. GIL held, main thread. */
void handlers_settle(void);

#endif
