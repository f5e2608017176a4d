/* SPDX-License-Identifier: Apache-2.0
 *
 * sentinel: a thread that sleeps while jobs are short. Once a job has run
 * for a tick it becomes the reader until the job ends, so that the end of the
 * input and cancel are seen wherever Python is stuck. It never takes the GIL.
 */
#ifndef PORT_LOOP_SENTINEL_H
#define PORT_LOOP_SENTINEL_H

/* Starts the thread. 0, or -1. */
int sentinel_start(void);

/* The main thread has left its loop: if Python is not finalized in time, the
 * program ends without that. */
void sentinel_expect_exit(void);

#endif
