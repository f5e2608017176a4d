/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "talk/module.h"

#include <limits.h>
#include <stdatomic.h>
#include <string.h>

#include "talk/aio.h"
#include "talk/answer.h"
#include "talk/call.h"
#include "talk/event.h"
#include "talk/feed.h"
#include "talk/message.h"
#include "task/span.h"
#include "value/classes.h"
#include "value/python.h"

static PyObject *erlang_event(PyObject *module, PyObject *args)
{
    const char *name = NULL;
    PyObject *data = NULL;
    int wait = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "sOp:event", &name, &data, &wait))
        return NULL;
    int sent = event_send(name, data, wait);
    return sent < 0 ? NULL : PyBool_FromLong(sent);
}

/* Whether Python has begun a line that it has not ended. */
static atomic_bool unfinished;

static PyObject *erlang_unfinished(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    unfinished = true;
    Py_RETURN_NONE;
}

void module_end_lines(void)
{
    if (!atomic_exchange(&unfinished, false))
        return;
    PyObject *error = python_fetch_error();
    PyObject *none = python_call("erlang._output", "end_lines", "()");
    Py_XDECREF(none);
    PyErr_Clear();
    if (error)
        python_raise_take(error);
}

static PyObject *erlang_send(PyObject *module, PyObject *args)
{
    PyObject *to = NULL, *term = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:send", &to, &term) ||
        message_send(to, term) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* False, with an exception: it is neither a name nor a Fun. */
static bool is_callee(PyObject *callee)
{
    if (PyUnicode_Check(callee) || Py_IS_TYPE(callee, classes_type(ERL_FUN)))
        return true;
    PyErr_Format(PyExc_TypeError, "call a name or a Fun, not %.200s",
                 Py_TYPE(callee)->tp_name);
    return false;
}

static PyObject *erlang_call(PyObject *module, PyObject *args)
{
    PyObject *callee = NULL, *list = NULL, *kwargs = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!O!:call", &callee, &PyTuple_Type, &list,
                          &PyDict_Type, &kwargs))
        return NULL;
    return is_callee(callee) ? call_function(callee, list, kwargs) : NULL;
}

static PyObject *erlang_lookup(PyObject *module, PyObject *name)
{
    (void)module;
    return call_lookup(name);
}

static PyObject *erlang_state(PyObject *module, PyObject *args)
{
    PyObject *op = NULL, *list = NULL;
    int arrays = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "UO!p:state", &op, &PyList_Type, &list,
                          &arrays))
        return NULL;
    return call_state(op, list, arrays);
}

/* How what a process answers is to be decoded. 0, or -1 with an exception. */
static int set_form(struct form *form, int bytes, const char *none,
                    Py_ssize_t n)
{
    form_init(form);
    if ((size_t)n >= sizeof form->none) {
        PyErr_SetString(PyExc_ValueError, "none: too long for an atom");
        return -1;
    }
    form->bytes = bytes;
    memcpy(form->none, none, (size_t)n + 1);
    form->none_len = (int)n;
    return 0;
}

static PyObject *erlang_pull(PyObject *module, PyObject *args)
{
    struct form form;
    const char *none = NULL;
    Py_ssize_t n = 0;
    int bytes = 0;
    PyObject *pid = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "Ops#:pull", &pid, &bytes, &none, &n) ||
        set_form(&form, bytes, none, n) < 0)
        return NULL;
    return call_pull(pid, &form);
}

static PyObject *erlang_whereis(PyObject *module, PyObject *name)
{
    (void)module;
    return message_whereis(name);
}

static PyObject *erlang_self(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return call_self();
}

static PyObject *erlang_make_ref(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return call_make_ref();
}

static PyObject *erlang_channel(PyObject *module, PyObject *args)
{
    struct form form;
    const char *none = NULL;
    Py_ssize_t n = 0;
    int bytes = 0;
    PyObject *pid = NULL, *question = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOps#:channel", &pid, &question, &bytes, &none,
                          &n) ||
        set_form(&form, bytes, none, n) < 0)
        return NULL;
    return call_channel(pid, question, &form);
}

static PyObject *erlang_receive(PyObject *module, PyObject *ms)
{
    (void)module;
    const long long n = PyLong_AsLongLong(ms);
    return n == -1 && PyErr_Occurred() ? NULL : call_receive(n);
}

static long worker;

static PyObject *erlang_worker(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    if (!worker)
        Py_RETURN_NONE;
    return PyLong_FromLong(worker);
}

static PyObject *erlang_spans(PyObject *module, PyObject *variable)
{
    (void)module;
    span_use(variable);
    Py_RETURN_NONE;
}

static PyObject *erlang_decoders(PyObject *module, PyObject *by_tag)
{
    (void)module;
    if (classes_set_decoders(by_tag) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *erlang_begun(PyObject *module, PyObject *none)
{
    (void)module;
    (void)none;
    return aio_news();
}

static PyObject *erlang_done(PyObject *module, PyObject *args)
{
    long number = 0;
    PyObject *value = NULL, *exc = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "lOO:done", &number, &value, &exc))
        return NULL;
    aio_done(number, value, exc == Py_None ? NULL : exc);
    Py_RETURN_NONE;
}

static PyObject *erlang_put(PyObject *module, PyObject *args)
{
    PyObject *feed = NULL, *item = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OO:put", &feed, &item))
        return NULL;
    const long n = feed_put(feed, item);
    return n < -1 ? NULL : PyLong_FromLong(n);
}

static PyObject *erlang_flush(PyObject *module, PyObject *args)
{
    PyObject *feed = NULL;
    long seen = LONG_MAX;
    (void)module;
    if (!PyArg_ParseTuple(args, "O|l:flush", &feed, &seen))
        return NULL;
    const long n = feed_flush(feed, seen);
    return n < 0 ? NULL : PyLong_FromLong(n);
}

static PyObject *erlang_credit(PyObject *module, PyObject *feed)
{
    (void)module;
    const int has = feed_has_credit(feed);
    return has < 0 ? NULL : PyBool_FromLong(has);
}

static PyObject *erlang_ask(PyObject *module, PyObject *args)
{
    PyObject *future = NULL, *callee = NULL, *list = NULL, *kwargs = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOO!O!:ask", &future, &callee, &PyTuple_Type,
                          &list, &PyDict_Type, &kwargs) ||
        !is_callee(callee))
        return NULL;
    const uint32_t id = aio_call(future, callee, list, kwargs);
    return id ? PyLong_FromUnsignedLong(id) : NULL;
}

static PyObject *erlang_ask_channel(PyObject *module, PyObject *args)
{
    struct form form;
    const char *none = NULL;
    Py_ssize_t n = 0;
    int bytes = 0;
    PyObject *future = NULL, *pid = NULL, *question = NULL;
    (void)module;
    if (!PyArg_ParseTuple(args, "OOOps#:ask_channel", &future, &pid, &question,
                          &bytes, &none, &n) ||
        set_form(&form, bytes, none, n) < 0)
        return NULL;
    const uint32_t id = aio_channel(future, pid, question, &form);
    return id ? PyLong_FromUnsignedLong(id) : NULL;
}

static PyObject *erlang_forget(PyObject *module, PyObject *number)
{
    (void)module;
    const unsigned long id = PyLong_AsUnsignedLong(number);
    if (PyErr_Occurred())
        return NULL;
    answer_forget((uint32_t)id);
    Py_RETURN_NONE;
}

static PyObject *erlang_on_message(PyObject *module, PyObject *handler)
{
    (void)module;
    if (call_on_message(handler) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"event", erlang_event, METH_VARARGS,
     "event(name, data, wait): sends {event, Name, Data}.\n\n"
     "False: dropped, because the reader is behind and wait is false."},
    {"unfinished", erlang_unfinished, METH_NOARGS,
     "unfinished(): a line was begun, which is to end with the job at the\n"
     "latest: erlang._output.end_lines() is called then."},
    {"send", erlang_send, METH_VARARGS,
     "send(to, term): sends a message; see erlang.send."},
    {"call", erlang_call, METH_VARARGS,
     "call(name_or_fun, args, kwargs): calls a function of Erlang's; see\n"
     "erlang.call."},
    {"lookup", erlang_lookup, METH_O,
     "lookup(name): whether there is such a function."},
    {"state", erlang_state, METH_VARARGS,
     "state(op, args, arrays): asks for something of the shared state; see\n"
     "erlang.state."},
    {"pull", erlang_pull, METH_VARARGS,
     "pull(pid, bytes, none): the next items of an iterator, a list, or "
     "None.\n\n"
     "Binaries in them are bytes or str, and the atom none is None."},
    {"whereis", erlang_whereis, METH_O,
     "whereis(name): who has that name; see erlang.whereis."},
    {"self", erlang_self, METH_NOARGS,
     "self(): who has asked for what runs; see erlang.self."},
    {"make_ref", erlang_make_ref, METH_NOARGS, "make_ref(): a new reference."},
    {"channel", erlang_channel, METH_VARARGS,
     "channel(pid, question, bytes, none): asks a channel: a list."},
    {"receive", erlang_receive, METH_O,
     "receive(ms): a list with a message, or None; see erlang.receive."},
    {"on_message", erlang_on_message, METH_O,
     "on_message(handler): calls it with each message, or nothing if it is\n"
     "None; see erlang.on_message."},
    {"worker", erlang_worker, METH_NOARGS,
     "worker(): its number in its pool, or None; see erlang.worker."},
    {"spans", erlang_spans, METH_O,
     "spans(variable): code has spans, and the current one is there."},
    {"decoders", erlang_decoders, METH_O,
     "decoders(by_tag): a dict with the tags of tuples that are decoded by\n"
     "erlang._decode.decode."},
    {"begun", erlang_begun, METH_NOARGS,
     "begun(): for the loop: what is to be awaited, a list of tuples (number,\n"
     "awaitable, file, span, feed), the last three or None; the numbers of\n"
     "what is cancelled; of the streams of which more is wanted; and Erlang's\n"
     "answers, as tuples (future, value, exception)."},
    {"put", erlang_put, METH_VARARGS,
     "put(feed, item): an item of a stream. How many wait to be sent; 0: all\n"
     "are sent; -1: all but this one, which is to be put again."},
    {"flush", erlang_flush, METH_VARARGS,
     "flush(feed, seen): sends what waits, unless there are more items than\n"
     "that: then there may be more in a moment. How many wait then."},
    {"credit", erlang_credit, METH_O,
     "credit(feed): whether more items of the stream are wanted."},
    {"ask", erlang_ask, METH_VARARGS,
     "ask(future, function, args, kwargs): calls a function of Erlang's; its\n"
     "number."},
    {"ask_channel", erlang_ask_channel, METH_VARARGS,
     "ask_channel(future, pid, question, bytes, none): asks a channel; its\n"
     "number."},
    {"forget", erlang_forget, METH_O,
     "forget(number): the future of this call wants no answer any more."},
    {"done", erlang_done, METH_VARARGS,
     "done(number, value, exc): what was awaited has ended like this."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_erlang",
    .m_doc = "What the package erlang cannot do in Python.",
    .m_size = 0,
    .m_methods = functions,
};

static PyObject *module_init(void)
{
    return PyModuleDef_Init(&module_def);
}

int module_add(long number)
{
    worker = number;
    return PyImport_AppendInittab("_erlang", module_init);
}
