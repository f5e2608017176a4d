/* SPDX-License-Identifier: Apache-2.0
 *
 * lane: memory that the peer reaches, too, for frames that a pipe would carry
 * slowly, piece by piece. It is a file without a name, one half for each
 * direction; the peer opens it as /proc/PID/fd/N, reads and writes.
 *
 *     0               LANE_HEAD               LANE_HEAD + room
 *     | words | notes | a frame from the peer | a frame to the peer |
 *
 * A frame begins LANE_SKIP bytes behind the beginning of its half.
 *
 * In the pipe, and so in its order, goes a place: {lane, Serial, Size}. It
 * stands for the frame of Size bytes that is in the half of its direction. Each
 * half has one frame at a time. Whoever has read it writes its serial into the
 * word of that half; until then the next one goes through the pipe. So nobody
 * waits, and nothing is sent for that.
 *
 * The memory of a large frame is kept for the next one, until none has come for
 * a while or somebody asks for it: see lane_tidy.
 *
 * The size of the file is sealed, and once the peer has opened it there is no
 * descriptor of it here. So Python can neither cut it off nor close it.
 *
 * Any thread unless said otherwise. No Python, no GIL.
 */
#ifndef PORT_WIRE_LANE_H
#define PORT_WIRE_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/err.h"
#include "wire/frame.h"

/* Bytes of a place. */
#define LANE_PLACE 19

/* Makes the memory: *fd is what the peer may open, which stays ours, and *room
 * how long each half is. False: there is none, or an answer has come already.
 */
bool lane_offer(size_t max_frame, int *fd, size_t *room);

/* What the peer answers: whether it has opened that. If not, all is given
 * back. Without an offer nothing happens. */
void lane_answer(bool opened);

/* Puts the frame that a place stands for in its stead; any other stays as it
 * is. Only the reader. *frame is owned as before.
 * FRAME_NO_MEMORY: *frame has the first bytes, as after frame_read.
 * FRAME_IMPOSSIBLE: there is no such place, and *frame is NULL. */
enum frame_status lane_follow(struct frame **frame, struct err *err);

/* The reader needs this frame no more. False: it is not in the lane. */
bool lane_release(struct frame *frame);

/* Memory of so many bytes for a frame to the peer and its header, until
 * lane_sent or lane_return. NULL: it is in use, or cannot be had. */
char *lane_lend(size_t size);

/* More of it; what was there is where it says. NULL: as realloc. */
char *lane_extend(size_t size);

/* It will not be sent. */
void lane_return(void);

/* What is lent has a frame of this size, behind FRAME_HEADER bytes. It belongs
 * to the peer, which is to be sent this place. */
void lane_sent(size_t size, char place[LANE_PLACE]);

/* Gives back what is free and large. */
void lane_tidy(void);

/* How many bytes are kept or in use. */
size_t lane_bytes(void);

/* Memory of *size bytes in which the peer finds what the caller leaves there,
 * even when the program is dead. NULL: it cannot be had. */
char *lane_notes(size_t *size);

/* In a forked child: what it writes from now on is nobody else's. */
void lane_in_child(void);

#endif
