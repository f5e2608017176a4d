/* SPDX-License-Identifier: Apache-2.0
 *
 * keys: which keys of a dict become the same term, whatever comes before and
 * between them; dicts that change; and what it costs when dicts are nested.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "../rows.h"
#include "../values.h"

static char text[8192];

static const struct {
    const char *expression;
    const char *term;
} rows[] = {
    {"{1: 2, 'a': 3, b'b': 4, 'c': 5}",
     "#{1=>2,<<\"a\">>=>3,<<\"b\">>=>4,<<\"c\">>=>5}"},
    {"{'a': 1, 'b': 2, 'c': 3, b'b': 4}",
     "ValueError: result: keys 'b' and b'b' become the same Erlang term"},
    {"{'a': 1, b'x': 2, 'b': 3, b'b': 4}",
     "ValueError: result: keys 'b' and b'b' become the same Erlang term"},
    {"{b'b': 4, 1: 2, 'b': 3}",
     "ValueError: result: keys b'b' and 'b' become the same Erlang term"},
    {"{2**70: 1, Key(2**70): 2}",
     "ValueError: result: keys 1180591620717411303424 and Key become the same "
     "Erlang term"},
    {"{'\xc3\xa9': 1, '\xc3\xa9'.encode(): 2}",
     "ValueError: result: keys '\xc3\xa9' and b'\\xc3\\xa9' become the same "
     "Erlang term"},
    {"{erlang.Atom('ok'): 1, Key(erlang.Atom('ok')): 2}",
     "ValueError: result: keys Atom('ok') and Key become the same Erlang term"},
    {"{'x': {'a': {}, b'b': {'c': 1, b'c': 2}}, b'y': 1}",
     "ValueError: result['x'][b'b']: keys 'c' and b'c' become the same Erlang "
     "term"},
    {"{'a': Value(1), 'b': 2}", "#{<<\"a\">>=>1,<<\"b\">>=>2}"},
    {"changing(lambda d: (d.update(a=d.pop('a')), d.pop('c')))",
     "RuntimeError: result: dict changed while it was encoded"},
    {"changing(lambda d: (d.pop('a'), d.pop('c'), d.update(z=1)))",
     "RuntimeError: result: dict changed while it was encoded"},
    {"changing(lambda d: d.update(a=5))",
     "#{<<\"a\">>=>1,<<\"b\">>=>0,<<\"c\">>=>3}"},
};

static void each_row(void **state)
{
    (void)state;
    const struct form form = default_form();
    for (size_t i = 0; i < ROWS(rows); i++) {
        encode_text(rows[i].expression, &form, text, sizeof text);
        assert_string_equal(text, rows[i].term);
    }
}

/* Nanoseconds of this thread alone: what else runs here does not count. */
static double cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double cost(const char *expression)
{
    const struct form form = default_form();
    struct buf out;
    PyObject *x = embed_eval(expression);
    buf_init(&out, MAX_REPLY);
    const double before = cpu();
    assert_int_equal(value_encode(&out, x, &form, "result"), 0);
    const double after = cpu();
    buf_free(&out);
    Py_DECREF(x);
    return after - before;
}

/* If each level were looked through, it would be a hundred times as much. */
static void nested_dicts_cost_what_flat_ones_do(void **state)
{
    (void)state;
    static const char *const nested[] = {
        "nest(lambda x: {(1, 2): x})",
        "nest(lambda x: {'a': x, b'b': 1})",
        "nest(lambda x: {1.5: 1, 'a': x})",
        "nest(lambda x: {'a': x}, Value(1))",
    };
    const double flat = cost("nest(lambda x: {'a': x})");
    for (size_t i = 0; i < ROWS(nested); i++)
        assert_true(cost(nested[i]) < 10 * flat);
}

#define CLASSES \
    "import erlang\n" \
    "class Key:\n" \
    "    def __init__(self, of): self.of = of\n" \
    "    def __repr__(self): return 'Key'\n" \
    "erlang.encoder(Key, lambda key: key.of)\n" \
    "class Value(Key): pass\n" \
    "class Change: pass\n" \
    "def changing(change):\n" \
    "    d = {'a': 1, 'b': Change(), 'c': 3}\n" \
    "    erlang.encoder(Change, lambda obj: change(d) and 0 or 0)\n" \
    "    return d\n" \
    "def nest(level, bottom=0):\n" \
    "    x = [bottom] + list(range(100000))\n" \
    "    for _ in range(1000): x = level(x)\n" \
    "    return x\n"

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(nested_dicts_cost_what_flat_ones_do),
    };
    embed_start();
    embed_run(CLASSES);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
