/* SPDX-License-Identifier: Apache-2.0
 *
 * nomemory: whichever allocation of Python's is the first to fail, and all
 * after it, the end is an exception, not a crash, and no half made value.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../values.h"

#define DOMAINS 3

static PyMemAllocatorEx below[DOMAINS];
static long allowed; /* allocations until one fails; < 0: all are allowed */

static bool refused(void)
{
    return allowed == 0 || (allowed > 0 && --allowed == 0);
}

static void *hook_malloc(void *ctx, size_t n)
{
    PyMemAllocatorEx *a = ctx;
    return refused() ? NULL : a->malloc(a->ctx, n);
}

static void *hook_calloc(void *ctx, size_t k, size_t n)
{
    PyMemAllocatorEx *a = ctx;
    return refused() ? NULL : a->calloc(a->ctx, k, n);
}

static void *hook_realloc(void *ctx, void *p, size_t n)
{
    PyMemAllocatorEx *a = ctx;
    return refused() ? NULL : a->realloc(a->ctx, p, n);
}

static void hook_free(void *ctx, void *p)
{
    PyMemAllocatorEx *a = ctx;
    a->free(a->ctx, p);
}

static const PyMemAllocatorDomain domains[DOMAINS] = {
    PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM, PYMEM_DOMAIN_OBJ};

static void hook_allocators(bool on)
{
    for (size_t i = 0; i < DOMAINS; i++) {
        if (on)
            PyMem_GetAllocator(domains[i], &below[i]);
        PyMemAllocatorEx hooked = {&below[i], hook_malloc, hook_calloc,
                                   hook_realloc, hook_free};
        PyMem_SetAllocator(domains[i], on ? &hooked : &below[i]);
    }
}

/* One attempt in which the n-th allocation and all after it fail. */
static bool attempt(PyObject *x, const char *frame, size_t len, long n)
{
    const struct form form = default_form();
    struct buf out, reason;
    size_t at = 0;
    buf_init(&out, MAX_REPLY);
    buf_init(&reason, MAX_REPLY);
    allowed = n;
    int rc = value_encode(&out, x, &form, "result");
    PyObject *y = rc < 0 ? NULL : value_decode(frame, &at, &form, "args");
    bool done = y != NULL;
    if (done)
        assert_int_equal(at, len);
    else
        assert_non_null(PyErr_Occurred());
    if (!done)
        exception_encode(&reason, &form);
    allowed = -1;
    assert_null(PyErr_Occurred());
    Py_XDECREF(y);
    buf_free(&reason);
    buf_free(&out);
    return done;
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    const struct form form = default_form();
    struct buf out;
    PyObject *x = embed_eval(
        "[1, 2**70, -2**3000, 1.5, 'a', '\\u20ac', b'b', bytearray(b'c'), {1},"
        " (2, {'k': [3]}), Atom('ok'), erlang.BitString(b'a', 5),"
        " erlang.ImproperList([4], 5), memoryview(b'abc')[::2],"
        " erlang._Memory(memoryview(b'abc')[::-1]), {None: 1, 2.5: 3},"
        " frozenset([6]),"
        " __import__('datetime').date(2026, 1, 1),"
        " erlang.Fun(b'\\x71\\x77\\x01a\\x77\\x01b\\x61\\x01')]");
    if (!x || encode(&out, x, &form) < 0)
        embed_die("a list of everything");
    hook_allocators(true);
    allowed = -1;
    assert_true(attempt(x, out.data, out.len, -1));
    long n = 1;
    while (!attempt(x, out.data, out.len, n))
        n++;
    hook_allocators(false);
    assert_true(n > 30);
    buf_free(&out);
    Py_DECREF(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
    };
    embed_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
