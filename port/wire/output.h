/* SPDX-License-Identifier: Apache-2.0
 *
 * output: the one place that writes to the VM. Any thread may send; a
 * frame goes out whole, as soon as it is complete. Knows no Python; a caller
 * that holds the GIL lets go of it for a frame that may block (see
 * output_may_block).
 */
#ifndef PORT_WIRE_OUTPUT_H
#define PORT_WIRE_OUTPUT_H

#include <stdbool.h>

#include "wire/buf.h"

/* Says where frames go and how large one may be. Call once, before threads. */
void output_init(int fd, size_t max_frame);

/* The largest frame that output_begin allows, in bytes. */
size_t output_max_frame(void);

/* Prepares `b` for one frame: empty, limited to the output's max_frame. The
 * caller owns `b` and keeps it for the next frame or frees it. */
void output_begin(struct buf *b);

/* True when writing this frame may have to wait for the reader. */
bool output_may_block(const struct buf *b);

/* Writes the frame in `b`, which may be empty afterwards. When nobody reads
 * any more it is dropped: see output_broken. */
void output_send(struct buf *b);

/* True once a frame could not be written. */
bool output_broken(void);

/* False once it has been closed. */
bool output_is_open(void);

/* From now on frames are dropped: in a forked child, which must never write
 * one, and when the program ends in the middle of a job. The descriptor still
 * belongs to its owner. Any thread. */
void output_close(void);

#endif
