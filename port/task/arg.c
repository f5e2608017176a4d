/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "task/arg.h"

#include <ei.h>
#include <string.h>

#include "value/decode.h"
#include "value/classes.h"

typedef PyObject *decode_fn(const char *buf, size_t *at,
                            const struct form *form, const char *root);

static PyObject *arg(struct task *task, const char *what, decode_fn *decode)
{
    PyObject *value =
        decode(task->req->frame, &task->at, &task->opts.form, what);
    if (!value)
        task->opts.form.stage = STAGE_ARGUMENTS;
    return value;
}

PyObject *arg_text(struct task *task, const char *what)
{
    return arg(task, what, value_decode_text);
}

PyObject *arg_names(struct task *task, const char *what)
{
    return arg(task, what, value_decode_names);
}

/* The bytes of an empty map: all are zero behind its tag. */
#define NO_NAMES 5

PyObject *arg_any_names(struct task *task, const char *what)
{
    static const char none[NO_NAMES] = {ERL_MAP_EXT};
    const struct request *req = task->req;
    if (req->len - task->at < NO_NAMES ||
        memcmp(req->frame + task->at, none, NO_NAMES) != 0)
        return arg_names(task, what);
    task->at += NO_NAMES;
    return Py_NewRef(Py_None);
}

PyObject *arg_value(struct task *task, const char *what)
{
    return arg(task, what, value_decode);
}

/* The argument, if it is of that type. */
static PyObject *arg_typed(struct task *task, const char *what,
                           PyTypeObject *type, const char *name)
{
    PyObject *value = arg(task, what, value_decode);
    if (value && !Py_IS_TYPE(value, type)) {
        Py_DECREF(value);
        PyErr_Format(classes_badarg(), "%s: not a %s", what, name);
        return NULL;
    }
    return value;
}

PyObject *arg_list(struct task *task, const char *what)
{
    return arg_typed(task, what, &PyList_Type, "list");
}

PyObject *arg_boolean(struct task *task, const char *what)
{
    return arg_typed(task, what, &PyBool_Type, "boolean");
}

long arg_integer(struct task *task, const char *what, long least, long most)
{
    int at = (int)task->at;
    long n = 0;
    if (ei_decode_long(task->req->frame, &at, &n) < 0 || n < least ||
        n > most) {
        PyErr_Format(classes_badarg(), "%s: not an integer from %ld to %ld",
                     what, least, most);
        return -1;
    }
    task->at = (size_t)at;
    return n;
}
