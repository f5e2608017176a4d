/* SPDX-License-Identifier: Apache-2.0
 *
 * answer: what Erlang says to something that Python has sent and waits for:
 * {reply, CallId, Result}. An answer also acknowledges its message: it gives
 * back the room that the message has taken in its window. If a thread stops
 * waiting, the reader gets {event, withdraw, CallId}.
 */
#ifndef PORT_TALK_ANSWER_H
#define PORT_TALK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/request.h"

/* Begins a frame {Tag, CallId, …} of so many elements in `out`, which the
 * caller frees. Returns the CallId, which nobody waits for yet. Any thread. */
uint32_t answer_begin(struct buf *out, size_t arity, const char *tag);

/* What may run on a thread while it waits for the answer to a call: requests
 * that Erlang makes within it (loop/nest.h). GIL held but for `waits`. */
struct answer_nest {
    bool (*put_job)(struct buf *out); /* the Id of what runs; false: none */
    bool (*runs_here)(void);          /* something does, on this very thread */
    int (*begin)(uint32_t id);  /* how deep the call is; 0: nothing may run */
    bool (*waits)(uint32_t id); /* something does; must not wait */
    void (*run)(uint32_t id);
    void (*end)(uint32_t id); /* of what `begin` was not 0 for */
};

/* Call before there are threads. */
void answer_set_nest(const struct answer_nest *nest);

/* Appends the Id of what runs now; in what is awaited it is that of the job
 * which has returned it. False: it is none. GIL held, any thread. */
bool answer_put_job(struct buf *out);

/* Whether a job runs on this very thread, and not only in what it awaits. */
bool answer_job_runs_here(void);

/* The call with this id begins: what `begin` has said; or 0, as on the thread
 * of the loop, which must go on from where it is. */
int answer_nest_begin(uint32_t id);
void answer_nest_end(uint32_t id);

/* Sends the frame in `out`, which has this id and n bytes of room in the window
 * of messages, and waits for its answer: the value in {ok, Value}, or the
 * Result, if it is anything else. NULL with an exception: of the class `error`
 * for {error, Value}; or as wait_until, or because the Result cannot be had:
 * then {event, withdraw, CallId} is sent. `form` says how the value is decoded;
 * NULL: by default. GIL held; waits without. */
PyObject *answer_ask(struct buf *out, uint32_t id, size_t n, PyObject *error,
                     const struct form *form);

/* Sends the frame in `out`, which has this id, for a future of asyncio's, which
 * the answer will be for. `form` as above; it is copied. 0, or -1 with an
 * exception. GIL held. */
int answer_ask_later(struct buf *out, uint32_t id, PyObject *future,
                     const struct form *form);

/* Called when an answer has come that is for a future; any thread, no GIL. Call
 * before there are threads. */
void answer_on_future(void (*hook)(void));

/* The future of an answer that has come, and its value, or NULL with an
 * exception, as above. New references; NULL: none has come. GIL held. */
PyObject *answer_next(PyObject **value, PyObject *error);

/* The future of the call with this id wants no answer any more. GIL held. */
void answer_forget(uint32_t id);

/* {reply, CallId, Result} has come. If nobody waits for it, it is dropped:
 * whoever did may have been cancelled. Any thread, no GIL. */
void answer_deliver(const struct request *req);

/* The same if its Result is no good, which `why` says; NULL: there was no
 * memory for it, and `req` has only the CallId. False: nobody waits. Any
 * thread, no GIL. */
bool answer_refuse(const struct request *req, const char *why);

#endif
