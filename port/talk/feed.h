/* SPDX-License-Identifier: Apache-2.0
 *
 * feed: streams whose items are awaited. The main thread hands one over to the
 * loop, as a job whose result is a coroutine (aio.h), and goes on. There a task
 * takes item after item (erlang._aio) and puts them here, into chunks. GIL
 * held.
 */
#ifndef PORT_TALK_FEED_H
#define PORT_TALK_FEED_H

#include <stdbool.h>

#include "task/task.h"
#include "value/python.h"

/* Whether the items of this source of a stream are awaited: it is an
 * asynchronous iterable, or `await` takes it and gives something to iterate
 * over. */
bool feed_takes(PyObject *source);

/* Hands the source of a stream over. 0: the loop sends its chunks and its final
 * reply; -1 with an exception. Main thread. */
int feed_begin(const struct task *task, PyObject *source);

/* For the loop, which has got a `feed` together with the source. */

/* Appends an item to the chunk under construction, and sends that if it is
 * full. How many items are in it now, or 0: it is sent, and others have their
 * turn. -1: the item did not fit behind the others, and may be put when others
 * have had their turn. -2 with an exception. */
long feed_put(PyObject *feed, PyObject *item);

/* Sends what there is; but if that is more than `seen` items, there may be
 * others in a moment: then it does so only when the chunk is full. How many
 * items there still are; -1 with an exception. */
long feed_flush(PyObject *feed, long seen);

/* Whether more items are wanted; -1 with an exception. */
int feed_has_credit(PyObject *feed);

#endif
