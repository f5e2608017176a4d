/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/call.h"

#include <stdatomic.h>

#include "talk/answer.h"
#include "talk/event.h"
#include "talk/wait.h"
#include "task/handle.h"
#include "task/reply.h"
#include "value/classes.h"
#include "value/encode.h"
#include "wire/output.h"
#include "wire/put.h"

static atomic_bool is_answered;

void call_answered(bool answered)
{
    is_answered = answered;
}

/* The job that has called, and how deep the call is; 0, as where no job has
 * called: nothing may run within it. Returns that. */
static int put_caller(struct buf *out, uint32_t id)
{
    const int depth = answer_put_job(out) ? answer_nest_begin(id) : 0;
    put_long(out, depth);
    return depth;
}

static int put_call(struct buf *out, PyObject *callee, PyObject *args,
                    PyObject *kwargs)
{
    struct form form;
    form_init(&form);
    if (value_encode(out, callee, &form, "name") < 0 ||
        value_encode(out, args, &form, "args") < 0)
        return -1;
    return value_encode(out, kwargs, &form, "kwargs");
}

/* A user's encoder may have forked: the child has nobody to ask. */
static PyObject *ask(struct buf *out, uint32_t id, const struct form *form)
{
    if (output_is_open())
        return answer_ask(out, id, 0, classes_error(), form);
    wait_refuse();
    return NULL;
}

/* A fun goes back as it came: Erlang knows those that it has given. */
static uint32_t begin_call(struct buf *out, PyObject *callee)
{
    const bool named = PyUnicode_Check(callee);
    return answer_begin(out, 7, named ? "call" : "apply");
}

static PyObject *call(PyObject *callee, PyObject *args, PyObject *kwargs)
{
    struct buf out;
    const uint32_t id = begin_call(&out, callee);
    const int depth = put_caller(&out, id);
    PyObject *value = NULL;
    if (put_call(&out, callee, args, kwargs) == 0)
        value = ask(&out, id, NULL);
    if (depth > 0)
        answer_nest_end(id);
    buf_free(&out);
    return value;
}

/* False, with an exception: nobody would answer. */
static bool may_ask(void)
{
    if (!output_is_open())
        wait_refuse();
    else if (!is_answered)
        PyErr_SetString(classes_send_error(), "Erlang answers no calls here");
    else
        return true;
    return false;
}

PyObject *call_function(PyObject *callee, PyObject *args, PyObject *kwargs)
{
    PyObject *list = may_ask() ? PySequence_List(args) : NULL;
    PyObject *value = list ? call(callee, list, kwargs) : NULL;
    Py_XDECREF(list);
    return value;
}

static PyObject *ask_and_free(struct buf *out, uint32_t id)
{
    PyObject *value = ask(out, id, NULL);
    buf_free(out);
    return value;
}

static int ask_later(struct buf *out, uint32_t id, PyObject *future,
                     const struct form *form)
{
    return output_is_open() ? answer_ask_later(out, id, future, form)
                            : wait_refuse();
}

static uint32_t begin(PyObject *future, PyObject *callee, PyObject *args,
                      PyObject *kwargs)
{
    struct buf out;
    const uint32_t id = begin_call(&out, callee);
    answer_put_job(&out);
    put_long(&out, 0);
    int rc = put_call(&out, callee, args, kwargs);
    if (rc == 0)
        rc = ask_later(&out, id, future, NULL);
    buf_free(&out);
    return rc == 0 ? id : 0;
}

uint32_t call_begin(PyObject *future, PyObject *callee, PyObject *args,
                    PyObject *kwargs)
{
    PyObject *list = may_ask() ? PySequence_List(args) : NULL;
    const uint32_t id = list ? begin(future, callee, list, kwargs) : 0;
    Py_XDECREF(list);
    return id;
}

/* What is kept has to come back as what it was. */
static void state_form(struct form *form, bool arrays)
{
    form_init(form);
    form->tags = TAGS_BOTH;
    form->tag_bytes = true;
    form->arrays_binary = arrays;
}

PyObject *call_state(PyObject *op, PyObject *args, bool arrays)
{
    struct buf out;
    struct form form;
    PyObject *value = NULL;
    if (!may_ask())
        return NULL;
    state_form(&form, arrays);
    const uint32_t id = answer_begin(&out, 4, "state");
    if (value_encode(&out, op, &form, "op") == 0 &&
        value_encode(&out, args, &form, "args") == 0)
        value = ask(&out, id, NULL);
    buf_free(&out);
    return value;
}

PyObject *call_pull(PyObject *pid, const struct form *form)
{
    struct buf out;
    PyObject *value = NULL;
    if (!may_ask())
        return NULL;
    const uint32_t id = answer_begin(&out, 3, "pull");
    if (value_encode(&out, pid, form, "pid") == 0)
        value = ask(&out, id, form);
    buf_free(&out);
    return value;
}

/* {channel, CallId, Pid, Question} into `out`, which is to be freed. Its
 * CallId; 0 with an exception. */
static uint32_t put_question(struct buf *out, PyObject *pid, PyObject *question,
                             const struct form *form)
{
    const uint32_t id = answer_begin(out, 4, "channel");
    return value_encode(out, pid, form, "pid") == 0 &&
                   value_encode(out, question, form, "question") == 0
               ? id
               : 0;
}

PyObject *call_channel(PyObject *pid, PyObject *question,
                       const struct form *form)
{
    struct buf out;
    if (!may_ask())
        return NULL;
    const uint32_t id = put_question(&out, pid, question, form);
    PyObject *value = id ? ask(&out, id, form) : NULL;
    buf_free(&out);
    return value;
}

uint32_t call_channel_begin(PyObject *future, PyObject *pid, PyObject *question,
                            const struct form *form)
{
    struct buf out;
    if (!may_ask())
        return 0;
    uint32_t id = put_question(&out, pid, question, form);
    if (id && ask_later(&out, id, future, form) < 0)
        id = 0;
    buf_free(&out);
    return id;
}

PyObject *call_self(void)
{
    struct buf out;
    if (!may_ask())
        return NULL;
    const uint32_t id = answer_begin(&out, 3, "self");
    answer_put_job(&out);
    return ask_and_free(&out, id);
}

/* Whose box is meant: that of what runs on this thread, else the worker's. */
static void put_receiver(struct buf *out)
{
    if (answer_job_runs_here())
        answer_put_job(out);
    else
        put_atom_z(out, "none");
}

PyObject *call_receive(long long ms)
{
    struct buf out;
    if (!may_ask())
        return NULL;
    const uint32_t id = answer_begin(&out, 4, "take");
    put_receiver(&out);
    put_long(&out, ms);
    PyObject *value = answer_ask(&out, id, 0, classes_send_error(), NULL);
    buf_free(&out);
    return value;
}

/* Nobody waits for an answer, so nothing can come between this and its end. */
static int send_handler(PyObject *number)
{
    struct buf out;
    struct form form;
    form_init(&form);
    event_begin(&out, "on_message");
    put_tuple(&out, 2);
    put_receiver(&out);
    const int rc = value_encode(&out, number, &form, "number");
    if (rc == 0)
        reply_send(&out);
    buf_free(&out);
    return rc;
}

int call_on_message(PyObject *handler)
{
    if (!may_ask())
        return -1;
    PyObject *number =
        handler == Py_None ? Py_NewRef(handler) : handle_keep(handler);
    const int rc = number ? send_handler(number) : -1;
    Py_XDECREF(number);
    return rc;
}

PyObject *call_make_ref(void)
{
    struct buf out;
    if (!may_ask())
        return NULL;
    const uint32_t id = answer_begin(&out, 2, "make_ref");
    return ask_and_free(&out, id);
}

PyObject *call_lookup(PyObject *name)
{
    struct buf out;
    struct form form;
    PyObject *value = NULL;
    if (!is_answered || !output_is_open() || wait_has_ended())
        Py_RETURN_FALSE;
    form_init(&form);
    const uint32_t id = answer_begin(&out, 3, "lookup");
    if (value_encode(&out, name, &form, "name") == 0)
        value = ask(&out, id, NULL);
    buf_free(&out);
    return value;
}

void call_given(const struct request *req)
{
    struct buf out;
    if (!is_answered || !output_is_open())
        return;
    buf_init(&out, 0);
    reply_begin(&out, req->frame + req->id_at, req->id_len);
    put_tuple(&out, 2);
    put_atom_z(&out, "given");
    put_atom_z(&out, "funs");
    if (out.why == BUF_OK)
        reply_send(&out);
    buf_free(&out);
}
