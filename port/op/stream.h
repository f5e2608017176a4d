/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams: generators that are consumed in chunks, with credit.
 *
 * A stream is a request that goes on after op_stream has opened it. It is
 * ready while it has credit (or is to be ended); the main thread takes ready
 * streams in turn and lets each one send a chunk. A stream without credit is
 * parked and costs nothing but its generator.
 *
 *     op_stream ──► ready ── stream_take ── stream_step ── stream_give
 *                     ▲                                      │    └──► freed
 *                     └── stream_more, stream_end ── parked ◄┘
 *
 * The list is under a lock of its own, so that the thread that reads the
 * input may give credit while Python is busy.
 */
#ifndef PORT_OP_STREAM_H
#define PORT_OP_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/buf.h"
#include "wire/request.h"

struct stream;

/* How a stream ends before its generator does. */
enum stream_end {
    STREAM_GOES_ON,
    STREAM_STOPPED,  /* {stop, Id}: final reply ok */
    STREAM_CANCELLED /* {cancel, Id}: final reply {error, cancelled} */
};

/* Gives the stream with the id of `req`, if there is one, credit for n more
 * items. Any thread, no GIL. */
void stream_more(const struct request *req, long long n);

/* Asks the stream with the id of `req`, if there is one, to end. Any thread, no
 * GIL. */
void stream_end(const struct request *req, enum stream_end how);

/* True when a stream is ready. Any thread, no GIL. */
bool stream_ready(void);

/* Takes the next ready stream out of the list, or NULL. It must go through
 * stream_step and stream_give. Main thread, no GIL. */
struct stream *stream_take(void);

/* The id of a taken stream: `*n` bytes that live as long as the stream. */
const char *stream_id(const struct stream *s, size_t *n);

/* Sends a chunk, or the final reply; `out` is scratch space. GIL held, main
 * thread. */
void stream_step(struct stream *s, struct buf *out);

/* Puts a stepped stream back into the list, or frees it after its final
 * reply; its id is void from here on. Main thread, no GIL. */
void stream_give(struct stream *s);

/* The program ends: closes all generators, without a reply. GIL held, main
 * thread. */
void streams_drop(void);

#endif
