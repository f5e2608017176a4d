/* SPDX-License-Identifier: Apache-2.0
 *
 * clerk: a thread that takes the GIL and runs urgent requests while the
 * main thread is busy. Started when first needed. While C code holds the GIL
 * the clerk waits, but nobody waits for the clerk.
 */
#ifndef PORT_LOOP_CLERK_H
#define PORT_LOOP_CLERK_H

#include <stdbool.h>

#include "loop/jobs.h"

/* Takes the job. False, and nothing is taken, when the clerk could not be
 * started: the main thread must run it. Called by the reader, without the GIL.
 */
bool clerk_push(struct job *job);

#endif
