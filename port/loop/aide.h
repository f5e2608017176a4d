/* SPDX-License-Identifier: Apache-2.0
 *
 * aide: a thread that runs what needs no Python (OP_BARE): at once, beside
 * the main thread, even while C code holds the GIL.
 */
#ifndef PORT_LOOP_AIDE_H
#define PORT_LOOP_AIDE_H

#include "loop/jobs.h"

/* Starts the thread. 0, or -1. Before Python. */
int aide_start(void);

/* Takes the job. Called by the reader; needs no GIL. */
void aide_push(struct job *job);

#endif
