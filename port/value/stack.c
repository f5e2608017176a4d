/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "value/stack.h"

#include <pthread.h>
#include <stdint.h>

/* Bytes of stack that are kept for Python code; half of a small stack. */
#define KEPT ((size_t)64 * 1024)

/* A thread's stack, which grows down to its lowest address, and how much of it
 * is kept. All zero: it is not known. */
struct stack {
    uintptr_t lowest;
    size_t kept;
};

static struct stack stack_of_thread(void)
{
    void *lowest = NULL;
    size_t size = 0;
#ifdef __GLIBC__
    pthread_attr_t attr;
    if (pthread_getattr_np(pthread_self(), &attr) == 0) {
        if (pthread_attr_getstack(&attr, &lowest, &size) != 0)
            size = 0;
        pthread_attr_destroy(&attr);
    }
#endif
    return (struct stack){(uintptr_t)lowest, size / 2 < KEPT ? size / 2 : KEPT};
}

/* It does not take the address of a local: AddressSanitizer keeps those
 * elsewhere. Code on a stack that is not the thread's own is not near its end.
 */
bool stack_is_low(size_t need)
{
    static _Thread_local bool known;
    static _Thread_local struct stack stack;
    if (!known) {
        stack = stack_of_thread();
        known = true;
    }
    const size_t left = (uintptr_t)__builtin_frame_address(0) - stack.lowest;
    return stack.kept > 0 && left < (need > stack.kept ? need : stack.kept);
}
