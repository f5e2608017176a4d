/* SPDX-License-Identifier: Apache-2.0
 *
 * clerk: a thread that takes the GIL and runs urgent requests while the
 * main thread is busy. While C code holds the GIL the clerk waits, but nobody
 * waits for the clerk.
 */
#ifndef PORT_LOOP_CLERK_H
#define PORT_LOOP_CLERK_H

#include "loop/jobs.h"

/* Starts the thread. 0, or -1. Before Python, and before limits on memory: it
 * needs room for its stack. */
int clerk_start(void);

/* Python has started: returns when Python knows the thread. GIL held, though
 * others may have it meanwhile; main thread, before the first request. */
void clerk_begin(void);

/* A job on another thread than main is cancelled: it is interrupted there. Any
 * thread, no GIL. */
void clerk_interrupt(void);

/* Takes the job. Called by the reader, without the GIL. */
void clerk_push(struct job *job);

#endif
