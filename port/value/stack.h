/* SPDX-License-Identifier: Apache-2.0
 *
 * stack: how much is left of the calling thread's stack. Python itself looks
 * only since 3.14, and the user's threads may have a stack of any size. Any
 * thread, no GIL.
 */
#ifndef PORT_VALUE_STACK_H
#define PORT_VALUE_STACK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether fewer than `need` bytes are left, or so few that no Python code
 * should be called. False where that cannot be known. Sets no exception. */
bool stack_is_low(size_t need);

#endif
