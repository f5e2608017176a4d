/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "loop/handlers.h"
#include "loop/jobs.h"
#include "loop/moment.h"
#include "talk/wait.h"
#include "task/task.h"
#include "value/classes.h"
#include "value/python.h"

/* By custom nobody else uses it. The last real-time signal is valgrind's. */
#define INTERRUPT (SIGRTMAX - 1)

/* The pause between two signals, unless the grace is shorter. */
#define PAUSE_MS 50

/* How far back an exception's context is followed. */
#define CONTEXTS_MAX 100

static pthread_t main_thread; /* set by interrupt_init, constant afterwards */
static long half_grace;       /* ms; constant once there are threads */
static _Atomic(unsigned) signals_sent;

void interrupt_set_grace(long ms)
{
    half_grace = ms / 2;
}

long interrupt_pause(void)
{
    if (half_grace > PAUSE_MS)
        return PAUSE_MS;
    return half_grace > 1 ? half_grace : 1;
}

/* The exception that the innermost `except`, `finally` or `with` handles, or
 * NULL. */
static PyObject *handled(void)
{
    PyObject *type, *exc, *trace;
    PyErr_GetExcInfo(&type, &exc, &trace);
    Py_XDECREF(type);
    Py_XDECREF(trace);
    if (exc == Py_None)
        Py_CLEAR(exc);
    return exc;
}

/* Whether the job is handling Cancelled just now, or another exception that was
 * raised meanwhile. */
static bool cleans_up(void)
{
    bool found = false;
    PyObject *exc = handled();
    for (int i = 0; exc && !found && i < CONTEXTS_MAX; i++) {
        found = PyErr_GivenExceptionMatches(exc, classes_cancelled());
        PyObject *context = PyException_GetContext(exc);
        Py_DECREF(exc);
        exc = context;
    }
    Py_XDECREF(exc);
    return found;
}

/* At a bad moment the handler is called again at once, so that it sees the
 * first good one. */
static bool may_raise(PyObject *frame)
{
    long ms = 0;
    const enum jobs_order order = jobs_order(&ms);
    if (order == JOBS_GO_ON || (order == JOBS_TOLD && cleans_up()))
        return false;
    if (ms >= half_grace || moment_is_good(frame, signals_sent))
        return true;
    PyErr_SetInterruptEx(INTERRUPT);
    return false;
}

static PyObject *on_interrupt(PyObject *self, PyObject *args)
{
    PyObject *number = NULL, *frame = NULL;
    (void)self;
    if (!PyArg_UnpackTuple(args, "interrupt", 2, 2, &number, &frame))
        return NULL;
    if (!may_raise(frame))
        Py_RETURN_NONE;
    jobs_tell(NULL);
    PyErr_SetString(classes_cancelled(), "cancelled from Erlang");
    return NULL;
}

int interrupt_init(void)
{
    static PyMethodDef def = {"interrupt", on_interrupt, METH_VARARGS,
                              "Raise Cancelled in a job that was cancelled."};
    main_thread = pthread_self();
    if (moment_init() < 0)
        return -1;
    PyObject *handler = PyCFunction_New(&def, NULL);
    int rc = handler ? handlers_add(INTERRUPT, handler) : -1;
    Py_XDECREF(handler);
    return rc;
}

void interrupt_main(void)
{
    signals_sent++;
    pthread_kill(main_thread, INTERRUPT);
}

/* ---- other threads ---------------------------------------------------- */

static void raise_on(struct line *line, unsigned long thread)
{
    PyThreadState_SetAsyncExc(thread, classes_cancelled());
    jobs_tell(line);
}

/* Runs no Python code, as long as nothing is collected: the line stays, and
 * what runs there. */
static bool is_good(PyObject *frames, unsigned long thread)
{
    PyObject *key = frames ? PyLong_FromUnsignedLong(thread) : NULL;
    PyObject *frame = key ? python_dict_get(frames, key) : NULL;
    const bool good =
        !frame || (!moment_takes_locks(frame) && !moment_imports(frame));
    Py_XDECREF(key);
    Py_XDECREF(frame);
    PyErr_Clear();
    return good;
}

bool interrupt_others(void)
{
    const bool paused = python_pause_collection();
    PyObject *frames = python_call("sys", "_current_frames", "()");
    struct line *line = NULL;
    bool later = false;
    long ms = 0;
    PyErr_Clear();
    while ((line = jobs_cancelled_after(line, &ms)) != NULL) {
        if (ms >= half_grace || is_good(frames, line->thread))
            raise_on(line, line->thread);
        else
            later = true;
    }
    python_collect_again(paused);
    Py_XDECREF(frames);
    wait_wake();
    return later;
}

void interrupt_forget(void)
{
    PyThreadState_SetAsyncExc(PyThread_get_thread_ident(), NULL);
}

void interrupt_over(bool raised)
{
    long ms = 0;
    const unsigned long thread = PyThread_get_thread_ident();
    if (!task_is_aside())
        return;
    if (raised)
        interrupt_forget();
    if (jobs_run_here() && jobs_order(&ms) == JOBS_CANCELLED)
        raise_on(NULL, thread);
}
