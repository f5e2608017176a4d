/* SPDX-License-Identifier: Apache-2.0
 *
 * chance: which blocks become samples, and what one sample stands for. Sampling
 * is by the byte: a random number of bytes lies between two samples, `rate` on
 * average, so a block of n bytes becomes a sample with a probability of 1 -
 * exp(-n / rate). Any thread, each with numbers of its own. No GIL.
 */
#ifndef PORT_MEMORY_CHANCE_H
#define PORT_MEMORY_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes until the next sample. */
int64_t chance_interval(double rate);

/* The probability with which a block becomes a sample. */
double chance_of(size_t n, double rate);

/* Says yes with that probability. */
bool chance_says(double probability);

/* From now on this thread draws the random numbers that follow from this one,
 * which is not 0. For tests. */
void chance_seed(uint64_t number);

#endif
