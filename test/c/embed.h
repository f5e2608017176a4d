/* SPDX-License-Identifier: Apache-2.0
 *
 * embed: a Python inside a C test, with the package `erlang` from the source
 * tree, and short ways to get at values.
 *
 * The environment says where things are: top_srcdir, and PYTHON, whose own
 * standard library is used.
 */
#ifndef TEST_C_EMBED_H
#define TEST_C_EMBED_H

#include "value/python.h"

#include <stdio.h>
#include <stdlib.h>

#include "process/sha2.h"
#include "talk/module.h"
#include "value/classes.h"
#include "value/exception.h"

static PyObject *embed_names; /* what expressions see */

/* Ends the program: without Python nothing can be tested. */
static inline void embed_die(const char *what)
{
    fprintf(stderr, "embed: %s\n", what);
    if (PyErr_Occurred())
        PyErr_Print();
    abort();
}

static inline void embed_configure(PyConfig *config)
{
    const char *python = getenv("PYTHON");
    PyConfig_InitPythonConfig(config);
    config->install_signal_handlers = 0;
    config->write_bytecode = 0;
    if (python && PyStatus_Exception(PyConfig_SetBytesString(
                      config, &config->program_name, python)))
        embed_die("PYTHON cannot be decoded");
}

/* Runs statements in the namespace of the expressions. */
static inline void embed_run(const char *statements)
{
    PyObject *none =
        PyRun_String(statements, Py_file_input, embed_names, embed_names);
    if (!none)
        embed_die(statements);
    Py_DECREF(none);
}

/* The value of an expression: a new reference, or NULL with its exception. */
static inline PyObject *embed_eval(const char *expression)
{
    return PyRun_String(expression, Py_eval_input, embed_names, embed_names);
}

/* Asks whether an expression about x is true. */
static inline bool embed_holds(const char *expression, PyObject *x)
{
    PyObject *answer = NULL;
    if (PyDict_SetItemString(embed_names, "x", x) == 0)
        answer = embed_eval(expression);
    if (!answer)
        PyErr_Print();
    bool holds = answer == Py_True;
    Py_XDECREF(answer);
    PyDict_SetItemString(embed_names, "x", Py_None);
    return holds;
}

static inline void embed_start(void)
{
    PyConfig config;
    sha2_remove();
    if (module_add(0) < 0)
        embed_die("no memory");
    embed_configure(&config);
    PyStatus status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        Py_ExitStatusException(status);
    embed_names = PyDict_New();
    embed_run("import os, sys\n"
              "sys.path.insert(0, os.environ.get('top_srcdir', '.')"
              " + '/port/python')\n");
    if (classes_init() < 0 || exception_init() < 0)
        embed_die("the package erlang");
    embed_run("import erlang\n"
              "from erlang import Atom\n");
}

static inline void embed_stop(void)
{
    Py_CLEAR(embed_names);
    Py_FinalizeEx();
}

#endif
