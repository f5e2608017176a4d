/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/fork.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/fds.h"
#include "loop/signals.h"
#include "value/python.h"
#include "wire/output.h"

static bool is_child; /* set in the child, which has one thread */

static void in_child(void)
{
    is_child = true;
    signals_reset();
    output_close();
    fds_close();
}

int fork_init(void)
{
    return pthread_atfork(NULL, NULL, in_child) == 0 ? 0 : -1;
}

static void flush(const char *name)
{
    PyObject *sys = python_module("sys");
    PyObject *file = sys ? PyObject_GetAttrString(sys, name) : NULL;
    PyObject *none = file ? PyObject_CallMethod(file, "flush", NULL) : NULL;
    Py_XDECREF(sys);
    Py_XDECREF(file);
    Py_XDECREF(none);
    PyErr_Clear();
}

void fork_end_child(void)
{
    if (!is_child)
        return;
    flush("stdout");
    flush("stderr");
    _exit(EXIT_SUCCESS);
}
