/* SPDX-License-Identifier: Apache-2.0
 *
 * The hook in a Python: every byte that its allocators hand out is in use until
 * it is freed, in each domain, of each size.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdlib.h>

#include "../embed.h"
#include "memory/heap_account.h"
#include "memory/heap_arena.h"
#include "memory/heap_hook.h"

#define SMALL 512 /* the largest block in an arena */
#define STEP 16
#define BLOCKS 5000

static char *blocks[BLOCKS];

static size_t current(void)
{
    struct heap_numbers numbers;
    heap_account_read(&numbers);
    return numbers.current;
}

/* What the allocator makes of a size. */
static size_t rounded(void *block, size_t n)
{
    return heap_arena_has(block) ? (n + STEP - 1) / STEP * STEP
                                 : malloc_usable_size(block);
}

static size_t allocate(size_t n)
{
    size_t sum = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = PyObject_Malloc(n);
        assert_non_null(blocks[i]);
        sum += rounded(blocks[i], n);
    }
    return sum;
}

/* Every second one first: so pools are left half full. */
static void free_all(void)
{
    for (size_t i = 0; i < BLOCKS; i += 2)
        PyObject_Free(blocks[i]);
    for (size_t i = 1; i < BLOCKS; i += 2)
        PyObject_Free(blocks[i]);
}

static void each_size_is_counted_to_the_byte(void **state)
{
    (void)state;
    for (size_t n = 1; n <= SMALL + 200; n += 31) {
        const size_t before = current();
        const size_t sum = allocate(n);
        assert_int_equal(current() - before, sum);
        for (size_t i = 0; i < BLOCKS; i += 2)
            PyObject_Free(blocks[i]);
        assert_true(current() - before < sum * 6 / 10);
        for (size_t i = 1; i < BLOCKS; i += 2)
            PyObject_Free(blocks[i]);
        assert_int_equal(current(), before);
    }
}

/* From small to large and back, over the border between arenas and malloc. */
static void a_block_may_change_its_size(void **state)
{
    static const size_t sizes[] = {1, 500, 512, 513, 100000, 300, 0, 20};
    const size_t before = current();
    void *block = NULL;
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *moved = PyMem_Realloc(block, sizes[i]);
        assert_non_null(moved);
        block = moved;
        assert_true(current() - before >= sizes[i]);
    }
    PyMem_Free(block);
    assert_int_equal(current(), before);
}

static void each_domain_is_counted(void **state)
{
    const size_t before = current();
    (void)state;
    void *object = PyObject_Calloc(10, 10000);
    void *mem = PyMem_Malloc(100000);
    void *raw = PyMem_RawMalloc(100000);
    assert_true(current() - before >= 300000);
    void *shrunk = PyMem_RawRealloc(raw, 50);
    assert_non_null(shrunk);
    assert_true(current() - before < 210000);
    PyObject_Free(object);
    PyMem_Free(mem);
    PyMem_RawFree(shrunk);
    assert_int_equal(current(), before);
}

static void nothing_is_freed_twice(void **state)
{
    const size_t before = current();
    (void)state;
    PyObject_Free(NULL);
    PyMem_Free(NULL);
    PyMem_RawFree(NULL);
    assert_int_equal(current(), before);
}

static void arenas_come_and_go(void **state)
{
    const size_t before = heap_arena_count();
    (void)state;
    (void)allocate(SMALL);
    assert_true(heap_arena_count() > before);
    assert_true(heap_arena_has(blocks[0]));
    assert_false(heap_arena_has(blocks));
    assert_false(heap_arena_has(NULL));
    free_all();
    assert_true(heap_arena_count() <= before + 1);
}

/* tracemalloc comes above the hook: nothing is lost when it goes, whether it
 * was allocated before or after that. */
static void tracing_changes_nothing(void **state)
{
    (void)state;
    embed_run("import tracemalloc\n"
              "tracemalloc.start()\n"
              "tracemalloc.stop()");
    const size_t before = current();
    (void)allocate(100);
    embed_run("tracemalloc.start()");
    free_all();
    const size_t sum = allocate(SMALL + 1);
    embed_run("tracemalloc.stop()");
    assert_in_range(current(), before + sum - 50000, before + sum + 50000);
    free_all();
    assert_in_range(current(), before - 50000, before + 50000);
}

/* With the limit that a job has. */
static void a_job_is_refused_what_is_too_much(void **state)
{
    (void)state;
    assert_int_equal(heap_hook_limit(current() + 10 * HEAP_ARENA_SIZE), 0);
    heap_account_begin_job();
    assert_null(PyObject_Malloc(11 * HEAP_ARENA_SIZE));
    assert_null(PyMem_Calloc(13, HEAP_ARENA_SIZE));
    assert_null(PyMem_Realloc(NULL, 13 * HEAP_ARENA_SIZE));
    void *raw = PyMem_RawMalloc(13 * HEAP_ARENA_SIZE);
    assert_non_null(raw);
    PyMem_RawFree(raw);
    heap_account_end_job();
    void *object = PyObject_Malloc(13 * HEAP_ARENA_SIZE);
    assert_non_null(object);
    heap_account_begin_job();
    object = PyObject_Realloc(object, 10 * HEAP_ARENA_SIZE);
    assert_non_null(object);
    heap_account_end_job();
    PyObject_Free(object);
    assert_int_equal(heap_hook_limit(HEAP_NO_LIMIT), 0);
}

/* Arenas are refused, and pymalloc does not get around it by RAW. */
static void small_blocks_are_refused_too(void **state)
{
    size_t n = 0, first = 0;
    void **last = NULL;
    (void)state;
    assert_int_equal(heap_hook_limit(current() + 4 * HEAP_ARENA_SIZE), 0);
    heap_account_begin_job();
    for (void **block; n < 100000 && (block = PyObject_Malloc(SMALL)); n++) {
        *block = last;
        last = block;
    }
    heap_account_end_job();
    for (void **block = last; block; block = last, first++) {
        last = *block;
        PyObject_Free(block);
    }
    assert_int_equal(n, first);
    assert_in_range(n, 3 * HEAP_ARENA_SIZE / SMALL,
                    6 * HEAP_ARENA_SIZE / SMALL);
    void *raw = PyMem_RawMalloc(SMALL);
    assert_non_null(raw);
    PyMem_RawFree(raw);
    assert_int_equal(heap_hook_limit(HEAP_NO_LIMIT), 0);
}

/* The allocator that this test is about, whatever others run with. */
static int start(void **state)
{
    (void)state;
    unsetenv("PYTHONMALLOC");
    PyStatus status =
        heap_hook_install(&(struct heap_hook_options){.account = true});
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    embed_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    embed_stop();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_size_is_counted_to_the_byte),
        cmocka_unit_test(a_block_may_change_its_size),
        cmocka_unit_test(each_domain_is_counted),
        cmocka_unit_test(nothing_is_freed_twice),
        cmocka_unit_test(arenas_come_and_go),
        cmocka_unit_test(tracing_changes_nothing),
        cmocka_unit_test(a_job_is_refused_what_is_too_much),
        cmocka_unit_test(small_blocks_are_refused_too),
    };
    return cmocka_run_group_tests_name("heap", tests, start, stop);
}
