/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/call.h"

#include <stdatomic.h>

#include "talk/answer.h"
#include "talk/wait.h"
#include "value/classes.h"
#include "value/encode.h"
#include "wire/output.h"
#include "wire/put.h"

static atomic_bool is_answered;

void call_answered(bool answered)
{
    is_answered = answered;
}

static void begin(struct buf *out, size_t arity)
{
    buf_init(out, 0);
    output_begin(out);
    put_version(out);
    put_tuple(out, arity);
}

static int put_call(struct buf *out, uint32_t id, int depth, PyObject *name,
                    PyObject *args, PyObject *kwargs)
{
    struct form form;
    form_init(&form);
    begin(out, 6);
    put_atom_z(out, "call");
    put_long(out, id);
    put_long(out, depth);
    if (value_encode(out, name, &form, "name") < 0 ||
        value_encode(out, args, &form, "args") < 0)
        return -1;
    return value_encode(out, kwargs, &form, "kwargs");
}

static int put_lookup(struct buf *out, uint32_t id, PyObject *name)
{
    struct form form;
    form_init(&form);
    begin(out, 3);
    put_atom_z(out, "lookup");
    put_long(out, id);
    return value_encode(out, name, &form, "name");
}

/* A user's encoder may have forked: the child has nobody to ask. */
static PyObject *ask(struct buf *out, uint32_t id)
{
    bool failed = false;
    if (!output_is_open()) {
        wait_refuse();
        return NULL;
    }
    PyObject *value = answer_ask(out, id, 0, &failed);
    if (value && failed) {
        PyErr_SetObject(classes_error(), value);
        Py_CLEAR(value);
    }
    return value;
}

static PyObject *call(PyObject *name, PyObject *args, PyObject *kwargs)
{
    struct buf out;
    const uint32_t id = answer_new_id();
    const int depth = answer_nest_begin(id);
    PyObject *value = NULL;
    if (put_call(&out, id, depth, name, args, kwargs) == 0)
        value = ask(&out, id);
    if (depth > 0)
        answer_nest_end(id);
    buf_free(&out);
    return value;
}

PyObject *call_function(PyObject *name, PyObject *args, PyObject *kwargs)
{
    PyObject *list = NULL, *value = NULL;
    if (!output_is_open())
        wait_refuse();
    else if (!is_answered)
        PyErr_SetString(classes_send_error(), "Erlang answers no calls here");
    else if ((list = PySequence_List(args)))
        value = call(name, list, kwargs);
    Py_XDECREF(list);
    return value;
}

PyObject *call_lookup(PyObject *name)
{
    struct buf out;
    PyObject *value = NULL;
    if (!is_answered || !output_is_open() || wait_has_ended())
        Py_RETURN_FALSE;
    const uint32_t id = answer_new_id();
    if (put_lookup(&out, id, name) == 0)
        value = ask(&out, id);
    buf_free(&out);
    return value;
}
