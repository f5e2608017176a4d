/* SPDX-License-Identifier: Apache-2.0
 *
 * work: what the main thread does. It runs every job, in order; between jobs it
 * reads the input itself, so that a short call costs no hand-over between
 * threads.
 */
#ifndef PORT_LOOP_WORK_H
#define PORT_LOOP_WORK_H

#include <stdbool.h>

/* Works until the input ends. Returns an exit code. GIL held, main thread. */
int work_until_end(void);

/* Whether the running job, if it has several parts, may begin the next one. GIL
 * held, main thread. */
bool work_goes_on(void);

#endif
