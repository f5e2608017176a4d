/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/aio.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "talk/answer.h"
#include "talk/awaited.h"
#include "talk/call.h"
#include "talk/module.h"
#include "task/capture.h"
#include "task/handle.h"
#include "task/reply.h"
#include "task/span.h"
#include "value/classes.h"
#include "wire/clock.h"
#include "wire/put.h"

static struct {
    long most;
    bool (*is_cancelled)(void);
    int news;         /* an eventfd: the loop sleeps until it is readable */
    PyObject *begun;  /* what the loop has not seen yet; NULL: it never ran */
    PyObject *number; /* erlang._aio.number, a ContextVar */
} aio = {.news = -1};

static _Thread_local bool is_loop;

static void wake(void);

void aio_init(long most, bool (*is_cancelled)(void))
{
    answer_on_future(wake);
    aio.most = most;
    aio.is_cancelled = is_cancelled;
}

bool aio_is_on(void)
{
    return aio.most > 0;
}

/* Full means that it is readable already. Any thread, no GIL. */
static void wake(void)
{
    const uint64_t one = 1;
    ssize_t n = write(aio.news, &one, sizeof one);
    (void)n;
}

/* ---- beginning -------------------------------------------------------- */

/* Starts the loop, unless it runs. An interrupt may keep this from its end:
 * then the next job tries again. 0, or -1 with an exception. */
static int start(void)
{
    if (aio.begun)
        return 0;
    if (aio.news < 0 &&
        (aio.news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    PyObject *none =
        python_call("erlang._aio", "start", "(il)", aio.news, aio.most);
    if (none && !aio.number)
        aio.number = python_attribute("erlang._aio", "number");
    if (none && aio.number &&
        !aio.begun) /* another thread may have been here */
        aio.begun = PyList_New(0);
    Py_XDECREF(none);
    return aio.begun ? 0 : -1;
}

/* For the loop, which cannot look before this thread lets go of the GIL. The
 * job's span, if there is one, goes on there. */
static int announce(struct awaited *a, PyObject *value, PyObject *feed)
{
    PyObject *span = span_now();
    PyObject *item = Py_BuildValue(
        "(lOOOO)", a->number, value, a->captured ? a->captured : Py_None,
        span ? span : Py_None, feed ? feed : Py_None);
    int rc = item ? PyList_Append(aio.begun, item) : -1;
    Py_XDECREF(span);
    Py_XDECREF(item);
    return rc;
}

/* From now on it can be cancelled. A cancel that came before that has met the
 * job, which did not hear of it any more. */
static void enlist(const struct task *task, struct awaited *a)
{
    awaited_add(a);
    if (aio.is_cancelled && aio.is_cancelled())
        awaited_cancel(task->req);
}

/* Takes `a`, which may be NULL. Its number; -1 with an exception. */
static long begin_take(const struct task *task, struct awaited *a,
                       PyObject *value, PyObject *feed)
{
    if (!a)
        return -1;
    if (announce(a, value, feed) < 0) {
        awaited_free(a);
        return -1;
    }
    enlist(task, a);
    reply_say(a->id, a->id_len, "awaiting");
    wake();
    return a->number;
}

static struct awaited *make(const struct task *task)
{
    return start() == 0 ? awaited_new(task) : NULL;
}

int aio_begin_take(const struct task *task, PyObject *value, const char *root,
                   bool keeps, PyObject *captured)
{
    struct awaited *a = make(task);
    if (a) {
        a->root = root;
        a->keeps = keeps;
        a->captured = captured;
    } else {
        Py_XDECREF(captured);
    }
    return begin_take(task, a, value, NULL) < 0 ? -1 : 0;
}

long aio_begin_stream(const struct task *task, PyObject *source, PyObject *feed)
{
    struct awaited *a = make(task);
    if (a)
        a->is_stream = true;
    return begin_take(task, a, source, feed);
}

PyObject *aio_wait_take(PyObject *awaitable)
{
    PyObject *result = NULL;
    if (start() == 0)
        result = python_call("erlang._aio", "wait", "(O)", awaitable);
    Py_DECREF(awaitable);
    return result;
}

/* ---- cancelling ------------------------------------------------------- */

void aio_cancel(const struct request *req)
{
    if (awaited_cancel(req))
        wake();
}

void aio_stop(const struct request *req)
{
    if (awaited_stop(req))
        wake();
}

void aio_more(const struct request *req, long long n)
{
    if (awaited_more(req, n))
        wake();
}

/* The number of one that is to be cancelled, and which the loop then knows of;
 * 0: there is none. It cannot be done before it is told: that takes the GIL. */
static long tell_one(void)
{
    const struct awaited *a = awaited_tell();
    if (a)
        reply_say(a->id, a->id_len, "awaiting");
    return a ? a->number : 0;
}

static int append_number(PyObject *list, long n)
{
    PyObject *number = PyLong_FromLong(n);
    int rc = number ? PyList_Append(list, number) : -1;
    Py_XDECREF(number);
    return rc;
}

/* A list of all that `next` gives until it gives 0. */
static PyObject *numbers(long (*next)(void))
{
    PyObject *list = PyList_New(0);
    long n;
    while (list && (n = next()) != 0)
        if (append_number(list, n) < 0)
            Py_CLEAR(list);
    return list;
}

/* 1: an answer to a call was appended; 0: there is none; -1 with an exception.
 */
static int append_answer(PyObject *list)
{
    PyObject *value = NULL, *exc = NULL;
    PyObject *future = answer_next(&value, classes_error());
    if (!future)
        return 0;
    if (!value)
        exc = python_fetch_error();
    PyObject *item = Py_BuildValue("(NOO)", future, value ? value : Py_None,
                                   exc ? exc : Py_None);
    int rc = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    Py_XDECREF(value);
    Py_XDECREF(exc);
    return rc < 0 ? -1 : 1;
}

static PyObject *answered(void)
{
    PyObject *list = PyList_New(0);
    int rc = 1;
    while (list && rc > 0)
        rc = append_answer(list);
    if (rc < 0)
        Py_CLEAR(list);
    return list;
}

/* Takes the lists, of which any may be NULL. */
static PyObject *news_take(PyObject *cancelled, PyObject *given,
                           PyObject *answers)
{
    PyObject *news = NULL;
    if (cancelled && given && answers)
        news = PyTuple_Pack(4, aio.begun, cancelled, given, answers);
    Py_XDECREF(cancelled);
    Py_XDECREF(given);
    Py_XDECREF(answers);
    return news;
}

PyObject *aio_news(void)
{
    uint64_t count;
    PyObject *news = NULL, *empty = PyList_New(0);
    is_loop = true; /* nobody else asks */
    ssize_t n = read(aio.news, &count, sizeof count);
    (void)n; /* there may be nothing to read */
    if (empty)
        news = news_take(numbers(tell_one), numbers(awaited_next_given),
                         answered());
    if (news)
        Py_SETREF(aio.begun, Py_NewRef(empty));
    Py_XDECREF(empty);
    return news;
}

uint32_t aio_call(PyObject *future, PyObject *callee, PyObject *args,
                  PyObject *kwargs)
{
    return start() == 0 ? call_begin(future, callee, args, kwargs) : 0;
}

uint32_t aio_channel(PyObject *future, PyObject *pid, PyObject *question,
                     const struct form *form)
{
    return start() == 0 ? call_channel_begin(future, pid, question, form) : 0;
}

/* ---- the reply -------------------------------------------------------- */

static int put_kept(struct awaited *a, PyObject *value, struct buf *out)
{
    PyObject *number = handle_keep(value);
    int rc = number ? reply_kept(out, number, &a->form) : -1;
    Py_XDECREF(number);
    return rc;
}

static int put_value(struct awaited *a, PyObject *value, struct buf *out)
{
    if (!value)
        return -1;
    a->form.stage = STAGE_REPLY;
    if (a->keeps)
        return put_kept(a, value, out);
    return a->root ? reply_value(out, value, &a->form, a->root) : reply_ok(out);
}

/* Whether a stream was stopped, and has raised nothing but what says so. */
static bool is_stopped(const struct awaited *a)
{
    if (!a->stopped || !PyErr_ExceptionMatches(classes_cancelled()))
        return false;
    PyErr_Clear();
    return true;
}

static void put_result(struct awaited *a, PyObject *value, struct buf *out)
{
    reply_begin(out, a->id, a->id_len);
    const size_t mark = buf_mark(out);
    if (is_stopped(a))
        value = Py_None;
    if (put_value(a, value, out) == 0)
        return;
    task_returned(); /* an encoder may have forked */
    buf_rewind(out, mark);
    reply_exception(out, &a->form);
}

/* Others ran meanwhile: what memory they took, and what the collector has done
 * for them, is not known apart. */
static void send_bill(const struct awaited *a)
{
    struct buf out;
    buf_init(&out, 0);
    reply_begin(&out, a->id, a->id_len);
    put_tuple(&out, 2);
    put_atom_z(&out, "bill");
    put_map(&out, 3);
    put_atom_z(&out, "time");
    put_long(&out, (clock_now() - a->since) / CLOCK_NS_PER_US);
    put_atom_z(&out, "gc_runs");
    put_long(&out, 0);
    put_atom_z(&out, "gc_pause");
    put_long(&out, 0);
    reply_send(&out);
    buf_free(&out);
}

static void answer(struct awaited *a, PyObject *value)
{
    struct buf out;
    if (a->captured) {
        capture_send_take(a->id, a->id_len, a->captured);
        a->captured = NULL;
    }
    buf_init(&out, 0);
    put_result(a, value, &out);
    reply_tell_ran_out(a->id, a->id_len);
    if (a->bills)
        send_bill(a);
    reply_send(&out);
    buf_free(&out);
}

/* No control reaches it any more: its id is free for another one as soon as the
 * reply is sent. */
void aio_done(long number, PyObject *value, PyObject *exc)
{
    struct awaited *a = awaited_take(number);
    if (!a)
        return;
    module_end_lines();
    if (exc) {
        Py_INCREF(exc);
        python_raise_take(exc);
    }
    task_returned();
    answer(a, exc ? NULL : value);
    awaited_free(a);
}

/* ---- who awaits ------------------------------------------------------- */

/* The number of what this code belongs to; 0: nothing that is awaited. */
static long current_number(void)
{
    PyObject *value = NULL;
    long number = 0;
    if (aio.begun && PyContextVar_Get(aio.number, NULL, &value) == 0 && value)
        number = PyLong_AsLong(value);
    Py_XDECREF(value);
    PyErr_Clear();
    return number;
}

int aio_put_job(struct buf *out)
{
    const long number = current_number();
    if (number <= 0)
        return -1;
    return awaited_put_id(number, out);
}

bool aio_is_loop(void)
{
    return is_loop;
}

/* ---- the end ---------------------------------------------------------- */

void aio_end(void)
{
    if (!aio.begun)
        return;
    PyObject *none = python_call("erlang._aio", "stop", "()");
    if (!none)
        PyErr_WriteUnraisable(NULL);
    Py_XDECREF(none);
}
