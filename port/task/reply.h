/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies: the few forms that every answer has. Each function appends to a
 * frame that reply_begin started; a frame that grew past max_frame is the
 * caller's to rewind. GIL only where said.
 */
#ifndef PORT_TASK_REPLY_H
#define PORT_TASK_REPLY_H

#include "op/op.h"
#include "value/form.h"
#include "value/python.h"
#include "wire/buf.h"
#include "wire/err.h"
#include "wire/request.h"

/* Starts the frame {Id, … with the id's own bytes; without an id (n == 0)
 * with the atom `undefined`. What follows is the reply's second element. */
void reply_begin(struct buf *out, const char *id, size_t n);

/* …, ok}, the end of an operation. Takes what it returned, and NULL for what
 * failed with an exception set. GIL held. */
enum op_end reply_ok_take(struct op_call *call, PyObject *none);

/* …, ok} */
int reply_ok(struct buf *out);

/* …, {ok, Value}}, the end of an operation. Takes the reference, and NULL for
 * what failed with an exception set. `root` names the value in errors. GIL
 * held. */
enum op_end reply_value_take(struct op_call *call, PyObject *value,
                             const char *root);

/* …, {error, Atom}} */
int reply_error(struct buf *out, const char *atom);

/* …, {error, {badarg, Why}}} */
int reply_badarg(struct buf *out, const struct err *why);

/* …, {error, {overloaded, N, Max}}} */
int reply_overloaded(struct buf *out, size_t n, size_t max);

/* …, {error, {start_failed, Why}}} */
int reply_start_failed(struct buf *out, const struct err *why);

/* …, {error, Reason}} from the current Python exception, which it takes.
 * GIL held. A cancelled job's reason is the atom `cancelled`. What does not
 * fit says less, so the frame is always whole. */
void reply_exception(struct buf *out, const struct form *opts);

/* For a forked child, which replies to nobody: from now on reply_exception
 * calls `end`, with the exception set and the GIL held, which does not return;
 * and no value is encoded. */
void reply_end_with(void (*end)(void));

/* Sends the frame, without the GIL where that may take a while. GIL held. */
void reply_send(struct buf *out);

#endif
