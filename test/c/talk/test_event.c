/* SPDX-License-Identifier: Apache-2.0
 *
 * Events, and the window that they have.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "talk/event.h"
#include "talk/wait.h"
#include "talk/window.h"
#include "../talk.h"

static void nobody_is_there(void **state)
{
    (void)state;
    assert_int_equal(event_send("log", Py_None, false), 0);
    assert_null(PyErr_Occurred());
    assert_int_equal(event_send("log", Py_None, true), -1);
    take_error(text, sizeof text);
    assert_string_equal(text,
                        "SendError: there is no connection to Erlang any more");
}

static void a_name_is_an_atom(void **state)
{
    (void)state;
    open_pipe();
    assert_null(embed_eval("__import__('_erlang').event('x' * 256, 1, 0)"));
    take_error(text, sizeof text);
    assert_string_equal(text, "ValueError: an event's name is an atom");
    Py_XDECREF(embed_eval("__import__('_erlang').event('x', 1, 0)"));
    next_frame();
    assert_string_equal(text, "{event,x,1}");
}

/* One event may go beyond the window, so that a large one is not stuck. */
static void the_window_is_kept(void **state)
{
    (void)state;
    window_set(1);
    assert_int_equal(event_send("log", Py_None, false), 1);
    const long long n = (long long)next_frame();
    assert_string_equal(text, "{event,log,none}");
    assert_int_equal(event_send("log", Py_None, false), 0);
    event_acked(n - 1);
    assert_int_equal(event_send("log", Py_None, false), 0);
    event_acked(1);
    assert_int_equal(event_send("log", Py_None, false), 1);
    next_frame();
    window_give(WINDOW_MESSAGES, n);
    assert_int_equal(event_send("log", Py_None, false), 0);
    wait_end();
    assert_int_equal(event_send("log", Py_None, true), -1);
    take_error(text, sizeof text);
    assert_non_null(strstr(text, "no connection"));
    window_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(a_name_is_an_atom),
        cmocka_unit_test(the_window_is_kept),
    };
    wait_init();
    embed_start();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
