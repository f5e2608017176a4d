/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of atoms in protocol.h against the sources: what C code writes and
 * what the package `erlang` makes has to be in it, and nothing else. The
 * sources are read by test/py/atoms.py.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../embed.h"
#include "wire/protocol.h"

#define AS_TEXT(atom) #atom " "

static void find_atoms(void)
{
    PyObject *listed = PyUnicode_FromString(PROTOCOL_ATOMS(AS_TEXT));
    if (!listed || PyDict_SetItemString(embed_names, "listed", listed) < 0)
        embed_die("the list");
    Py_DECREF(listed);
    embed_run("root = os.environ.get('top_srcdir', '.')\n"
              "sys.path.insert(0, root + '/test/py')\n"
              "import atoms\n"
              "c = atoms.in_c(root)\n"
              "python, others = atoms.in_python(root)\n"
              "listed = set(listed.split())\n");
}

/* The expression's value is empty; else it is shown. */
static void assert_empty(const char *expression)
{
    PyObject *value = embed_eval(expression);
    if (!value)
        embed_die(expression);
    const Py_ssize_t size = PyObject_Size(value);
    if (size != 0)
        PySys_FormatStderr("%s: %R\n", expression, value);
    Py_DECREF(value);
    assert_int_equal(size, 0);
}

static void the_sources_were_read(void **state)
{
    (void)state;
    assert_true(embed_holds("len(c) > 30 and len(python) > 30", Py_None));
}

static void what_c_writes_is_listed(void **state)
{
    (void)state;
    assert_empty("{a: f for a, f in c.items() if a not in listed}");
}

static void what_python_makes_is_listed(void **state)
{
    (void)state;
    assert_empty("{a: f for a, f in python.items() if a not in listed}");
}

/* Only erlang.send makes an atom of a text that the user gave. */
static void python_makes_no_atom_of_another_text(void **state)
{
    (void)state;
    assert_empty("others - {'__init__.py'}");
}

static void what_is_listed_is_sent(void **state)
{
    (void)state;
    assert_empty("listed - set(c) - set(python)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sources_were_read),
        cmocka_unit_test(what_c_writes_is_listed),
        cmocka_unit_test(what_python_makes_is_listed),
        cmocka_unit_test(python_makes_no_atom_of_another_text),
        cmocka_unit_test(what_is_listed_is_sent),
    };
    embed_start();
    find_atoms();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
