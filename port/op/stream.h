/* SPDX-License-Identifier: Apache-2.0
 *
 * stream: generators that are consumed in chunks, with credit.
 *
 * A stream begins when its request is routed, so that control that comes early
 * finds it. The operation opens it, with an iterator. An open stream is ready
 * while it has credit or has to be ended; the main thread takes ready streams
 * in turn and lets each one send a chunk. A stream without credit is parked and
 * costs nothing but its generator.
 *
 *     stream_expect ── stream_open_take ──► ready ─ stream_take ─ stream_step
 *           │                                 ▲                        │
 *           ▼                                 │ more, end              ▼
 *     stream_forget                         parked ◄────────────── stream_give
 *                                                                      │
 *                                                                      ▼
 *                                                                    freed
 *
 * If the program has threads beside the main one, streams may have their turns
 * there: any thread may take the next step, and a stream has one at a time.
 * When such a stream that is to end has its turn, or has it already, {Id,
 * threaded} says so: until then it may just have to wait.
 *
 * A stream whose items are awaited is handed over when it is opened (feed.h),
 * and has no turns. Control for it comes here all the same.
 *
 * All of them are under one lock, which is never held while Python runs, so
 * that the thread that reads the input may give credit while Python is busy.
 */
#ifndef PORT_OP_STREAM_H
#define PORT_OP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "task/task.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/request.h"

struct stream;

/* How a stream ends before its generator does. */
enum stream_end {
    STREAM_GOES_ON,
    STREAM_STOPPED,  /* {stop, Id}: final reply ok */
    STREAM_CANCELLED /* {cancel, Id}: final reply {error, cancelled} */
};

/* For the reader. Any thread, no GIL. */

/* A stream for the request, which is to be run: control finds it from now on.
 * If there is no memory, stream_open_take fails later. `aside`: it has its
 * turns on threads beside the main one. */
void stream_expect(const struct request *req, bool aside);

/* The request will not be run, or has failed: its stream is gone. */
void stream_forget(const struct request *req);

/* Gives the stream with the id of `req`, if there is one, credit for n more
 * items. */
void stream_more(const struct request *req, long long n);

/* Asks the stream with the id of `req`, if there is one, to end. One that is
 * stopped and cancelled, in either order, is cancelled. */
void stream_end(const struct request *req, enum stream_end how);

/* For the thread that runs the request. */

/* Gives the task's stream its iterator, or the source of items that are
 * awaited, which it takes, and its first credit. 0, or -1 with an exception.
 * GIL held. */
int stream_open_take(const struct task *task, PyObject *iterator);

/* For the main thread. */

/* True when a stream is ready that has its turns on the main thread, or, if
 * `aside`, beside it. No GIL. */
bool stream_ready(bool aside);

/* Takes the next of those, or NULL. It must go through stream_step and
 * stream_give. No GIL. */
struct stream *stream_take(bool aside);

/* Whether a stream has its turn beside the main thread, or is to be opened
 * there: fds_kick is called when it has been. No GIL. */
bool streams_are_away(void);

/* For the thread on which a taken stream has its turn. */

/* The id of a taken stream: `*n` bytes that live as long as the stream. */
const char *stream_id(const struct stream *s, size_t *n);

/* Sends a chunk, or the final reply; `out` is scratch space. GIL held; in a
 * forked child it does not return. */
void stream_step(struct stream *s, struct buf *out);

/* Puts a stepped stream back into the list, or frees it after its final
 * reply; its id is void from here on. But if it is ready again and `keep`
 * holds, it goes on at once: true, and it has the next turn. No GIL. */
bool stream_give(struct stream *s, bool keep);

/* For the main thread. */

/* The program ends: closes all generators, without a reply. GIL held. */
void streams_drop(void);

#endif
