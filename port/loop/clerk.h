/* SPDX-License-Identifier: Apache-2.0
 *
 * The clerk: a thread that takes the GIL and runs urgent requests while the
 * main thread is busy. Started on first need. While C code holds the GIL the
 * clerk waits too; nobody waits for the clerk.
 */
#ifndef PORT_LOOP_CLERK_H
#define PORT_LOOP_CLERK_H

#include <stdbool.h>

#include "loop/jobs.h"

/* Takes the job. False, and nothing is taken, when there is no clerk to be
 * had: the main thread must run it. Called by the reader, without the GIL. */
bool clerk_push(struct job *job);

#endif
