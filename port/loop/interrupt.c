/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "loop/interrupt.h"

#include <pthread.h>
#include <signal.h>

#include "loop/handlers.h"
#include "loop/jobs.h"
#include "value/classes.h"
#include "value/python.h"

/* The last real-time signal: nobody else's by custom. */
#define INTERRUPT SIGRTMAX

static pthread_t main_thread; /* set by interrupt_init, constant afterwards */

static PyObject *on_interrupt(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    if (jobs_was_cancelled()) {
        PyErr_SetString(classes_cancelled(), "cancelled from Erlang");
        return NULL;
    }
    Py_RETURN_NONE;
}

int interrupt_init(void)
{
    static PyMethodDef def = {"interrupt", on_interrupt, METH_VARARGS,
                              "Raise Cancelled in a job that was cancelled."};
    main_thread = pthread_self();
    PyObject *handler = PyCFunction_New(&def, NULL);
    int rc = handler ? handlers_add(INTERRUPT, handler) : -1;
    Py_XDECREF(handler);
    return rc;
}

void interrupt_main(void)
{
    pthread_kill(main_thread, INTERRUPT);
}
