/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap's profile as it is in builds for tests, where it ends the program
 * when something that it does ends up in it again.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/heap_profile.h"

static PyMemAllocatorEx hook;
static bool is_wrong;

/* An allocator below the hook that asks the hook. */
static void *below_malloc(void *ctx, size_t n)
{
    return is_wrong ? hook.malloc(ctx, n) : malloc(n);
}

static void *below_calloc(void *ctx, size_t n, size_t size)
{
    (void)ctx;
    return calloc(n, size);
}

static void *below_realloc(void *ctx, void *block, size_t n)
{
    if (is_wrong)
        hook.free(ctx, NULL);
    return realloc(block, n);
}

static void below_free(void *ctx, void *block)
{
    (void)ctx;
    free(block);
}

/* What was drawn is used up. */
static void allocate(void)
{
    hook.free(hook.ctx, hook.malloc(hook.ctx, 1UL << 30));
}

static void reallocate(void)
{
    void *block = malloc(10);
    hook.free(hook.ctx, hook.realloc(hook.ctx, block, 1UL << 30));
}

static int status_of(void (*what)(void))
{
    int status = -1;
    const pid_t child = fork();
    if (child == 0) {
        what();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void it_ends_the_program(void **state)
{
    (void)state;
    is_wrong = true;
    assert_int_equal(WTERMSIG(status_of(allocate)), SIGABRT);
    assert_int_equal(WTERMSIG(status_of(reallocate)), SIGABRT);
}

static void without_it_nothing_happens(void **state)
{
    (void)state;
    is_wrong = false;
    assert_int_equal(status_of(allocate), 0);
    assert_int_equal(status_of(reallocate), 0);
}

static int start(void **state)
{
    const PyMemAllocatorEx below = {NULL, below_malloc, below_calloc,
                                    below_realloc, below_free};
    const struct heap_profile_options options = {512, 64, 1000};
    (void)state;
    hook = heap_profile_on(&below);
    return heap_profile_init(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ends_the_program),
        cmocka_unit_test(without_it_nothing_happens),
    };
    return cmocka_run_group_tests_name("reentry", tests, start, NULL);
}
