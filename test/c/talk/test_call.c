/* SPDX-License-Identifier: Apache-2.0
 *
 * erlang.call: what it writes, and what becomes of the answer. The thread that
 * waits reads for itself here, as it does while a short job runs.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ei.h>

#include <malloc.h>
#include <signal.h>

#include "../talk.h"
#include "talk/answer.h"
#include "talk/call.h"
#include "talk/wait.h"
#include "wire/request.h"

/* What the other side answers when it is read from: a term, "" for one that is
 * no good, or NULL for one that there is no memory for. */
static const char *answer;
static bool answers; /* else it raises a signal */
static int reads;
static char question[sizeof text];

static void deliver(long id)
{
    char reply[300];
    struct request req;
    struct err err = {""};
    ei_x_buff b;
    ei_x_new_with_version(&b);
    snprintf(reply, sizeof reply, "{reply, %ld, %s}", id,
             answer && *answer ? answer : "ok");
    assert_int_equal(ei_x_format_wo_ver(&b, reply), 0);
    assert_int_equal(request_parse(b.buff, (size_t)b.index, &req, &err), 0);
    if (!answer)
        request_parse_id(b.buff, (size_t)b.index, &req);
    if (answer && *answer)
        answer_deliver(&req);
    else
        assert_true(answer_refuse(&req, answer ? "it is no good" : NULL));
    ei_x_free(&b);
}

static bool read_input(int ms)
{
    (void)ms;
    if (reads++ > 0)
        return true;
    next_frame();
    snprintf(question, sizeof question, "%s", text);
    if (answers)
        deliver(strtol(strchr(text, ',') + 1, NULL, 10));
    else
        raise(SIGUSR1);
    return true;
}

/* Shows the value, or the exception. */
static void evaluate(const char *expression, const char *by)
{
    char shown[400];
    reads = 0;
    answer = by;
    snprintf(shown, sizeof shown, "repr(%s)", expression);
    PyObject *value = evaluated(shown);
    if (value)
        snprintf(text, sizeof text, "%s", PyUnicode_AsUTF8(value));
    Py_XDECREF(value);
}

static void nobody_is_there(void **state)
{
    (void)state;
    evaluate("erlang.call('f')", "ok");
    assert_string_equal(text,
                        "SendError: there is no connection to Erlang any more");
    assert_int_equal(reads, 0);
}

static void nobody_answers(void **state)
{
    (void)state;
    open_pipe();
    evaluate("erlang.call('f')", "ok");
    assert_string_equal(text, "SendError: Erlang answers no calls here");
    evaluate("hasattr(erlang, 'f')", "ok");
    assert_string_equal(text, "False");
    assert_int_equal(reads, 0);
}

static void it_is_answered(void **state)
{
    (void)state;
    call_answered(true);
    answers = true;
    evaluate("erlang.call('f', 1, [], x=2)", "{ok, [7]}");
    assert_string_equal(text, "[7]");
    assert_non_null(
        strstr(question, ",none,0,<<\"f\">>,[1,[]],#{<<\"x\">>=>2}}"));
    assert_int_equal(strncmp(question, "{call,", 6), 0);
    evaluate("erlang.call('f')", "{ok, {ok, 1}}");
    assert_string_equal(text, "(Atom('ok'), 1)");
    evaluate("erlang.call('f')", "{error, {no, exit, [why], []}}");
    assert_string_equal(text, "Error: no");
}

/* What a user's decoder makes of {ok, _} is for what is in the answer. */
static void decoders_see_only_the_value(void **state)
{
    (void)state;
    embed_run("erlang.decoder('ok', lambda value: ['decoded', value])");
    evaluate("erlang.call('f')", "{ok, 1}");
    assert_string_equal(text, "1");
    evaluate("erlang.call('f')", "{ok, {ok, 1}}");
    assert_string_equal(text, "['decoded', 1]");
}

/* What Python has no value for must not hide the error. */
static void its_reason_cannot_be_had(void **state)
{
    (void)state;
    embed_run("@erlang.decoder('foreign')\n"
              "def foreign(value): raise erlang.BadArg('foreign')\n"
              "def fails():\n"
              "    try: erlang.call('f')\n"
              "    except erlang.Error as e: return str(e), e.class_, e.reason,"
              " e.stacktrace\n");
    evaluate("fails()", "{error, {why, throw, {foreign, 1}, []}}");
    assert_string_equal(text, "('why', Atom('throw'), None, ())");
    evaluate("fails()", "{error, {why, throw, 1, []}}");
    assert_string_equal(text, "('why', Atom('throw'), 1, [])");
    evaluate("fails()", "{error, [{foreign, 1}]}");
    assert_int_equal(strncmp(text, "BadArg: answer[0]: ", 19), 0);
    next_frame();
}

static void its_answer_cannot_be_had(void **state)
{
    (void)state;
    evaluate("erlang.call('f')", "");
    assert_string_equal(text, "BadArg: answer: it is no good");
    next_frame();
    assert_int_equal(strncmp(text, "{event,withdraw,", 16), 0);
    evaluate("erlang.call('f')", NULL);
    assert_string_equal(text, "MemoryError: ");
    next_frame();
}

static void it_cannot_be_encoded(void **state)
{
    (void)state;
    evaluate("erlang.call('f', [object()])", "ok");
    assert_string_equal(text, "TypeError: args[0][0]: cannot encode object: "
                              "register how with erlang.encoder");
    evaluate("erlang.call('f', x=object())", "ok");
    assert_string_equal(text, "TypeError: kwargs['x']: cannot encode object: "
                              "register how with erlang.encoder");
    evaluate("erlang.call(b'f')", "ok");
    assert_non_null(strstr(text, "TypeError: "));
    assert_int_equal(reads, 0);
}

/* An attribute is looked up once; what is not there is looked up again. */
static void it_is_looked_up(void **state)
{
    (void)state;
    evaluate("hasattr(erlang, 'g')", "{ok, false}");
    assert_string_equal(text, "False");
    assert_int_equal(strncmp(question, "{lookup,", 8), 0);
    evaluate("erlang.g.__name__", "{ok, true}");
    assert_string_equal(text, "'g'");
    evaluate("erlang.g(5)", "{ok, 6}");
    assert_string_equal(text, "6");
    assert_non_null(strstr(question, ",0,<<\"g\">>,[5],"));
    assert_int_equal(reads, 1);
    evaluate("hasattr(erlang, '_g')", "{ok, true}");
    assert_string_equal(text, "False");
    assert_int_equal(reads, 0);
}

/* What is kept has the form of arguments, so that it comes back. */
static void it_asks_for_the_state(void **state)
{
    (void)state;
    evaluate("erlang.state[b'k']", "{ok, [{date, {2026, 2, 28}}, 9]}");
    assert_string_equal(text, "datetime.date(2026, 2, 28)");
    assert_int_equal(strncmp(question, "{state,", 7), 0);
    assert_non_null(strstr(question, ",<<\"get\">>,[{bytes,<<\"k\">>}]}"));
    evaluate("erlang.state.get(7, 2)", "{ok, []}");
    assert_string_equal(text, "2");
    assert_non_null(strstr(question, ",<<\"get\">>,[7]}"));
    evaluate("erlang.state.put_new(1, float('nan'))", "{ok, [true]}");
    assert_string_equal(text, "True");
    assert_non_null(strstr(question, "[1,none,{float,nan}]}"));
    evaluate("erlang.state[memoryview(bytearray(b'm'))]", "{ok, []}");
    assert_int_equal(strncmp(text, "KeyError: ", 10), 0);
    assert_non_null(strstr(question, "[{bytes,<<\"m\">>}]}"));
    evaluate("erlang.state[object()]", "ok");
    assert_non_null(strstr(text, "TypeError: args[0]: cannot encode object"));
    assert_int_equal(reads, 0);
}

/* It is kept, and nobody waits. */
static void a_handler_is_told(void **state)
{
    (void)state;
    evaluate("erlang.on_message(print) is print", "ok");
    assert_string_equal(text, "True");
    next_frame();
    assert_int_equal(strncmp(text, "{event,on_message,{none,", 24), 0);
    evaluate("print in erlang._handle.kept.values()", "ok");
    assert_string_equal(text, "True");
    evaluate("erlang.on_message(None)", "ok");
    next_frame();
    assert_string_equal(text, "{event,on_message,{none,none}}");
    evaluate("erlang.on_message('f')", "ok");
    assert_string_equal(text, "TypeError: a handler is a function, not str");
    assert_int_equal(reads, 0);
}

static void items_are_pulled(void **state)
{
    (void)state;
    embed_run("import _erlang\n"
              "pid = erlang.Pid(b'Xw\\x03a@b' + bytes(12))\n");
    evaluate("_erlang.pull(pid, True, 'nix')", "{ok, [nix, none, x]}");
    assert_string_equal(text, "[None, None, Atom('x')]");
    assert_int_equal(strncmp(question, "{pull,", 6), 0);
    evaluate("_erlang.channel(pid, erlang.Atom('close'), False, 'none')",
             "{ok, []}");
    assert_string_equal(text, "[]");
    assert_int_equal(strncmp(question, "{channel,", 9), 0);
    evaluate("_erlang.pull(pid, False, 'none')", "{ok, none}");
    assert_string_equal(text, "None");
    evaluate("_erlang.pull(pid, False, 'none')",
             "{error, {no, exit, [why], []}}");
    assert_string_equal(text, "Error: no");
    evaluate("_erlang.pull(pid, False, 'x' * 256)", "ok");
    assert_string_equal(text, "ValueError: none: too long for an atom");
    evaluate("_erlang.pull(object(), False, 'none')", "ok");
    assert_int_equal(strncmp(text, "TypeError: pid: cannot", 22), 0);
    assert_int_equal(reads, 0);
}

/* Whoever gives up says so, and its answer is dropped. */
static void a_signal_ends_the_wait(void **state)
{
    (void)state;
    raise_at_signal();
    answers = false;
    evaluate("erlang.call('f')", "ok");
    assert_string_equal(text, "KeyError: 'stop'");
    next_frame();
    assert_int_equal(strncmp(text, "{event,withdraw,", 16), 0);
    answer = "{ok, late}";
    deliver(strtol(text + 16, NULL, 10));
    answers = true;
    evaluate("erlang.call('f')", "{ok, next}");
    assert_string_equal(text, "Atom('next')");
}

/* Erlang need not answer what nobody waits for. */
static void who_gives_up_leaves_nothing(void **state)
{
    (void)state;
    size_t before = 0;
    answers = false;
    for (int i = 0; i < 1100; i++) {
        if (i == 100)
            before = mallinfo2().uordblks;
        evaluate("erlang.call('f')", "ok");
        assert_string_equal(text, "KeyError: 'stop'");
        next_frame();
    }
    assert_in_range(mallinfo2().uordblks, 0, before + 100000);
    answers = true;
}

static void the_input_has_ended(void **state)
{
    (void)state;
    wait_end();
    evaluate("hasattr(erlang, 'h')", "{ok, true}");
    assert_string_equal(text, "False");
    assert_int_equal(reads, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(nobody_answers),
        cmocka_unit_test(it_is_answered),
        cmocka_unit_test(decoders_see_only_the_value),
        cmocka_unit_test(its_reason_cannot_be_had),
        cmocka_unit_test(its_answer_cannot_be_had),
        cmocka_unit_test(it_cannot_be_encoded),
        cmocka_unit_test(it_is_looked_up),
        cmocka_unit_test(it_asks_for_the_state),
        cmocka_unit_test(a_handler_is_told),
        cmocka_unit_test(items_are_pulled),
        cmocka_unit_test(a_signal_ends_the_wait),
        cmocka_unit_test(who_gives_up_leaves_nothing),
        cmocka_unit_test(the_input_has_ended),
    };
    start_talking(read_input);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
