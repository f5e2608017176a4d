/* SPDX-License-Identifier: Apache-2.0
 *
 * aio: jobs whose result is a coroutine, or whatever else `await` takes. The
 * main thread hands it over, says {Id, awaiting}, and goes on with the next
 * job; a loop of asyncio, in a Python thread of its own (erlang._aio), awaits
 * it and sends the reply.
 */
#ifndef PORT_TALK_AIO_H
#define PORT_TALK_AIO_H

#include <stdbool.h>
#include <stdint.h>

#include "task/task.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/request.h"

/* How many may be awaited at a time, those beyond that wait for their turn; 0:
 * nothing is awaited, as it is until this is called. `is_cancelled` says
 * whether the job that runs is. Call once, before there are threads. */
void aio_init(long most, bool (*is_cancelled)(void));

/* Whether anything is awaited. */
bool aio_is_on(void);

/* Hands the value of a job over; `root` is what it will be called in errors,
 * NULL: its reply is a bare `ok`, or `keeps`: the number of what is kept. Takes
 * `captured`, to which goes what is printed (NULL: to nobody). 0: the job's
 * reply will come from the loop; -1 with an exception. GIL held.
 */
int aio_begin_take(const struct task *task, PyObject *value, const char *root,
                   bool keeps, PyObject *captured);

/* The same for the source of a stream, whose items go to `feed` (feed.h). Its
 * number; -1 with an exception. */
long aio_begin_stream(const struct task *task, PyObject *source,
                      PyObject *feed);

/* What `await` makes of this, which it takes: the main thread waits. A new
 * reference; NULL with an exception. GIL held, main thread. */
PyObject *aio_wait_take(PyObject *awaitable);

/* Cancels what has the id of `req`, if it is awaited. The loop says so, by
 * {Id, awaiting}, before it raises CancelledError there: whoever has cancelled
 * knows then that the loop goes round. Any thread, no GIL. */
void aio_cancel(const struct request *req);

/* Ends the stream with the id of `req`, if its items are awaited, in the same
 * way, but its final reply is ok. */
void aio_stop(const struct request *req);

/* Such a stream may send n more items. */
void aio_more(const struct request *req, long long n);

/* Python is about to end: cancels everything, and waits for that a moment. GIL
 * held, main thread; raises nothing. */
void aio_end(void);

/* Calls a function of Erlang's for a future of asyncio's, of whatever loop: see
 * call_begin. */
uint32_t aio_call(PyObject *future, PyObject *callee, PyObject *args,
                  PyObject *kwargs);

/* The same for a question to a channel: see call_channel_begin. */
uint32_t aio_channel(PyObject *future, PyObject *pid, PyObject *question,
                     const struct form *form);

/* In what is awaited, and in all that it has started: appends the Id of the job
 * that has returned it, or none if that is over, and says whether it is not.
 * -1: this is elsewhere, and nothing is appended. GIL held, any thread. */
int aio_put_job(struct buf *out);

/* Whether this is the thread of the loop. */
bool aio_is_loop(void);

/* For the loop: what was handed over since the last call, a list of tuples
 * (number, awaitable or source, captured, span, feed), the last three of which
 * may be None; the numbers of those that are to be cancelled; those of streams
 * of which more items are wanted; and what Erlang has answered, a list of
 * tuples (future, value, exception or None). A new reference; NULL with an
 * exception. GIL held. */
PyObject *aio_news(void);

/* What was awaited has this value, or has failed with this exception (NULL):
 * sends the reply. Never raises. GIL held. */
void aio_done(long number, PyObject *value, PyObject *exc);

#endif
