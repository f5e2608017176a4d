/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/interp.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "loop/handlers.h"
#include "loop/interrupt.h"
#include "process/crash.h"
#include "process/guard.h"
#include "process/venv.h"
#include "talk/event.h"
#include "talk/module.h"
#include "value/classes.h"
#include "value/exception.h"
#include "value/python.h"

/* ---- errors ----------------------------------------------------------- */

static int status_error(PyStatus status, struct err *err)
{
    return err_set(err, "Python cannot start: %s",
                   status.err_msg ? status.err_msg : "no reason given");
}

/* From the current exception, which is cleared. */
static int exception_error(const char *when, struct err *err)
{
    PyObject *exc = python_fetch_error();
    PyObject *text =
        exc ? PyUnicode_FromFormat("%s: %S", Py_TYPE(exc)->tp_name, exc) : NULL;
    const char *utf8 = text ? PyUnicode_AsUTF8(text) : NULL;
    err_set(err, "%s: %s", when, utf8 ? utf8 : "unknown error");
    Py_XDECREF(text);
    Py_XDECREF(exc);
    PyErr_Clear();
    return -1;
}

/* ---- before Python ---------------------------------------------------- */

/* The program that sys.executable is to be: by its place Python finds its
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

/* ---- paths ------------------------------------------------------------ */

/* Directory of our own Python files: beside this program. */
static int python_dir(char *path, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -1;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash || (size_t)(slash - path) + sizeof "/python" > size)
        return -1;
    strcpy(slash, "/python");
    return 0;
}

static int path_insert(PyObject *path, Py_ssize_t at, const char *dir)
{
    PyObject *text = PyUnicode_DecodeFSDefault(dir);
    int rc = text ? PyList_Insert(path, at, text) : -1;
    Py_XDECREF(text);
    return rc;
}

/* The user's directories first, in their order; ours last, so that it hides
 * nothing of theirs. */
static int set_paths(PyObject *path, const struct options *options)
{
    char own[PATH_MAX];
    if (python_dir(own, sizeof own) < 0 ||
        path_insert(path, PyList_Size(path), own) < 0)
        return -1;
    for (size_t i = 0; i < options->n_paths; i++)
        if (path_insert(path, (Py_ssize_t)i, options->paths[i]) < 0)
            return -1;
    return 0;
}

static int extend_paths(const struct options *options)
{
    PyObject *path = python_attribute("sys", "path");
    int rc = path ? set_paths(path, options) : -1;
    Py_XDECREF(path);
    return rc;
}

/* ---- after Python ----------------------------------------------------- */

/* The rest is easier in Python. */
static int set_up(void)
{
    PyObject *none = python_call("erlang._setup", "setup", "()");
    if (none && guard_holds() == GUARD_PYTHON)
        Py_SETREF(none, python_call("erlang._guard", "install", "()"));
    Py_XDECREF(none);
    return none ? 0 : -1;
}

int interp_start(const struct options *options, struct err *err)
{
    char interpreter[PATH_MAX] = PYPORT_PYTHON;

    if (options->venv && venv_interpreter(options->venv, interpreter,
                                          sizeof interpreter, err) < 0)
        return -1;
    event_init();
    if (module_add() < 0)
        return err_set(err, "no memory");
    if (initialize(interpreter, err) < 0)
        return -1;
    if (extend_paths(options) < 0 || classes_init() < 0 ||
        exception_init() < 0 || handlers_init() < 0 || interrupt_init() < 0 ||
        crash_init() < 0 || set_up() < 0)
        return exception_error("Python cannot start", err);
    return 0;
}

/* Our classes are kept: atexit functions and other threads still use them. */
void interp_stop(void)
{
    Py_FinalizeEx();
}
