/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/interp.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop/clerk.h"
#include "loop/handlers.h"
#include "loop/interrupt.h"
#include "loop/paths.h"
#include "loop/spoil.h"
#include "op/objects.h"
#include "process/crash.h"
#include "process/guard.h"
#include "process/limit.h"
#include "memory/heap_hook.h"
#include "memory/heap_numpy.h"
#include "process/sha2.h"
#include "process/venv.h"
#include "talk/wait.h"
#include "talk/module.h"
#include "task/gc_pause.h"
#include "value/classes.h"
#include "value/exception.h"
#include "value/python.h"

/* Room for what is said about limits. */
#define LIMITS_SIZE 128

/* ---- errors ----------------------------------------------------------- */

/* Says the likely cause first, if there is one: the reason alone would not
 * help. */
static int cannot_start(const char *why, struct err *err)
{
    char file[PATH_MAX];
    if (access("/proc/self", F_OK) < 0)
        return err_set(err, "Python cannot start: /proc is not mounted (%s)",
                       why);
    if (paths_in_the_way(file, sizeof file))
        return err_set(err,
                       "Python cannot start: %s is in the way of a module of "
                       "that name that is needed: rename it, or take its "
                       "directory out of PYTHONPATH (%s)",
                       file, why);
    const char *home = getenv("PYTHONHOME");
    if (home && *home)
        return err_set(err,
                       "Python cannot start: PYTHONHOME is %s, where its "
                       "library has to be (%s)",
                       home, why);
    char limits[LIMITS_SIZE];
    if (limit_describe(limits, sizeof limits))
        return err_set(err, "Python cannot start: %s (%s)", why, limits);
    return err_set(err, "Python cannot start: %s", why);
}

static int status_error(PyStatus status, struct err *err)
{
    return cannot_start(status.err_msg ? status.err_msg : "no reason given",
                        err);
}

/* From the current exception, which is cleared. */
static int exception_error(struct err *err)
{
    PyObject *exc = python_fetch_error();
    PyObject *text =
        exc ? PyUnicode_FromFormat("%s: %S", Py_TYPE(exc)->tp_name, exc) : NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    cannot_start(utf8 ? utf8 : "unknown error", err);
    Py_XDECREF(text);
    Py_XDECREF(exc);
    PyErr_Clear();
    return -1;
}

/* ---- before Python ---------------------------------------------------- */

/* The program that sys.executable will be: from its place Python finds its
 * library, or the virtual environment. */
static PyStatus configure(PyConfig *config, const char *interpreter)
{
    PyConfig_InitPythonConfig(config);
    config->parse_argv = 0;
    return PyConfig_SetBytesString(config, &config->program_name, interpreter);
}

static int initialize(const char *interpreter, struct err *err)
{
    PyConfig config;
    PyStatus status = configure(&config, interpreter);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    return PyStatus_Exception(status) ? status_error(status, err) : 0;
}

/* ---- after Python ----------------------------------------------------- */

/* The rest is easier in Python. */
static int set_up(const struct options *options)
{
    PyObject *now = paths_may_hide(options) ? Py_True : Py_False;
    PyObject *none = python_call("erlang._setup", "setup", "(O)", now);
    if (none && guard_holds() == GUARD_PYTHON)
        Py_SETREF(none, python_call("erlang._guard", "install", "()"));
    Py_XDECREF(none);
    if (none && options->threads > 1) /* whoever imports it first is main */
        Py_SETREF(none, python_module("threading"));
    if (none && heap_hook_counts())
        return heap_numpy_watch();
    return none ? 0 : -1;
}

int interp_start(const struct options *options, struct err *err)
{
    char interpreter[PATH_MAX] = PYPORT_PYTHON;

    if (options->venv && venv_interpreter(options->venv, interpreter,
                                          sizeof interpreter, err) < 0)
        return -1;
    wait_init();
    sha2_remove();
    if (module_add(options->worker) < 0)
        return err_set(err, "no memory");
    PyStatus status = heap_hook_install(&options->heap);
    if (PyStatus_Exception(status))
        return status_error(status, err);
    if (initialize(interpreter, err) < 0)
        return -1;
    if (paths_begin() < 0 || classes_init() < 0 || exception_init() < 0 ||
        handlers_init() < 0 || interrupt_init() < 0 || spoil_init() < 0 ||
        crash_init() < 0 || gc_pause_init() < 0 || objects_init() < 0 ||
        set_up(options) < 0 || paths_finish(options) < 0)
        return exception_error(err);
    clerk_begin();
    return 0;
}

/* Our classes are kept: atexit functions and other threads still use them. */
void interp_stop(void)
{
    Py_FinalizeEx();
}
