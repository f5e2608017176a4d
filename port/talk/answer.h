/* SPDX-License-Identifier: Apache-2.0
 *
 * answer: what Erlang says to something that Python has sent and waits for:
 * {reply, CallId, Result}. An answer also acknowledges its message: it gives
 * back the room that the message has taken in its window.
 */
#ifndef PORT_TALK_ANSWER_H
#define PORT_TALK_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "value/python.h"
#include "wire/request.h"

/* A CallId that nobody waits for. Any thread. */
uint32_t answer_new_id(void);

/* There will be an answer with this id, to a message of n bytes. Call before
 * the message is sent. 0, or -1 with MemoryError. GIL held. */
int answer_expect(uint32_t id, size_t n);

/* Waits for the answer: its Result as a value, or NULL with an exception, as
 * wait_until. What comes after that is dropped. GIL held; waits without. */
PyObject *answer_await(uint32_t id);

/* {reply, CallId, Result} has come. If nobody waits for it, it is dropped:
 * whoever did may have been cancelled. Any thread, no GIL. */
void answer_deliver(const struct request *req);

#endif
