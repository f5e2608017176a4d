/* SPDX-License-Identifier: Apache-2.0
 *
 * code: a text that comes again is not compiled again, and what is kept has
 * bounds: those that were used longest ago go.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../embed.h"
#include "task/code.h"

#define TEXTS_MAX 512
#define TEXT_MAX 4096
#define CHARS_MAX (256 * 1024)

typedef PyObject *code_fn(PyObject *text, const struct task_opts *opts);

static const struct task_opts no_opts = {.line = 1};

static PyObject *compile(code_fn *code_of, const char *text)
{
    PyObject *str = PyUnicode_FromString(text);
    PyObject *code = code_of(str, &no_opts);
    Py_DECREF(str);
    return code;
}

/* An expression of that length. */
static void compile_numbered(int n, int length)
{
    char text[TEXT_MAX + 2];
    snprintf(text, sizeof text, "'%0*d'", length - 2, n);
    PyObject *code = compile(code_of_expression, text);
    assert_non_null(code);
    Py_DECREF(code);
}

static long kept(const char *kind, const char *key)
{
    PyObject *all = code_kept();
    PyObject *of_kind = PyDict_GetItemString(all, kind);
    const long n = PyLong_AsLong(PyDict_GetItemString(of_kind, key));
    assert_null(PyErr_Occurred());
    Py_DECREF(all);
    return n;
}

static bool is_kept(const char *text)
{
    const long misses = kept("eval", "misses");
    Py_DECREF(compile(code_of_expression, text));
    return kept("eval", "misses") == misses;
}

static void the_same_text_has_the_same_code(void **state)
{
    (void)state;
    PyObject *first = compile(code_of_expression, " x + 1");
    PyObject *again = compile(code_of_expression, " x + 1");
    PyObject *other = compile(code_of_statements, "x + 1");
    assert_ptr_equal(first, again);
    assert_ptr_not_equal(first, other);
    assert_int_equal(kept("eval", "hits"), 1);
    assert_int_equal(kept("eval", "misses"), 1);
    assert_int_equal(kept("eval", "characters"), 6);
    assert_int_equal(kept("exec", "hits"), 0);
    assert_int_equal(kept("exec", "texts"), 1);
    Py_DECREF(first);
    Py_DECREF(again);
    Py_DECREF(other);
}

/* Whose text is somebody's file is compiled with that name, each time. */
static void what_has_a_file_is_not_kept(void **state)
{
    (void)state;
    const struct task_opts named = {
        .line = 1, .filename = "x.py", .filename_len = 4};
    const struct task_opts below = {.line = 7};
    const long texts = kept("exec", "texts");
    PyObject *text = PyUnicode_FromString("in_a_file = 1");
    PyObject *code = code_of_statements(text, &named);
    PyObject *other = code_of_statements(text, &below);
    assert_non_null(code);
    assert_non_null(other);
    assert_int_equal(kept("exec", "texts"), texts);
    Py_DECREF(text);
    Py_DECREF(code);
    Py_DECREF(other);
}

static void what_is_wrong_is_not_kept(void **state)
{
    (void)state;
    const long texts = kept("exec", "texts");
    for (int i = 0; i < 2; i++) {
        assert_null(compile(code_of_statements, "x ="));
        assert_true(PyErr_ExceptionMatches(PyExc_SyntaxError));
        PyErr_Clear();
    }
    assert_int_equal(kept("exec", "texts"), texts);
}

static void a_long_text_is_not_kept(void **state)
{
    (void)state;
    const long texts = kept("eval", "texts");
    compile_numbered(1, TEXT_MAX + 1);
    assert_int_equal(kept("eval", "texts"), texts);
    compile_numbered(1, TEXT_MAX);
    assert_int_equal(kept("eval", "texts"), texts + 1);
}

static void the_one_used_longest_ago_goes(void **state)
{
    (void)state;
    Py_DECREF(compile(code_of_expression, "'often'"));
    Py_DECREF(compile(code_of_expression, "'once'"));
    for (int i = 0; i < TEXTS_MAX - 1; i++) {
        compile_numbered(i, 16);
        assert_true(is_kept("'often'"));
    }
    assert_int_equal(kept("eval", "texts"), TEXTS_MAX);
    assert_false(is_kept("'once'"));
    assert_true(is_kept("'often'"));
    assert_true(kept("eval", "dropped") > 0);
}

static void all_together_have_a_bound(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * CHARS_MAX / TEXT_MAX; i++)
        compile_numbered(i, TEXT_MAX);
    assert_int_equal(kept("eval", "texts"), CHARS_MAX / TEXT_MAX);
    assert_int_equal(kept("eval", "characters"), CHARS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_text_has_the_same_code),
        cmocka_unit_test(what_has_a_file_is_not_kept),
        cmocka_unit_test(what_is_wrong_is_not_kept),
        cmocka_unit_test(a_long_text_is_not_kept),
        cmocka_unit_test(the_one_used_longest_ago_goes),
        cmocka_unit_test(all_together_have_a_bound),
    };
    embed_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
