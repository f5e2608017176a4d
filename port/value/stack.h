/* SPDX-License-Identifier: Apache-2.0
 *
 * stack: how much is left of the calling thread's stack. Only since 3.14 Python
 * itself looks, and threads of the user's may have a stack of any size. Any
 * thread, no GIL.
 */
#ifndef PORT_VALUE_STACK_H
#define PORT_VALUE_STACK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether less than `need` bytes are left, or so little that no Python code
 * should be called. False where that cannot be known. Sets no exception. */
bool stack_is_low(size_t need);

#endif
