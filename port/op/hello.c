/* SPDX-License-Identifier: Apache-2.0
 *
 * Who this program is: its versions, limits and exception classes; and what it
 * offers.
 */
#include "config.h"

#include <string.h>
#include <unistd.h>

#include "op/op.h"
#include "process/guard.h"
#include "task/arg.h"
#include "task/map.h"
#include "value/atoms.h"
#include "value/exception.h"
#include "value/python.h"
#include "wire/lane.h"
#include "wire/output.h"
#include "wire/protocol.h"

/* "3.11.2", as platform.python_version() has it. */
static PyObject *python_version(void)
{
    PyObject *whole = python_attribute("sys", "version");
    PyObject *words = whole ? PyObject_CallMethod(whole, "split", NULL) : NULL;
    PyObject *first = words ? python_list_get(words, 0) : NULL;
    Py_XDECREF(whole);
    Py_XDECREF(words);
    return first;
}

/* Which guard holds, as an atom. */
static PyObject *guard(void)
{
    const char *name = guard_name(guard_holds());
    return atoms_get(name, strlen(name));
}

static int add_feature(PyObject *list, const char *name)
{
    PyObject *atom = atoms_get(name, strlen(name));
    int rc = atom ? PyList_Append(list, atom) : -1;
    Py_XDECREF(atom);
    return rc;
}

/* What it understands beyond the first version of the protocol. */
static PyObject *features(void)
{
    PyObject *list = PyList_New(0);
    if (list &&
        (add_feature(list, "quit") < 0 || add_feature(list, "batch") < 0 ||
         add_feature(list, "call") < 0 || add_feature(list, "context") < 0 ||
         add_feature(list, "handle") < 0 || add_feature(list, "multicall") < 0))
        Py_CLEAR(list);
    return list;
}

/* {Fd, Room}; None: there is none, or it is in use. */
static PyObject *lane(void)
{
    int fd = -1;
    size_t room = 0;
    if (!lane_offer(output_max_frame(), &fd, &room))
        return Py_NewRef(Py_None);
    return Py_BuildValue("(in)", fd, (Py_ssize_t)room);
}

static int describe(PyObject *map)
{
    const size_t most = output_max_frame();
    if (map_take(map, "protocol", PyLong_FromLong(PROTOCOL_VERSION)) < 0 ||
        map_take(map, "pyport", PyUnicode_FromString(PACKAGE_VERSION)) < 0 ||
        map_take(map, "python", python_version()) < 0 ||
        map_take(map, "version", python_attribute("sys", "version")) < 0 ||
        map_take(map, "os_pid", PyLong_FromLong(getpid())) < 0 ||
        map_take(map, "executable", python_attribute("sys", "executable")) <
            0 ||
        map_take(map, "features", features()) < 0 ||
        map_take(map, "max_frame", PyLong_FromSize_t(most)) < 0 ||
        map_take(map, "max_depth", PyLong_FromLong(MAX_DEPTH)) < 0 ||
        map_take(map, "guard", guard()) < 0 ||
        map_take(map, "lane", lane()) < 0)
        return -1;
    return map_take(map, "exceptions", exception_class_names());
}

PyObject *op_hello(struct task *task)
{
    (void)task;
    return map_make(describe);
}

PyObject *op_lane(struct task *task)
{
    PyObject *opened = arg_boolean(task, "opened");
    if (!opened)
        return NULL;
    lane_answer(opened == Py_True);
    Py_DECREF(opened);
    Py_RETURN_NONE;
}

PyObject *op_version(struct task *task)
{
    (void)task;
    return python_attribute("sys", "version");
}
