/* SPDX-License-Identifier: Apache-2.0
 *
 * What erlang.send writes, and the window that events have.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "talk/event.h"
#include "values.h"
#include "wire/frame.h"
#include "wire/output.h"

static char text[500];

static struct frame_reader reader; /* from the pipe that events go into */

static void open_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    output_init(ends[1], DEFAULT_MAX_FRAME);
    frame_reader_init(&reader, ends[0], DEFAULT_MAX_FRAME);
}

/* Shows the next event in `text`; the bytes of its frame. */
static size_t next_event(void)
{
    struct err err = {""};
    struct frame *frame = NULL;
    assert_int_equal(frame_read(&reader, &frame, &err), FRAME_OK);
    const size_t n = frame->len;
    show(frame->data + 1, text, sizeof text);
    free(frame);
    return n;
}

static void nobody_is_there(void **state)
{
    (void)state;
    assert_null(embed_eval("erlang.send('a', 1)"));
    take_error(text, sizeof text);
    assert_string_equal(
        text, "RuntimeError: there is no connection to Erlang any more");
    assert_int_equal(event_send("log", Py_None, false), 0);
    assert_null(PyErr_Occurred());
}

static void sending(void **state)
{
    (void)state;
    open_pipe();
    Py_XDECREF(embed_eval("erlang.send('name', [1])"));
    next_event();
    assert_string_equal(text, "{event,send,{name,[1]}}");
    Py_XDECREF(embed_eval("erlang.send(erlang.Pid(b'Xw\\1n' + bytes(12)), 2)"));
    next_event();
    assert_string_equal(text,
                        "{event,send,{?X,n}}"); /* as far as it is shown */
    assert_null(embed_eval("erlang.send(7, 1)"));
    take_error(text, sizeof text);
    assert_string_equal(text, "TypeError: send to a Pid or a name, not int");
}

/* One event may go beyond the window, so that a large one is not stuck. */
static void the_window_is_kept(void **state)
{
    (void)state;
    event_set_window(1);
    assert_int_equal(event_send("log", Py_None, false), 1);
    const long long n = (long long)next_event();
    assert_string_equal(text, "{event,log,none}");
    assert_int_equal(event_send("log", Py_None, false), 0);
    event_acked(n - 1);
    assert_int_equal(event_send("log", Py_None, false), 0);
    event_acked(1);
    assert_int_equal(event_send("log", Py_None, false), 1);
    next_event();
    event_end();
    assert_int_equal(event_send("log", Py_None, true), -1);
    take_error(text, sizeof text);
    assert_non_null(strstr(text, "no connection"));
    event_set_window(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(sending),
        cmocka_unit_test(the_window_is_kept),
    };
    event_init();
    embed_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
