/* SPDX-License-Identifier: Apache-2.0
 *
 * reply: the few forms that every answer has. Each function appends to a
 * frame that reply_begin started; a frame that grew past max_frame is the
 * caller's to rewind. GIL only where it says so.
 */
#ifndef PORT_TASK_REPLY_H
#define PORT_TASK_REPLY_H

#include <stdbool.h>

#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/err.h"

/* Starts the frame {Id, … with the id's own bytes, or, without an id (n == 0),
 * with the atom `undefined`. What follows is the reply's second element. */
void reply_begin(struct buf *out, const char *id, size_t n);

/* …, ok} */
int reply_ok(struct buf *out);

/* …, {ok, Value}}. 0, or -1 with an exception; `root` names the value in it.
 * Runs any code. GIL held. */
int reply_value(struct buf *out, PyObject *value, const struct form *form,
                const char *root);

/* …, {kept, Number}}, with the number that handle_keep has returned. 0/-1 as
 * above. GIL held. */
int reply_kept(struct buf *out, PyObject *number, const struct form *form);

/* …, {error, Atom}} */
int reply_error(struct buf *out, const char *atom);

/* …, {error, {badarg, Why}}} */
int reply_badarg(struct buf *out, const struct err *why);

/* …, {error, {'MemoryError', Why}}} */
int reply_no_memory(struct buf *out, const struct err *why);

/* …, {error, {'OSError', Why}}} */
int reply_os_error(struct buf *out, const struct err *why);

/* …, {error, {overloaded, N, Max}}} */
int reply_overloaded(struct buf *out, size_t n, size_t max);

/* …, {error, {start_failed, Why}}} */
int reply_start_failed(struct buf *out, const struct err *why);

/* …, {error, Reason}} from the current Python exception, which it takes.
 * A cancelled job's reason is the atom `cancelled`. What does not fit says
 * less, so the frame is always whole. GIL held. */
void reply_exception(struct buf *out, const struct form *form);

/* Whether reply_exception has had a MemoryError since this was last asked, in
 * this thread. */
bool reply_ran_out(void);

/* `hook` is called, without the GIL, before the reply to a request that has
 * failed for want of memory, with its Id. Call before there are threads. */
void reply_on_ran_out(void (*hook)(const char *id, size_t n));

/* The error of this request is put, and is sent next: calls the hook if it is
 * about memory. Not for an urgent request, a call of a multicall or an item of
 * a stream, which others go on behind. GIL held. */
void reply_tell_ran_out(const char *id, size_t n);

/* Sends {Id, Word}, ahead of the reply: where the request has its turn, beside
 * the jobs of the main thread. Any thread; needs no GIL. */
void reply_say(const char *id, size_t n, const char *word);

/* Says that the request was cancelled before it began. GIL held. */
void reply_cancelled(const char *id, size_t n);

/* Sends the frame, without the GIL where that may take a while; in a forked
 * child it does not return (see task_returned). GIL held. */
void reply_send(struct buf *out);

#endif
