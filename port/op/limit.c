/* SPDX-License-Identifier: Apache-2.0
 *
 * Limits of memory that are changed while the program runs.
 */
#include "config.h"

#include "op/op.h"
#include "memory/heap_account.h"
#include "memory/heap_hook.h"
#include "task/arg.h"
#include "value/classes.h"
#include "value/python.h"
#include "wire/protocol.h"

/* A limit by its name. `set` takes the bytes, or SIZE_MAX for none, and returns
 * 0, or -1 with an exception. */
struct limit_row {
    const char *name;
    size_t least;
    int (*set)(size_t bytes);
};

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

static const struct limit_row rows[] = {
    {"heap", LEAST_HEAP, set_heap},
};

static const struct limit_row *find(PyObject *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (PyUnicode_CompareWithASCIIString(name, rows[i].name) == 0)
            return &rows[i];
    PyErr_Format(classes_badarg(), "memory: there is no limit '%U'", name);
    return NULL;
}

/* An integer, or the atom `infinity`: SIZE_MAX. */
static int read_bytes(const struct limit_row *row, PyObject *value,
                      size_t *bytes)
{
    if (PyUnicode_Check(value) &&
        PyUnicode_CompareWithASCIIString(value, "infinity") == 0) {
        *bytes = SIZE_MAX;
        return 0;
    }
    *bytes = PyLong_CheckExact(value) ? PyLong_AsSize_t(value) : 0;
    PyErr_Clear();
    if (*bytes >= row->least && *bytes != SIZE_MAX)
        return 0;
    PyErr_Format(classes_badarg(),
                 "memory: %s: not infinity or an integer from %zu", row->name,
                 row->least);
    return -1;
}

static int set_limit(PyObject *name, PyObject *value)
{
    const struct limit_row *row = find(name);
    size_t bytes = 0;
    return row && read_bytes(row, value, &bytes) == 0 ? row->set(bytes) : -1;
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
