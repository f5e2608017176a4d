/* SPDX-License-Identifier: Apache-2.0
 *
 * route: where each frame goes. Control is acted on at once, an urgent
 * request goes to the clerk while Python is busy, a job to the queue; a
 * frame that cannot be understood is answered at once. A batch is routed
 * request by request. Called by the reader, without the GIL.
 */
#ifndef PORT_LOOP_ROUTE_H
#define PORT_LOOP_ROUTE_H

#include <stdbool.h>

#include "wire/err.h"
#include "wire/frame.h"

/* Takes the frame. busy: the main thread is running a job. False: the frame is
 * quit, so there is nothing more to be read. */
bool route_frame(struct frame *frame, bool busy);

/* Takes the beginning of a frame that the reader had to refuse, and answers
 * it with the reason. */
void route_refused(struct frame *frame, const struct err *why);

/* The same for a frame for which there was no memory. */
void route_no_memory(struct frame *frame, const struct err *why);

#endif
