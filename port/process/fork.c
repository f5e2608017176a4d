/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "process/fork.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "process/crash.h"
#include "process/fds.h"
#include "process/signals.h"
#include "value/python.h"
#include "wire/lane.h"
#include "wire/output.h"

static bool is_child; /* set in the child, which has one thread */

static void flush(const char *name)
{
    PyObject *file = python_attribute("sys", name);
    PyObject *none = file ? PyObject_CallMethod(file, "flush", NULL) : NULL;
    Py_XDECREF(file);
    Py_XDECREF(none);
    PyErr_Clear();
}

static void end(int code)
{
    flush("stdout");
    flush("stderr");
    _exit(code);
}

/* What sys.exit was given: nothing, a number, or a text to be printed. */
static int exit_code(PyObject *exc)
{
    int code = EXIT_FAILURE;
    PyObject *value = PyObject_GetAttrString(exc, "code");
    if (value == Py_None)
        code = EXIT_SUCCESS;
    else if (value && PyLong_Check(value))
        code = (int)PyLong_AsLong(value); /* -1 when it is too large */
    else if (value)
        PySys_FormatStderr("%S\n", value);
    Py_XDECREF(value);
    PyErr_Clear();
    return code;
}

/* Does what Python does at its end. PyErr_Print alone will not do, because it
 * finalizes Python for sys.exit. Returns the exit code. */
static int print_error(void)
{
    int code = EXIT_FAILURE;
    if (PyErr_ExceptionMatches(PyExc_SystemExit)) {
        PyObject *exc = python_fetch_error();
        code = exit_code(exc);
        Py_DECREF(exc);
    } else {
        PyErr_PrintEx(0);
    }
    return code;
}

void fork_end_child(void)
{
    if (is_child)
        end(PyErr_Occurred() ? print_error() : EXIT_SUCCESS);
}

/* No signal reaches the child before it has handlers of its own. */
static void in_child(void)
{
    is_child = true;
    output_close();
    lane_in_child();
    fds_close();
    crash_in_child();
    signals_plain();
    signals_unblock();
}

int fork_init(void)
{
    return pthread_atfork(signals_block, signals_unblock, in_child) == 0 ? 0
                                                                         : -1;
}
