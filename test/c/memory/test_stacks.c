/* SPDX-License-Identifier: Apache-2.0
 *
 * The stacks of the heap's samples: their lines, and names that outlive their
 * code.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "memory/heap_names.h"
#include "../profiled.h"

struct wanted {
    const char *name;
    int line;
    size_t innermost;
    size_t outer;
};

static bool is(uint32_t number, const char *name, int line)
{
    const struct heap_name known = heap_names_get(number);
    return known.name_size == strlen(name) &&
           memcmp(known.name, name, known.name_size) == 0 &&
           (line == 0 || known.line == line);
}

static void look_for(const struct heap_sample *sample, void *arg)
{
    struct wanted *wanted = arg;
    for (uint32_t i = 0; i < sample->depth; i++)
        if (is(sample->frames[i], wanted->name, wanted->line))
            *(i == 0 ? &wanted->innermost : &wanted->outer) += 1;
}

static struct wanted found(uint64_t mark, const char *name, int line)
{
    struct wanted wanted = {name, line, 0, 0};
    heap_samples_visit(mark, look_for, &wanted);
    return wanted;
}

static void samples_know_their_lines(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    embed_run("kept = []\n"
              "def leak(n):\n"
              "    for i in range(n):\n"
              "        kept.append(\n"
              "            bytes(1000))\n"
              "        i = None\n"
              "def run():\n"
              "    x = 1\n"
              "    leak(3000)\n"
              "run()");
    const struct wanted leak = found(mark, "leak", 5);
    assert_true(leak.innermost > 500);
    assert_true(found(mark, "run", 9).outer >= leak.innermost);
    embed_run("kept.clear()");
    assert_true(found(mark, "leak", 0).innermost < 3);
}

static void generators_classes_and_lambdas_have_lines(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    embed_run("def generate():\n"
              "    while True:\n"
              "        yield bytes(5000)\n"
              "stock = [b for b, _ in zip(generate(), range(500))]\n"
              "make = lambda: \\\n"
              "    bytes(5000)\n"
              "stock += [make() for _ in range(500)]\n"
              "class Made:\n"
              "    stock.extend(map(lambda _:\n"
              "        bytearray(5000), range(500)))\n");
    assert_true(found(mark, "generate", 3).innermost > 300);
    assert_true(found(mark, "<lambda>", 6).innermost > 300);
    assert_true(found(mark, "Made", 9).outer > 300);
    embed_run("del stock");
}

/* Their names stay. */
static void code_may_be_freed(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    embed_run(
        "import gc\n"
        "saved = []\n"
        "for i in range(200):\n"
        "    space = {'saved': saved}\n"
        "    exec(compile('def short_%d():\\n"
        "    saved.append(bytes(20000))\\n' % i, 'gone', 'exec'), space)\n"
        "    space['short_%d' % i]()\n"
        "    del space\n"
        "gc.collect()\n");
    for (int i = 0; i < 200; i += 50) {
        char name[20];
        snprintf(name, sizeof name, "short_%d", i);
        assert_int_equal(found(mark, name, 2).innermost, 1);
    }
    embed_run("saved.clear()");
}

/* More names than there is room for: of those that are in use none is lost. */
static void names_that_nobody_needs_make_room(void **state)
{
    const uint64_t mark = numbers().last;
    (void)state;
    embed_run("lasting = []\n"
              "def first():\n"
              "    lasting.append(bytes(50000))\n"
              "def make(i):\n"
              "    code = first.__code__.replace(co_name='made_%d' % i,\n"
              "        co_filename='file %d' % i, co_firstlineno=i)\n"
              "    return type(first)(code, {'lasting': saved})\n"
              "first()\n"
              "saved = []\n"
              "for i in range(40000):\n"
              "    saved.clear()\n"
              "    make(i)()\n");
    assert_int_equal(heap_names_missing(), 0);
    assert_int_equal(found(mark, "first", 3).innermost, 1);
    embed_run("lasting.clear()\n"
              "saved.clear()");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_know_their_lines),
        cmocka_unit_test(generators_classes_and_lambdas_have_lines),
        cmocka_unit_test(code_may_be_freed),
        cmocka_unit_test(names_that_nobody_needs_make_room),
    };
    return cmocka_run_group_tests_name("stacks", tests, start, stop);
}
