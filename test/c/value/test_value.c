/* SPDX-License-Identifier: Apache-2.0
 *
 * value: each row of the value tables, both ways, and what may not happen on
 * the way: lost references, crashes when containers change, when memory ends,
 * or when values are deep or huge.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <pthread.h>

#include "../rows.h"
#include "value/atoms.h"
#include "../values.h"
#include "wire/protocol.h"
#include "wire/put.h"

static char text[8192];

static void each_row_to_python(void **state)
{
    (void)state;
    const struct form form = default_form();
    for (size_t i = 0; i < ROWS(to_python); i++) {
        struct buf out;
        PyObject *x = decode_hex(to_python[i].hex, &form);
        if (!x)
            embed_die(to_python[i].hex);
        if (!embed_holds(to_python[i].holds, x))
            fail_msg("%s: not so: %s", to_python[i].hex, to_python[i].holds);
        assert_int_equal(encode(&out, x, &form), 0);
        show(out.data, text, sizeof text);
        assert_string_equal(text, to_python[i].back);
        buf_free(&out);
        Py_DECREF(x);
    }
}

static void each_row_to_erlang(void **state)
{
    (void)state;
    const struct form form = default_form();
    for (size_t i = 0; i < ROWS(to_erlang); i++) {
        encode_text(to_erlang[i].expression, &form, text, sizeof text);
        assert_string_equal(text, to_erlang[i].term);
    }
}

/* Pids, references, ports and funs in every form come back byte for byte. */
static void opaque_terms_come_back(void **state)
{
    (void)state;
    const struct form form = default_form();
    int seen = 0;
    for (size_t i = 0; i < N_TERMS; i++) {
        struct buf out;
        size_t n;
        char *bytes = from_hex(terms[i].hex, &n);
        if (classes_of_tag((unsigned char)bytes[1]) != ERL_OTHER) {
            PyObject *x = decode_hex(terms[i].hex, &form);
            assert_true(embed_holds(
                "{x: 1}[x] == 1 and x != 1 and repr(x).startswith('<erlang.')"
                " and __import__('pickle').loads("
                "__import__('pickle').dumps(x)) == x"
                " and __import__('copy').deepcopy(x) is x",
                x));
            assert_int_equal(encode(&out, x, &form), 0);
            assert_int_equal(out.len, n - 1);
            assert_memory_equal(out.data, bytes + 1, n - 1);
            buf_free(&out);
            Py_DECREF(x);
            seen++;
        }
        free(bytes);
    }
    assert_true(seen > 10);
}

static void opaque_terms_have_a_nice_repr(void **state)
{
    (void)state;
    assert_true(embed_holds(
        "repr(erlang.Pid(b'X\\x77\\1a' + bytes(3) + b'\\x09' + bytes(8)))"
        " == '<erlang.Pid a.9.0>'",
        Py_None));
    assert_true(embed_holds("repr(erlang.Pid(b'X\\x77\\5a'))"
                            " == '<erlang.Pid 58770561>'",
                            Py_None));
}

/* ---- options ---- */

static void option_binaries(void **state)
{
    (void)state;
    struct form form = default_form();
    form.bytes = true;
    PyObject *x = decode_hex("837400000001"
                             "7701616d00000001ff",
                             &form);
    assert_true(embed_holds("x == {'a': b'\\xff'}", x));
    Py_DECREF(x);
}

static void option_none(void **state)
{
    (void)state;
    struct form form = default_form();
    form.none_len = snprintf(form.none, sizeof form.none, "null");
    encode_text("[None, {'a': None}]", &form, text, sizeof text);
    assert_string_equal(text, "[null,#{<<\"a\">>=>null}]");
    PyObject *x = decode_hex("8377046e756c6c", &form);
    assert_ptr_equal(x, Py_None);
    Py_DECREF(x);
    encode_text("{None: 1, Atom('null'): 2}", &form, text, sizeof text);
    assert_string_equal(text, "ValueError: result: keys None and Atom('null') "
                              "become the same Erlang term");
}

static void numpy_values(void **state)
{
    (void)state;
    struct form form = default_form();
    PyObject *numpy = python_module("numpy");
    if (!numpy) {
        PyErr_Clear();
        skip();
    }
    Py_DECREF(numpy);
    embed_run("import numpy as np");
    encode_text("[np.int64(7), np.float32(.5), np.bool_(1), np.str_('s'),"
                " np.float64('nan'), np.array(5), np.zeros((0,))]",
                &form, text, sizeof text);
    assert_string_equal(text,
                        "[7,0.50000000000000000,true,<<\"s\">>,nan,5,[]]");
    encode_text("np.array([[1, 2], [3, 4]], dtype='i2')", &form, text,
                sizeof text);
    assert_string_equal(text, "[[1,2],[3,4]]");
    encode_text("[np.array([1, 'a', None], dtype=object),"
                " np.datetime64('2026-01-02'),"
                " np.array(['2026-01-02'], dtype='M8[D]')]",
                &form, text, sizeof text);
    assert_string_equal(text, "[[1,<<\"a\">>,none],<<\"2026-01-02\">>,"
                              "[<<\"2026-01-02\">>]]");
    encode_text("[np.longdouble(1)]", &form, text, sizeof text);
    assert_non_null(strstr(text, "TypeError: result[0]: cannot encode numpy."));
    form.arrays_binary = true;
    encode_text("np.array([[1, 2], [3, 4]], dtype='u1').T", &form, text,
                sizeof text);
    assert_string_equal(text, "{ndarray,<<\"|u1\">>,{2,2},<<1,3,2,4>>}");
    encode_text("np.array([1, 'a'], dtype=object)", &form, text, sizeof text);
    assert_string_equal(text, "[1,<<\"a\">>]");
}

/* ---- the package ---- */

static void the_package_itself(void **state)
{
    (void)state;
    embed_run("with open(os.environ['top_srcdir'] + '/test/py/package.py')"
              " as file:\n"
              "    exec(compile(file.read(), 'package.py', 'exec'), {})\n");
}

/* ---- depth and size ---- */

static void nests_as_deep_as_the_scan_allows(void **state)
{
    (void)state;
    const struct form form = default_form();
    struct buf out;
    static const char *const wraps[] = {
        "nested(4096, lambda x: [x], [])",
        "nested(4096, lambda x: (x,))",
        "nested(4096, lambda x: {'k': x})",
        "nested(4096, lambda x: erlang.ImproperList([x], 1))",
        "nested(2048, lambda x: {1: (x,)})",
    };
    for (size_t i = 0; i < ROWS(wraps); i++) {
        size_t at = 0;
        PyObject *x = embed_eval(wraps[i]);
        assert_int_equal(encode(&out, x, &form), 0);
        PyObject *y = value_decode(out.data, &at, &form, "args");
        assert_non_null(y);
        assert_int_equal(at, out.len);
        buf_free(&out);
        Py_DECREF(y);
        Py_DECREF(x);
    }
    encode_text("nested(4097, lambda x: [x])", &form, text, sizeof text);
    assert_non_null(strstr(text, "ValueError: result[0][0][0]"));
    assert_non_null(strstr(text, "[0]\xe2\x80\xa6: nested deeper than 4096"));
    encode_text("nested(100000, lambda x: {'k': x})", &form, text, sizeof text);
    assert_non_null(strstr(text, "nested deeper than 4096"));
    encode_text("cycle([1])", &form, text, sizeof text);
    assert_non_null(strstr(text, "result[1][1]"));
    encode_text("[Again()]", &form, text, sizeof text);
    assert_non_null(strstr(text, "result[0]: nested deeper than 4096"));
}

/* What a thread with a small stack finds out about these. */
static struct {
    PyObject *deep, *flat;
    struct buf frame; /* the deep one */
    char encoded[8192], decoded[8192], read[8192];
    int rc;
} small;

static void *on_a_small_stack(void *unused)
{
    const struct form form = default_form();
    struct buf out;
    size_t at = 0;
    PyGILState_STATE gil = PyGILState_Ensure();
    encode(&out, small.deep, &form);
    take_error(small.encoded, sizeof small.encoded);
    buf_free(&out);
    Py_XDECREF(value_decode(small.frame.data, &at, &form, "args"));
    take_error(small.decoded, sizeof small.decoded);
    at = 0;
    Py_XDECREF(value_decode_text(small.frame.data, &at, &form, "code"));
    take_error(small.read, sizeof small.read);
    small.rc = encode(&out, small.flat, &form);
    buf_free(&out);
    PyGILState_Release(gil);
    return unused;
}

static void run_on_a_stack_of(size_t size)
{
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, size);
    Py_BEGIN_ALLOW_THREADS
    if (pthread_create(&thread, &attr, on_a_small_stack, NULL) == 0)
        pthread_join(thread, NULL);
    Py_END_ALLOW_THREADS
    pthread_attr_destroy(&attr);
}

/* threading.stack_size is the user's choice. */
static void nests_as_deep_as_the_stack_allows(void **state)
{
    (void)state;
    const struct form form = default_form();
    small.deep = embed_eval("nested(4000, lambda x: [x], 'a')");
    small.flat = embed_eval("[{(1, 2): [{3}]}]");
    small.rc = -1;
    assert_int_equal(encode(&small.frame, small.deep, &form), 0);
    run_on_a_stack_of((size_t)192 * 1024);
    assert_non_null(strstr(small.encoded, "ValueError: result[0][0]"));
    assert_non_null(strstr(small.encoded, ": nested too deep for the stack"));
    assert_non_null(strstr(small.decoded, "BadArg: args[0][0]"));
    assert_non_null(strstr(small.decoded, ": nested too deep for the stack"));
    assert_non_null(strstr(small.read, "code: nested too deep for the stack"));
    assert_int_equal(small.rc, 0);
    buf_free(&small.frame);
    Py_CLEAR(small.deep);
    Py_CLEAR(small.flat);
}

/* ---- keys ---- */

/* Within a key a term is written in one way, so that keys can be compared. */
static void keys_are_written_in_one_way(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"{Term({'x': 1, 'y': 2}): 3, Term({'y': 1, 'x': 2}): 4}",
         "#{#{<<\"x\">>=>1,<<\"y\">>=>2}=>3,#{<<\"x\">>=>2,<<\"y\">>=>1}=>4}"},
        {"{(1, Term({'b': Term({2: 3, 1: 2}), 'a': 4})): 0}",
         "#{{1,#{<<\"a\">>=>4,<<\"b\">>=>#{1=>2,2=>3}}}=>0}"},
        {"{Term({(2, Term({5: 6, 4: 7})): 8, (1,): 9}): 0}",
         "#{#{{1}=>9,{2,#{4=>7,5=>6}}=>8}=>0}"},
        {"{Term(Improper([1], Improper([2], 3))): 4}", "#{[1,2|3]=>4}"},
        {"{Term(Improper([1], Improper([2], Improper([3], [4])))): 5}",
         "#{[1,2,3,4]=>5}"},
        {"{Term(Improper([1], [])): 2}", "#{[1]=>2}"},
        {"{Term(dict(x=1, y=2)): 1, Term(dict(y=2, x=1)): 2}",
         "ValueError: result: keys Term and Term become the same Erlang term"},
        {"[{(1, Term({2: 3, 4: 5})): 1, (1, Term({4: 5, 2: 3})): 2}]",
         "ValueError: result[0]: keys (1, Term) and (1, Term) become the same "
         "Erlang term"},
        {"{Term(Improper([1], [2])): 1, Term([1, 2]): 2}",
         "ValueError: result: keys Term and Term become the same Erlang term"},
        {"{Term({'a': 1, b'a': 2}): 1}",
         "ValueError: result.keys()[0]: keys 'a' and b'a' become the same "
         "Erlang term"},
        /* no keys */
        {"[{'y': 1, 'x': 2}]", "[#{<<\"y\">>=>1,<<\"x\">>=>2}]"},
        {"{Term([1]): {'y': 1, 'x': 2}}",
         "#{[1]=>#{<<\"y\">>=>1,<<\"x\">>=>2}}"},
    };
    const struct form form = default_form();
    embed_run("class Term:\n"
              "    def __init__(self, term): self.term = term\n"
              "    def __repr__(self): return 'Term'\n"
              "erlang.encoder(Term, lambda obj: obj.term)\n"
              "Improper = erlang.ImproperList\n");
    for (size_t i = 0; i < ROWS(rows); i++) {
        encode_text(rows[i][0], &form, text, sizeof text);
        assert_string_equal(text, rows[i][1]);
    }
}

static void integers_of_any_size(void **state)
{
    (void)state;
    const struct form form = default_form();
    PyObject *x = embed_eval("[s * ((1 << b) + d) for s in (1, -1)"
                             " for d in (-1, 0, 1) for b in"
                             " [*range(0, 600), 2039, 2040, 2048, 10**8]]");
    struct buf out;
    size_t at = 0;
    assert_int_equal(encode(&out, x, &form), 0);
    PyObject *y = value_decode(out.data, &at, &form, "args");
    assert_int_equal(PyObject_RichCompareBool(x, y, Py_EQ), 1);
    buf_free(&out);
    Py_DECREF(y);
    Py_DECREF(x);
}

static void too_large_is_an_overflow_error(void **state)
{
    (void)state;
    const struct form form = default_form();
    struct buf out;
    PyObject *x = embed_eval("['a' * 100, b'b' * 100]");
    buf_init(&out, 150 + FRAME_HEADER);
    assert_int_equal(value_encode(&out, x, &form, "result"), -1);
    take_error(text, sizeof text);
    assert_string_equal(text, "OverflowError: result is larger than max_frame"
                              " (150 bytes)");
    buf_free(&out);
    Py_DECREF(x);
}

/* ---- what changes while it is encoded ---- */

static void containers_that_change(void **state)
{
    (void)state;
    const struct form form = default_form();
    encode_text("holder(list, lambda v, s: v.extend([1, s, 2, 3]), Shrink)",
                &form, text, sizeof text);
    assert_string_equal(text, "RuntimeError: result: list changed size while "
                              "it was encoded");
    encode_text("holder(dict, lambda v, s: v.update(a=1, b=s, c=2), Shrink)",
                &form, text, sizeof text);
    assert_string_equal(text, "RuntimeError: result: dict changed size while "
                              "it was encoded");
    encode_text("holder(set, lambda v, s: v.update([1, s]), Shrink)", &form,
                text, sizeof text);
    assert_int_equal(text[0], '['); /* it was copied before */
    for (int i = 1; i < 40; i++) {
        snprintf(text, sizeof text,
                 "holder(dict, lambda v, s: v.update({**{str(i): s if i == 3 "
                 "else i for i in range(%d)}}), Rotate)",
                 i);
        PyObject *x = embed_eval(text);
        struct buf out;
        if (encode(&out, x, &form) < 0)
            PyErr_Clear();
        buf_free(&out);
        Py_DECREF(x);
    }
}

static void an_encoder_that_fails_is_the_cause(void **state)
{
    (void)state;
    const struct form form = default_form();
    struct buf out;
    PyObject *x = embed_eval("[Fails()]");
    assert_int_equal(encode(&out, x, &form), -1);
    PyObject *exc = python_fetch_error();
    assert_true(embed_holds("type(x.__cause__) is LookupError", exc));
    Py_DECREF(exc);
    buf_free(&out);
    Py_DECREF(x);
}

/* ---- references ---- */

/* Blocks that are in use: of Python's allocator, or of malloc below it. */
static size_t blocks(void)
{
    static PyObject *count;
    if (!count)
        count = embed_eval("lambda: [__import__('gc').collect(),"
                           " sys.getallocatedblocks()][1]");
    PyObject *n = PyObject_CallNoArgs(count);
    size_t used = PyLong_AsSize_t(n);
    Py_DECREF(n);
    return used ? used : mallinfo2().uordblks / 64;
}

#define ROUNDS 2000

static void no_round_leaves_anything(const char *what, void (*round)(size_t),
                                     size_t row)
{
    for (int i = 0; i < 20; i++)
        round(row);
    size_t before = blocks();
    for (int i = 0; i < ROUNDS; i++)
        round(row);
    size_t after = blocks();
    if (after > before + ROUNDS / 2)
        fail_msg("%s, row %zu: %zu blocks more after %d rounds", what, row,
                 after - before, ROUNDS);
}

static void decode_round(size_t row)
{
    const struct form form = default_form();
    PyObject *x = decode_hex(to_python[row].hex, &form);
    Py_DECREF(x);
}

static PyObject *sent; /* the same object in each round */

static void encode_round(size_t row)
{
    (void)row;
    struct buf out;
    const struct form form = default_form();
    assert_int_equal(encode(&out, sent, &form), 0);
    buf_free(&out);
}

static void references_are_balanced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(to_python); i++)
        no_round_leaves_anything("to Python", decode_round, i);
    for (size_t i = 0; i < ROWS(to_erlang); i++) {
        sent = embed_eval(to_erlang[i].expression);
        no_round_leaves_anything("to Erlang", encode_round, i);
        Py_CLEAR(sent);
    }
}

/* Atoms are kept, but not all that there ever were. */
static void the_cache_of_atoms_is_bounded(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(name, sizeof name, "atom_%d", i);
        Py_XDECREF(atoms_get(name, (size_t)n));
    }
    size_t before = blocks();
    for (int i = 20000; i < 120000; i++) {
        int n = snprintf(name, sizeof name, "atom_%d", i);
        Py_XDECREF(atoms_get(name, (size_t)n));
    }
    assert_true(blocks() < before + 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_to_python),
        cmocka_unit_test(each_row_to_erlang),
        cmocka_unit_test(opaque_terms_come_back),
        cmocka_unit_test(opaque_terms_have_a_nice_repr),
        cmocka_unit_test(option_binaries),
        cmocka_unit_test(option_none),
        cmocka_unit_test(numpy_values),
        cmocka_unit_test(the_package_itself),
        cmocka_unit_test(nests_as_deep_as_the_scan_allows),
        cmocka_unit_test(nests_as_deep_as_the_stack_allows),
        cmocka_unit_test(keys_are_written_in_one_way),
        cmocka_unit_test(integers_of_any_size),
        cmocka_unit_test(too_large_is_an_overflow_error),
        cmocka_unit_test(containers_that_change),
        cmocka_unit_test(an_encoder_that_fails_is_the_cause),
        cmocka_unit_test(references_are_balanced),
        cmocka_unit_test(the_cache_of_atoms_is_bounded),
    };
    embed_start();
    embed_run(CLASSES);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
