/* SPDX-License-Identifier: Apache-2.0
 *
 * call: functions of Erlang's that Python calls. A reader that has said that it
 * answers calls gets {call, CallId, Job, Depth, Name, Args, Kwargs}, or {apply,
 * CallId, Job, Depth, Fun, Args, Kwargs}, and the thread waits for {reply,
 * CallId, {ok, Value} | {error, {Text, Class, Reason, Stack}}}. A call takes no
 * room in a window: each thread has one at a time.
 */
#ifndef PORT_TALK_CALL_H
#define PORT_TALK_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "value/form.h"
#include "value/python.h"
#include "wire/request.h"

/* Whether the reader answers calls. Any thread, no GIL. */
void call_answered(bool answered);

/* Calls the function of this name, or an erlang.Fun, with a tuple and a dict.
 * Its value; or NULL with an exception, which is erlang.Error if the function
 * has failed, and erlang.SendError if nobody answers. GIL held, any thread;
 * waits without. */
PyObject *call_function(PyObject *callee, PyObject *args, PyObject *kwargs);

/* Begins such a call for a future of asyncio's, which does not wait in a
 * thread. Its CallId; 0 with an exception. GIL held, any thread. */
uint32_t call_begin(PyObject *future, PyObject *callee, PyObject *args,
                    PyObject *kwargs);

/* Asks for something of the state that workers share, with a str and a list:
 * {state, CallId, Op, Args}. `arrays`: numbers in memory become arrays, and not
 * lists. Its value is a list; or NULL with an exception, as above. GIL held,
 * any thread; waits without. */
PyObject *call_state(PyObject *op, PyObject *args, bool arrays);

/* The next items of the iterator that is this process of Erlang's, by {pull,
 * CallId, Pid}: a list, decoded by the form; None when there are no more. Else
 * as call_function. */
PyObject *call_pull(PyObject *pid, const struct form *form);

/* The same for a channel, by {channel, CallId, Pid, Question}. The question is
 * encoded by the form, too. */
PyObject *call_channel(PyObject *pid, PyObject *question,
                       const struct form *form);

/* Begins that for a future of asyncio's, as call_begin. */
uint32_t call_channel_begin(PyObject *future, PyObject *pid, PyObject *question,
                            const struct form *form);

/* Whether there is a function of this name, as a bool; NULL with an exception.
 * GIL held, any thread; waits without. */
PyObject *call_lookup(PyObject *name);

/* The process that has asked for what runs, or None; a new reference. NULL with
 * an exception. GIL held, any thread; wait without. */
PyObject *call_self(void);
PyObject *call_make_ref(void);

/* Waits so many milliseconds for a message, or for ever if that is negative:
 * from the box of the context whose code the main thread runs, else, and in
 * other threads, from the worker's. A list with the message, or None; NULL with
 * an exception. GIL held, any thread; waits without. */
PyObject *call_receive(long long ms);

/* Keeps what is to be called with each message to that box; None: nothing is,
 * from now on. Says so by {event, on_message, {Job, Number}}, and Erlang lets
 * go of what was kept before. 0, or -1 with an exception. GIL held, any thread.
 */
int call_on_message(PyObject *handler);

/* A request that brings funs is about to run: says so, {Id, {given, funs}}, so
 * that Erlang knows which may be called. GIL held. */
void call_given(const struct request *req);

#endif
