/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages from Python to Erlang processes: erlang.send(to, term).
 */
#ifndef PORT_OP_SEND_H
#define PORT_OP_SEND_H

#include "value/python.h"

/* Sends {event, send, {To, Term}}. 0, or -1 with an exception that names the
 * place. GIL held, any thread. */
int send_message(PyObject *to, PyObject *term);

#endif
