/* SPDX-License-Identifier: Apache-2.0
 *
 * heap_pace: how often samples are taken: once in `rate` bytes on average, and
 * less often if there would be too many of them in a second, or altogether.
 */
#ifndef PORT_MEMORY_HEAP_PACE_H
#define PORT_MEMORY_HEAP_PACE_H

#include <stdbool.h>

/* The rate that was asked for, in bytes, and the most samples in a second. Call
 * once. */
void heap_pace_init(double rate, unsigned most);

/* The rate now. Any thread, no GIL. */
double heap_pace_rate(void);

/* The rate that no sample is below. GIL held, as for all that follow. */
double heap_pace_least(void);

/* To be called now and then: the rate goes down again when it can. `has_room`:
 * there could be many more samples. */
void heap_pace_look(bool has_room);

/* There is one more. */
void heap_pace_took(void);

/* There are too many of them: from now on there are half as many. */
void heap_pace_double(void);

#endif
