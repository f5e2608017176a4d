/* SPDX-License-Identifier: Apache-2.0
 *
 * place: the steps on the way to an error, and the text that they make.
 */
#include "config.h"

#include "value/place.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE (PLACE_STEPS * PLACE_STEP_SIZE + sizeof PYTHON_ELLIPSIS)

/* Room for the next step out: over the innermost one that is kept. */
static char *next_step(struct place *p)
{
    return p->step[p->steps++ % PLACE_STEPS];
}

void place_index(struct place *p, size_t i)
{
    snprintf(next_step(p), PLACE_STEP_SIZE, "[%zu]", i);
}

void place_nth_key(struct place *p, size_t i)
{
    snprintf(next_step(p), PLACE_STEP_SIZE, ".keys()[%zu]", i);
}

void place_name(struct place *p, const char *s)
{
    snprintf(next_step(p), PLACE_STEP_SIZE, ".%s", s);
}

/* As one would write it in Python: an Atom as a plain str. A short repr always
 * fits: PLACE_STEP_SIZE is more than 4 bytes a character. */
void place_key(struct place *p, PyObject *key)
{
    PyObject *plain = python_plain_str(key);
    PyObject *repr = plain ? python_short_repr(plain) : NULL;
    const char *text = repr ? PyUnicode_AsUTF8(repr) : NULL;
    snprintf(next_step(p), PLACE_STEP_SIZE, "[%s]", text ? text : "?");
    Py_XDECREF(repr);
    Py_XDECREF(plain);
}

/* Outermost first: from the last step back. */
static void write_steps(const struct place *p, char *text)
{
    const size_t kept = p->steps < PLACE_STEPS ? p->steps : PLACE_STEPS;
    for (size_t i = 1; i <= kept; i++)
        text = stpcpy(text, p->step[(p->steps - i) % PLACE_STEPS]);
    if (p->steps > kept)
        text = stpcpy(text, PYTHON_ELLIPSIS);
    *text = '\0';
}

static bool is_ours(PyObject *exc, PyObject *badarg)
{
    PyObject *const type = (PyObject *)Py_TYPE(exc);
    return type == badarg || type == PyExc_TypeError ||
           type == PyExc_ValueError || type == PyExc_OverflowError ||
           type == PyExc_RuntimeError;
}

/* The exception keeps its cause and traceback: only its text changes. */
static int prefix(PyObject *exc, const char *root, const char *steps)
{
    PyObject *args = NULL;
    PyObject *text = PyObject_Str(exc);
    int rc = -1;
    if (text)
        args = Py_BuildValue(
            "(N)", PyUnicode_FromFormat("%s%s: %U", root, steps, text));
    if (args)
        rc = PyObject_SetAttrString(exc, "args", args);
    Py_XDECREF(args);
    Py_XDECREF(text);
    return rc;
}

void place_prefix(const struct place *p, const char *root, PyObject *badarg)
{
    char steps[TEXT_SIZE];
    PyObject *exc = python_fetch_error();
    if (!exc)
        return;
    write_steps(p, steps);
    if (is_ours(exc, badarg) && prefix(exc, root, steps) < 0)
        PyErr_Clear(); /* no memory: the error goes without its place */
    python_raise_take(exc);
}
