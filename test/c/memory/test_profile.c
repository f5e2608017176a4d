/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap's profile in a Python: what samples stand for is what is there, and
 * they last as long as their blocks.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/chance.h"
#include "memory/heap_account.h"
#include "memory/heap_hook.h"
#include "memory/heap_pace.h"
#include "memory/heap_samples.h"
#include "../profiled.h"

#define BLOCKS 20000

static char *blocks[BLOCKS];

/* ---- estimates -------------------------------------------------------- */

static void allocate(size_t n)
{
    for (size_t i = 0; i < BLOCKS; i++)
        assert_non_null(blocks[i] = PyObject_Malloc(n));
}

static void free_all(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        PyObject_Free(blocks[i]);
}

/* How many standard errors it is off. */
static double error_of(struct sums sums, double bytes)
{
    return (sums.bytes - bytes) / sqrt(sums.variance);
}

/* Within three standard errors; and in the mean of many looks nothing is left
 * of the error. */
static void estimates_are_as_good_as_they_say(void **state)
{
    static const size_t sizes[] = {16, 48, 256, 512};
    double sum = 0, squares = 0;
    const int looks = 100;
    int outside = 0;
    (void)state;
    for (int i = 0; i < looks; i++) {
        const size_t n = sizes[i % 4];
        const size_t before = exact();
        const uint64_t mark = numbers().last;
        allocate(n);
        const double off = error_of(since(mark), (double)(exact() - before));
        outside += fabs(off) > 3;
        sum += off;
        squares += off * off;
        free_all();
        assert_int_equal(since(mark).n, 0);
    }
    assert_true(outside <= 2); /* one in 370 */
    assert_true(fabs(sum / looks) < 3 / sqrt(looks));
    assert_true(squares / looks > 0.6 && squares / looks < 1.5);
}

/* Those that are much larger than the rate are all there. */
static void large_blocks_are_exact(void **state)
{
    const uint64_t mark = numbers().last;
    const size_t n = 100 * RATE;
    (void)state;
    for (int i = 0; i < 100; i++)
        memset(blocks[i] = PyMem_Malloc(n), i, n);
    assert_true(fabs(since(mark).bytes - 100.0 * n) < 1);
    assert_int_equal(since(mark).n, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(blocks[i][n - 1], i);
        PyMem_Free(blocks[i]);
    }
    assert_int_equal(since(mark).n, 0);
}

static void what_is_wanted_empty_is_empty(void **state)
{
    (void)state;
    for (size_t n = 1; n < 20 * RATE; n = n * 3 / 2 + 1)
        for (int i = 0; i < 100; i++) {
            char *block = PyObject_Calloc(1, n);
            for (size_t k = 0; k < n; k++)
                assert_int_equal(block[k], 0);
            memset(block, 1, n);
            PyObject_Free(block);
        }
}

/* ---- reallocation ----------------------------------------------------- */

static void fill(char *block, size_t n)
{
    for (size_t i = 0; i < n; i++)
        block[i] = (char)(i * 7);
}

static void check(const char *block, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(block[i], (char)(i * 7));
}

/* From each size to each, sampled or not, a few times over. */
static void a_block_keeps_what_is_in_it(void **state)
{
    static const size_t sizes[] = {1,    16,    500,   512,    513,   600,
                                   5000, 30000, 32768, 100000, 400000};
    const size_t count = sizeof sizes / sizeof *sizes;
    const size_t before = exact();
    const uint64_t mark = numbers().last;
    (void)state;
    for (size_t i = 0; i < count * count * 20; i++) {
        const size_t was = sizes[i % count], n = sizes[i / count % count];
        char *block = PyMem_Malloc(was);
        fill(block, was);
        char *moved = PyMem_Realloc(block, n);
        assert_non_null(moved);
        check(moved, was < n ? was : n);
        fill(moved, n);
        PyMem_Free(moved);
    }
    assert_int_equal(since(mark).n, 0);
    assert_int_equal(exact(), before);
}

/* As lists grow: what is in use is what the last one has. */
static void a_block_that_grows_counts_once(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        const uint64_t mark = numbers().last;
        char *block = NULL;
        for (size_t n = 16; n < 1000000; n += n / 8 + 16)
            block = PyObject_Realloc(block, n);
        assert_int_equal(since(mark).n, 1);
        block = PyObject_Realloc(block, 100000);
        assert_true(since(mark).n == 1 && since(mark).bytes < 100001);
        block = PyObject_Realloc(block, 0);
        assert_non_null(block);
        assert_true(since(mark).n <= 1);
        PyObject_Free(block);
        assert_int_equal(since(mark).n, 0);
    }
}

/* It is still there, and a sample if it was one. */
static void what_cannot_grow_stays(void **state)
{
    (void)state;
    assert_int_equal(heap_hook_limit(exact() + 10000000), 0);
    for (size_t was = 8; was < 1000000; was *= 2) {
        const uint64_t mark = numbers().last;
        char *block = PyMem_Malloc(was);
        fill(block, was);
        const size_t samples = since(mark).n;
        heap_account_begin_job();
        assert_null(PyMem_Realloc(block, 20000000));
        assert_null(PyMem_Malloc(20000000));
        assert_null(PyMem_Calloc(2, 10000000));
        heap_account_end_job();
        check(block, was);
        assert_int_equal(since(mark).n, samples);
        PyMem_Free(block);
        assert_int_equal(since(mark).n, 0);
    }
    assert_int_equal(heap_hook_limit(HEAP_NO_LIMIT), 0);
}

/* ---- the switch, the mark, forks -------------------------------------- */

static void it_can_be_switched(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    heap_profile_switch(false);
    allocate(512);
    assert_int_equal(since(mark).n, 0);
    free_all();
    heap_profile_switch(true);
    allocate(512);
    assert_true(since(mark).n > 1000);
    heap_profile_switch(false);
    free_all();
    heap_profile_switch(true);
    assert_int_equal(since(mark).n, 0);
}

/* It frees what its parent has allocated, and says nothing of it. */
static void a_child_has_no_samples(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    allocate(512);
    blocks[0] = PyObject_Realloc(blocks[0], 500000);
    const size_t n = since(mark).n;
    const pid_t child = fork();
    if (child == 0) {
        const bool none = since(0).n == 0;
        free_all();
        allocate(512);
        _exit(none && since(0).n == 0 && numbers().live == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(since(mark).n, n);
    free_all();
}

/* ---- load ------------------------------------------------------------- */

/* Threads start and end, garbage is collected, tracing is on, children are
 * forked, exceptions are raised, deep stacks come and go. */
static void it_stands_a_load(void **state)
{
    (void)state;
    embed_run(
        "import threading, tracemalloc, gc, os, json, weakref\n"
        "def deep(n):\n"
        "    return deep(n - 1) if n else [bytes(700) for _ in range(20)]\n"
        "class Node:\n"
        "    def __init__(self): self.me = self; self.data = [0] * 50\n"
        "    def __del__(self): self.late = str(id(self)) * 10\n"
        "def fail(n):\n"
        "    try:\n"
        "        return fail(n - 1) if n else {}['no']\n"
        "    except KeyError as error:\n"
        "        raise ValueError('x' * 600) from error\n"
        "def work():\n"
        "    for i in range(30):\n"
        "        deep(90)\n"
        "        nodes = [Node() for _ in range(100)]\n"
        "        refs = [weakref.ref(n, lambda _: bytes(600)) for n in nodes]\n"
        "        json.loads(json.dumps({'a': list(range(300))}))\n"
        "        try: fail(20)\n"
        "        except ValueError: pass\n"
        "        exec('def f(): return list(range(500))\\nf()', {})\n"
        "        text = ''\n"
        "        for j in range(2000): text += 'abc'\n"
        "def threads():\n"
        "    all = [threading.Thread(target=work) for _ in range(6)]\n"
        "    for t in all: t.start()\n"
        "    for _ in range(5):\n"
        "        child = os.fork()\n"
        "        if not child:\n"
        "            deep(50); gc.collect(); os._exit(0)\n"
        "        assert os.waitpid(child, 0)[1] == 0\n"
        "    for t in all: t.join()\n"
        "threads()\n"
        "tracemalloc.start(5)\n"
        "threads()\n"
        "tracemalloc.stop()\n"
        "threads()\n"
        "gc.collect()\n");
}

/* Many more than there is room for: the sum is still what there is. */
static void there_are_never_more_than_so_many(void **state)
{
    enum { MANY = 200000 };
    static void *many[MANY];
    const size_t before = exact();
    const uint64_t mark = numbers().last;
    (void)state;
    for (size_t i = 0; i < MANY; i++) {
        many[i] = PyObject_Malloc(512);
        if (i % 1000 == 0)
            assert_in_range(numbers().live, 0, SAMPLES);
    }
    assert_true(numbers().thinned > 1000);
    assert_true(numbers().missed == 0);
    assert_true(heap_pace_least() > RATE);
    assert_true(fabs(error_of(since(mark), (double)(exact() - before))) < 4);
    for (size_t i = 0; i < MANY; i++)
        PyObject_Free(many[i]);
    assert_int_equal(since(mark).n, 0);
    assert_in_range(exact(), before, before + 100000); /* its list of arenas */
}

/* All of a second's samples, again and again. */
static void a_second_has_never_too_many(void **state)
{
    (void)state;
    heap_pace_init(RATE, 100);
    const uint64_t mark = numbers().last;
    for (int i = 0; i < 100000; i++)
        PyMem_Free(PyMem_Malloc(RATE));
    assert_in_range(numbers().last - mark, 10, 200);
    assert_true(heap_pace_rate() > 10 * RATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_are_as_good_as_they_say),
        cmocka_unit_test(large_blocks_are_exact),
        cmocka_unit_test(what_is_wanted_empty_is_empty),
        cmocka_unit_test(a_block_keeps_what_is_in_it),
        cmocka_unit_test(a_block_that_grows_counts_once),
        cmocka_unit_test(what_cannot_grow_stays),
        cmocka_unit_test(it_can_be_switched),
        cmocka_unit_test(a_child_has_no_samples),
        cmocka_unit_test(it_stands_a_load),
        cmocka_unit_test(there_are_never_more_than_so_many),
        cmocka_unit_test(a_second_has_never_too_many),
    };
    return cmocka_run_group_tests_name("profile", tests, start, stop);
}
