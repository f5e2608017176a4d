/* SPDX-License-Identifier: Apache-2.0
 *
 * multicall: many calls in one request, one after the other, each with a result
 * of its own.
 *
 *     {Id, {part, From, {Result, …}}}    results of the next calls
 *     {Id, {not_started, N}}             the last N will not be started
 *     {Id, ok}                           the end
 *
 * A result that is finished is kept for a millisecond at most, and sent
 * together with others; only in the lane's notes, where the peer finds it even
 * if the next call ends the program. Without them each is sent before the next
 * call starts.
 *
 * One multicall at a time, in the main thread, GIL held, unless it says
 * otherwise.
 */
#ifndef PORT_TASK_MULTICALL_H
#define PORT_TASK_MULTICALL_H

#include <stdbool.h>

#include "task/task.h"
#include "wire/buf.h"
#include "wire/err.h"
#include "wire/request.h"

/* What says before each call whether it may start. Call once, before there are
 * threads. */
void multicall_init(bool (*goes_on)(void));

/* The request is a list of calls from here on. 0, or -1 with the text in err:
 * it has none, and is not begun. */
int multicall_begin(struct task *task, struct err *err);

/* Moves to the next call. False: there is none that may start. */
bool multicall_next(struct task *task);

/* The call has failed, and perhaps not read its arguments. An exception that is
 * set stays set. */
void multicall_skip(struct task *task);

/* Begins a frame for the call's result, which is appended to it. */
void multicall_open(struct buf *out);

/* The result is whole: it is sent, now or later. `out` is as after
 * output_send. In a forked child it does not return. */
void multicall_close(struct buf *out);

/* Sends what is left, and the end. */
void multicall_end(struct buf *out);

/* Sends what is finished, and gives back what has not started, if it is this
 * request that runs. Any thread, no GIL. */
void multicall_take_back(const struct request *req);

#endif
