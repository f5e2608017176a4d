/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams from their request to their final reply: what control does to one at
 * each moment of its life.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include "op/stream.h"
#include "../values.h"
#include "wire/frame.h"
#include "wire/output.h"

static struct frame_reader replies; /* from the pipe that they go into */
static char text[500];

/* The Ids 7 and 8, as they are in a frame. */
static const struct request seven = {.frame = "a\7", .id_len = 2};
static const struct request eight = {.frame = "a\10", .id_len = 2};

static void open_stream(const struct request *req, const char *iterable,
                        long credit)
{
    struct task task = {.req = req, .opts = {.chunk = 10, .credit = credit}};
    PyObject *x = embed_eval(iterable);
    PyObject *iterator = x ? PyObject_GetIter(x) : NULL;
    if (!iterator)
        embed_die(iterable);
    form_init(&task.opts.form);
    assert_int_equal(stream_open_take(&task, iterator), 0);
    Py_DECREF(x);
}

/* A turn of the stream that is next; false: none is ready. */
static bool step(void)
{
    struct buf out;
    struct stream *s = stream_take(false);
    if (!s)
        return false;
    buf_init(&out, 0);
    stream_step(s, &out);
    stream_give(s, false);
    buf_free(&out);
    return true;
}

/* The next frame that was sent; "" when there is none. */
static const char *reply(void)
{
    struct pollfd in = {.fd = replies.fd, .events = POLLIN};
    struct err err = {""};
    struct frame *frame = NULL;
    *text = '\0';
    if (!frame_buffered(&replies) && poll(&in, 1, 0) == 0)
        return text;
    assert_int_equal(frame_read(&replies, &frame, &err), FRAME_OK);
    show(frame->data + 1, text, sizeof text);
    free(frame);
    return text;
}

static void chunks_follow_credit(void **state)
{
    (void)state;
    stream_expect(&seven, false);
    assert_false(stream_ready(false));
    open_stream(&seven, "iter([1, 2, 3])", 2);
    assert_true(step());
    assert_string_equal(reply(), "{7,{chunk,[1,2]}}");
    assert_false(stream_ready(false));
    stream_more(&eight, 1);
    assert_false(stream_ready(false));
    stream_more(&seven, 5);
    assert_true(step());
    assert_string_equal(reply(), "{7,{chunk,[3]}}");
    assert_string_equal(reply(), "{7,ok}");
    assert_false(step());
}

static void credit_may_come_early(void **state)
{
    (void)state;
    stream_expect(&seven, false);
    stream_more(&seven, 1);
    stream_more(&seven, 1);
    assert_false(stream_ready(false));
    open_stream(&seven, "iter('abc')", 0);
    assert_true(step());
    assert_string_equal(reply(), "{7,{chunk,[<<\"a\">>,<<\"b\">>]}}");
    assert_false(step());
    stream_end(&seven, STREAM_STOPPED);
    assert_true(step());
    assert_string_equal(reply(), "{7,ok}");
}

/* Ended before it was open: the generator is closed, or never begins. */
static void end_early(enum stream_end first, enum stream_end second,
                      const char *final)
{
    stream_expect(&seven, false);
    stream_end(&seven, first);
    stream_end(&seven, second);
    assert_false(stream_ready(false));
    open_stream(&seven, "iter([1, 2])", 2);
    assert_true(step());
    assert_string_equal(reply(), final);
    assert_string_equal(reply(), "");
    assert_false(step());
}

static void the_end_may_come_early(void **state)
{
    (void)state;
    end_early(STREAM_STOPPED, STREAM_STOPPED, "{7,ok}");
    end_early(STREAM_CANCELLED, STREAM_CANCELLED, "{7,{error,cancelled}}");
    end_early(STREAM_STOPPED, STREAM_CANCELLED, "{7,{error,cancelled}}");
    end_early(STREAM_CANCELLED, STREAM_STOPPED, "{7,{error,cancelled}}");
}

static void a_forgotten_stream_cannot_be_opened(void **state)
{
    (void)state;
    struct task task = {.req = &seven};
    stream_expect(&eight, false);
    stream_expect(&seven, false);
    stream_forget(&seven);
    stream_forget(&seven);
    stream_more(&seven, 1);
    assert_int_equal(stream_open_take(&task, PyList_New(0)), -1);
    assert_true(PyErr_ExceptionMatches(PyExc_MemoryError));
    PyErr_Clear();
    open_stream(&eight, "[]", 1); /* the other one is there */
    assert_true(step());
    assert_string_equal(reply(), "{8,ok}");
}

/* Called while the final reply is made: the id is used again already. */
static PyObject *reuse(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    stream_expect(&seven, false);
    stream_more(&seven, 3);
    return PyUnicode_FromString("over");
}

static void an_id_is_free_once_the_stream_is_over(void **state)
{
    (void)state;
    static PyMethodDef def = {"reuse", reuse, METH_NOARGS, NULL};
    PyObject *function = PyCFunction_New(&def, NULL);
    PyDict_SetItemString(embed_names, "reuse", function);
    Py_XDECREF(function);
    embed_run("class Over(Exception):\n"
              "    def __str__(self): return reuse()\n"
              "def fails():\n"
              "    yield 1\n"
              "    raise Over\n");
    stream_expect(&seven, false);
    open_stream(&seven, "fails()", 5);
    assert_true(step());
    assert_string_equal(reply(), "{7,{chunk,[1]}}");
    assert_string_equal(reply(),
                        "{7,{error,{<<\"builtins.Over\">>,<<\"over\">>}}}");
    open_stream(&seven, "iter(range(9))", 0);
    assert_true(step());
    assert_string_equal(reply(), "{7,{chunk,[0,1,2]}}");
    assert_false(step());
}

/* It has turns of its own, and says when something is at its end. */
static void one_that_has_its_turns_aside(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    stream_expect(&eight, true);
    assert_true(streams_are_away());
    open_stream(&eight, "iter(range(9))", 2);
    assert_false(streams_are_away());
    assert_false(stream_ready(false));
    assert_true(stream_ready(true));
    struct stream *s = stream_take(true);
    assert_true(streams_are_away());
    stream_step(s, &out);
    assert_string_equal(reply(), "{8,{chunk,[0,1]}}");
    stream_more(&eight, 2);
    assert_true(stream_give(s, true)); /* it goes on */
    assert_false(stream_ready(true));
    stream_step(s, &out);
    assert_string_equal(reply(), "{8,{chunk,[2,3]}}");
    stream_end(&eight, STREAM_STOPPED);
    assert_string_equal(reply(), "{8,threaded}");
    assert_false(stream_give(s, false));
    assert_false(streams_are_away());
    stream_end(&eight, STREAM_STOPPED);
    assert_string_equal(reply(), ""); /* it waits */
    s = stream_take(true);
    stream_step(s, &out);
    assert_string_equal(reply(), "{8,threaded}");
    assert_string_equal(reply(), "{8,ok}");
    assert_false(stream_give(s, true));
    assert_false(streams_are_away());
    buf_free(&out);
}

/* Leaves streams in each state behind. */
static void the_end_of_the_program_closes_all(void **state)
{
    (void)state;
    embed_run("closed = []\n"
              "def closes():\n"
              "    try: yield 1\n"
              "    finally: closed.append(1)\n");
    stream_expect(&eight, false);
    open_stream(&eight, "closes()", 1);
    assert_true(step());
    assert_string_equal(reply(), "{8,{chunk,[1]}}");
    stream_expect(&eight, false);
    streams_drop();
    assert_true(embed_holds("closed == [1]", Py_None));
    assert_string_equal(reply(), "");
    stream_end(&eight, STREAM_STOPPED);
    assert_false(stream_ready(false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_follow_credit),
        cmocka_unit_test(credit_may_come_early),
        cmocka_unit_test(the_end_may_come_early),
        cmocka_unit_test(a_forgotten_stream_cannot_be_opened),
        cmocka_unit_test(an_id_is_free_once_the_stream_is_over),
        cmocka_unit_test(one_that_has_its_turns_aside),
        cmocka_unit_test(the_end_of_the_program_closes_all),
    };
    int ends[2];
    embed_start();
    if (pipe(ends) < 0)
        embed_die("no pipe");
    output_init(ends[1], DEFAULT_MAX_FRAME);
    frame_reader_init(&replies, ends[0], DEFAULT_MAX_FRAME);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
