/* SPDX-License-Identifier: Apache-2.0
 *
 * message: erlang.send. A reader that has said that it answers gets {send,
 * CallId, To, Term}, and the sender waits for the answer: so it learns if
 * nobody is there, or if it may not send to them. If the sender stops waiting,
 * the reader gets {event, withdraw, CallId}. Any other reader gets
 * {event, send, {To, Term}}.
 */
#ifndef PORT_TALK_MESSAGE_H
#define PORT_TALK_MESSAGE_H

#include <stdbool.h>

#include "value/python.h"

/* Whether the reader answers messages. Any thread, no GIL. */
void message_answered(bool answered);

/* Sends a term. 0; or -1 with an exception, which is erlang.SendError if the
 * reader refuses. GIL held, any thread; waits without the GIL. */
int message_send(PyObject *to, PyObject *term);

/* The process that has this name, a str, or None: a new reference. NULL with an
 * exception, as above. GIL held, any thread; waits without the GIL. */
PyObject *message_whereis(PyObject *name);

#endif
