/* SPDX-License-Identifier: Apache-2.0
 *
 * The heap's limit, changed while the program runs.
 */
#include "config.h"

#include "op/op.h"
#include "memory/heap_account.h"
#include "memory/heap_hook.h"
#include "task/arg.h"
#include "value/classes.h"
#include "value/python.h"
#include "wire/protocol.h"

static int set_heap(size_t bytes)
{
    if (heap_hook_limit(bytes) == 0)
        return 0;
    PyErr_SetString(PyExc_NotImplementedError,
                    heap_hook_counts()
                        ? "heap: tracemalloc is on, and the program had no "
                          "limit before"
                        : "heap: the program was not started with --heap or "
                          "--account");
    return -1;
}

/* An integer, or the atom `infinity`: SIZE_MAX. */
static int read_bytes(PyObject *value, size_t *bytes)
{
    if (PyUnicode_Check(value) &&
        PyUnicode_CompareWithASCIIString(value, "infinity") == 0) {
        *bytes = SIZE_MAX;
        return 0;
    }
    *bytes = PyLong_CheckExact(value) ? PyLong_AsSize_t(value) : 0;
    PyErr_Clear();
    if (*bytes >= LEAST_HEAP && *bytes != SIZE_MAX)
        return 0;
    PyErr_Format(classes_badarg(),
                 "memory: heap: not infinity or an integer from %zu",
                 (size_t)LEAST_HEAP);
    return -1;
}

static int set_limit(PyObject *name, PyObject *value)
{
    size_t bytes = 0;
    if (PyUnicode_CompareWithASCIIString(name, "heap") == 0)
        return read_bytes(value, &bytes) == 0 ? set_heap(bytes) : -1;
    PyErr_Format(classes_badarg(), "memory: there is no limit '%U'", name);
    return -1;
}

/* One after the other, to the first that fails. */
PyObject *op_set_memory(struct task *task)
{
    PyObject *name = NULL, *value = NULL;
    PyObject *limits = arg_names(task, "memory");
    Py_ssize_t at = 0;
    int rc = limits ? 0 : -1;
    while (rc == 0 && python_dict_next(limits, &at, &name, &value)) {
        rc = set_limit(name, value);
        Py_DECREF(name);
        Py_DECREF(value);
    }
    Py_XDECREF(limits);
    return rc < 0 ? NULL : Py_NewRef(Py_None);
}
