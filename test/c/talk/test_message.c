/* SPDX-License-Identifier: Apache-2.0
 *
 * erlang.send: what it writes, and what becomes of the answer. The thread that
 * waits reads for itself here, as it does while a short job runs.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>

#include "../talk.h"
#include "talk/answer.h"
#include "talk/event.h"
#include "talk/message.h"
#include "talk/wait.h"
#include "talk/window.h"
#include "wire/put.h"
#include "wire/request.h"

/* What the other side does when it is read from. */
static void (*on_read)(void);
static int reads;

static bool read_input(int ms)
{
    (void)ms;
    reads++;
    on_read();
    return true;
}

/* {reply, CallId, ok | {error, Text}} has come in. */
static void deliver(long id, const char *error)
{
    struct request req;
    struct err err = {""};
    struct buf b;
    buf_init(&b, DEFAULT_MAX_FRAME);
    put_version(&b);
    put_tuple(&b, 3);
    put_atom_z(&b, "reply");
    put_long(&b, id);
    if (error) {
        put_tuple(&b, 2);
        put_atom_z(&b, "error");
        put_binary(&b, error, strlen(error));
    } else {
        put_atom_z(&b, "ok");
    }
    assert_int_equal(request_parse(b.data, b.len, &req, &err), 0);
    answer_deliver(&req);
    buf_free(&b);
}

/* The CallId of the next message, which is shown in `text`. */
static long next_message(void)
{
    next_frame();
    return strtol(text + strlen("{send,"), NULL, 10);
}

static void say_ok(void)
{
    deliver(next_message(), NULL);
}

static void say_no(void)
{
    deliver(next_message(), "nobody is there");
}

static void say_to_another(void)
{
    if (reads == 1)
        deliver(next_message() + 1, NULL);
    else
        deliver(strtol(text + strlen("{send,"), NULL, 10), NULL);
}

static void raise_signal(void)
{
    raise(SIGUSR1);
}

static void read_nothing(void)
{
}

static void end_input(void)
{
    wait_end();
}

static void evaluate(const char *expression, void (*by)(void))
{
    reads = 0;
    on_read = by;
    PyObject *value = evaluated(expression);
    Py_XDECREF(value);
}

static void nobody_is_there(void **state)
{
    (void)state;
    evaluate("erlang.send('a', 1)", read_nothing);
    assert_string_equal(text,
                        "SendError: there is no connection to Erlang any more");
    assert_int_equal(reads, 0);
}

static void nobody_answers(void **state)
{
    (void)state;
    open_pipe();
    evaluate("erlang.send('name', [1])", read_nothing);
    next_frame();
    assert_string_equal(text, "{event,send,{name,[1]}}");
    evaluate("erlang.send(erlang.Pid(b'Xw\\1n' + bytes(12)), 2)", read_nothing);
    next_frame();
    assert_string_equal(text,
                        "{event,send,{?X,n}}"); /* as far as it is shown */
    evaluate("erlang.send(7, 1)", read_nothing);
    assert_string_equal(text, "TypeError: send to a Pid or a name, not int");
    assert_int_equal(reads, 0);
}

static void it_is_answered(void **state)
{
    (void)state;
    message_answered(true);
    evaluate("erlang.send('name', [1])", say_ok);
    assert_string_equal(text, "{send,257,name,[1]}");
    assert_int_equal(reads, 1);
    evaluate("erlang.send('name', 'text')", say_no);
    assert_string_equal(text, "SendError: nobody is there");
    evaluate("erlang.send('name', 2)", say_to_another);
    assert_string_equal(text, "{send,259,name,2}");
    assert_int_equal(reads, 2);
}

static void it_cannot_be_encoded(void **state)
{
    (void)state;
    evaluate("erlang.send('name', [object()])", read_nothing);
    assert_string_equal(text, "TypeError: term[0]: cannot encode object: "
                              "register how with erlang.encoder");
    assert_int_equal(reads, 0);
}

/* Whoever gives up leaves its answer, and with it the room in the window. */
static void a_signal_ends_the_wait(void **state)
{
    (void)state;
    raise_at_signal();
    window_set(1);
    evaluate("erlang.send('name', 3)", raise_signal);
    assert_string_equal(text, "KeyError: 'stop'");
    const long id = next_message();
    evaluate("erlang.send('name', 4)", raise_signal);
    assert_string_equal(text, "KeyError: 'stop'"); /* it was not even sent */
    deliver(id, NULL);
    deliver(id, NULL);
    evaluate("erlang.send('name', 5)", say_ok);
    assert_non_null(strstr(text, ",name,5}"));
    assert_int_equal(event_send("log", Py_None, false), 1); /* its own window */
    next_frame();
    window_set(0);
}

static void the_input_ends_meanwhile(void **state)
{
    (void)state;
    evaluate("erlang.send('name', 6)", end_input);
    assert_string_equal(text,
                        "SendError: there is no connection to Erlang any more");
    deliver(next_message(), NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(it_is_answered),
        cmocka_unit_test(it_cannot_be_encoded),
        cmocka_unit_test(a_signal_ends_the_wait),
        cmocka_unit_test(the_input_ends_meanwhile),
    };
    start_talking(read_input);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
