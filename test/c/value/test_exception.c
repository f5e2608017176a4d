/* SPDX-License-Identifier: Apache-2.0
 *
 * error: what cannot be converted says where, exceptions become reasons, and
 * nothing of that depends on the exception's or the object's good behaviour.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "task/reply.h"
#include "../values.h"
#include "wire/output.h"

#define ROWS(table) (sizeof(table) / sizeof *(table))

static char text[65536];

/* ---- places ---- */

/* clang-format off */
static const struct {
    const char *hex;
    const char *error;
} not_for_python[] = {
    {"836d00000001ff",
     "args: binary is not UTF-8; send {bytes, B} to get bytes"},
    {"836c00000002" "6101" "740000000177017868026d00000001ff61016a",
     "args[1]['x'][0]: binary is not UTF-8; send {bytes, B} to get bytes"},
    {"836c00000001" "6d00000003eda0806a", /* an encoded surrogate */
     "args[0]: binary is not UTF-8; send {bytes, B} to get bytes"},
    {"837400000002" "61016101" "6d00000001ff6101",
     "args.keys()[1]: binary is not UTF-8; send {bytes, B} to get bytes"},
    {"836c0000000161016d00000001ff",
     "args.tail: binary is not UTF-8; send {bytes, B} to get bytes"},
    {"837400000002" "61016102" "463ff00000000000006103",
     "args: keys 1 and 1.0 are equal in Python"},
    {"836c00000001" "7400000002" "7701616102" "6d000000016161036a",
     "args[0]: keys Atom('a') and 'a' are equal in Python"},
    {"837400000002" "77036e696c6101" "77046e6f6e656102",
     "args: keys None and None are equal in Python"},
    {"837400000002" "770474727565" "6101" "61016102",
     "args: keys True and 1 are equal in Python"},
    {"837400000001" "6b0002" "61626103",
     "args: [97, 98] cannot be a key of a dict: "},
    {"837400000001" "6801" "7400000000" "6103",
     "args: ({},) cannot be a key of a dict: "},
    {"8363312e3030303030303030303030303030303030303030652b39393900000000",
     "args: float is out of range"},
};

#define REGISTER ": register how with erlang.encoder"

static const struct {
    const char *expression;
    const char *error;
} not_for_erlang[] = {
    {"object()", "TypeError: result: cannot encode object" REGISTER},
    {"{'x': [0, 1, 2, object()]}",
     "TypeError: result['x'][3]: cannot encode object" REGISTER},
    {"[(1, len)]",
     "TypeError: result[0][1]: cannot encode "
     "builtin_function_or_method" REGISTER},
    {"{'y' * 50: {(1, len): 2}}",
     "TypeError: result['yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\xe2\x80\xa6]"
     ".keys()[0][1]: cannot encode builtin_function_or_method" REGISTER},
    {"{Odd(): 1, 'a': len}",
     "TypeError: result.keys()[0]: cannot encode embedded.Odd" REGISTER},
    {"{1: {b'a' * 100: object}}",
     "TypeError: result[1][b'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xe2\x80\xa6]: "
     "cannot encode type" REGISTER},
    {"erlang.ImproperList([1], object())",
     "TypeError: result.tail: cannot encode object" REGISTER},
    {"erlang.ImproperList([], 1)",
     "ValueError: result: ImproperList without items"},
    {"[iter(())]", "TypeError: result[0]: cannot encode tuple_iterator: it is "
                   "an iterator; list(...) makes a list of it"},
    {"[[memoryview((__import__('ctypes').c_void_p * 1)())]]",
     "TypeError: result[0][0]: cannot encode memoryview: its items are neither "
     "bytes nor numbers but '<P'"},
    {"['a', 'b\\ud800']",
     "ValueError: result[1]: str has a lone surrogate at index 1, so it has no "
     "UTF-8 form"},
    {"{'\\udfff': 1}",
     "ValueError: result.keys()[0]: str has a lone surrogate at index 0, so it "
     "has no UTF-8 form"},
    {"{'a': 1, 2: 3, b'a': 4}",
     "ValueError: result: keys 'a' and b'a' become the same Erlang term"},
    {"[{float('nan'): 1, float('-nan'): 2}]",
     "ValueError: result[0]: keys nan and nan become the same Erlang term"},
    {"{None: 1, Atom('none'): 2}",
     "ValueError: result: keys None and Atom('none') become the same Erlang "
     "term"},
    {"{True: 1, Atom('true'): 2}",
     "ValueError: result: keys True and Atom('true') become the same Erlang "
     "term"},
    {"{('a', (1,)): 1, (b'a', (1,)): 2}",
     "ValueError: result: keys ('a', (1,)) and (b'a', (1,)) become the same "
     "Erlang term"},
    {"[Fails()]",
     "TypeError: result[0]: cannot encode embedded.Fails: LookupError: no code"},
    {"str.__new__(Atom, 'a' * 256)",
     "ValueError: result: an atom has at most 255 characters"},
    {"erlang.Pid(b'')",
     "ValueError: result: not the bytes of an Erlang term: Pid"},
    {"[erlang.Reference(b'\\x61\\x01')]",
     "ValueError: result[0]: not the bytes of an Erlang term: Reference"},
    {"erlang.Fun(b'\\x71\\x77\\x01a\\x77\\x01b\\x61\\x01\\x6a')",
     "ValueError: result: not the bytes of an Erlang term: Fun"},
    {"bent(erlang.Pid(b''), '_etf', 7)",
     "ValueError: result: not the bytes of an Erlang term: Pid"},
    {"bent(erlang.BitString(b'a', 7), 'bits', 9)",
     "ValueError: result: BitString of the wrong size"},
    {"bent(erlang.BitString(b'a', 7), 'bits', -1)",
     "ValueError: result: BitString of the wrong size"},
    {"bent(erlang.BitString(b'a', 7), 'data', 'a')",
     "ValueError: result: BitString of the wrong size"},
    {"Myself()",
     "TypeError: result: the encoder of Myself returned the object"},
};
/* clang-format on */

static const char *const CLASSES =
    "__name__ = 'embedded'\n"
    "class Odd:\n"
    "    def __repr__(self): raise KeyError\n"
    "class Fails: pass\n"
    "@erlang.encoder(Fails)\n"
    "def fails(obj): raise LookupError('no code')\n"
    "class Myself: pass\n"
    "erlang.encoder(Myself, lambda obj: obj)\n"
    "def bent(obj, name, value):\n"
    "    object.__setattr__(obj, name, value)\n"
    "    return obj\n"
    "class Own(Exception): pass\n"
    "class Mute(Exception):\n"
    "    def __str__(self): raise KeyError('x')\n"
    "class Worse(Exception):\n"
    "    def __str__(self): return 5\n"
    "    @property\n"
    "    def __notes__(self): raise Mute\n"
    "class Liar(Exception): pass\n"
    "Liar.__module__ = 'builtins'\n"
    "class Meta(type):\n"
    "    def __getattribute__(cls, name): raise Mute\n"
    "    def __eq__(cls, other): raise Mute\n"
    "    __hash__ = None\n"
    "class Hostile(Exception, metaclass=Meta): pass\n"
    "def chain(n):\n"
    "    exc = None\n"
    "    for i in range(n):\n"
    "        new = ValueError(i)\n"
    "        new.__cause__ = exc\n"
    "        exc = new\n"
    "    return exc\n"
    "def circle():\n"
    "    a, b = KeyError(1), KeyError(2)\n"
    "    a.__cause__, b.__context__ = b, a\n"
    "    return a\n"
    "def deep(n):\n"
    "    return deep(n - 1) if n else 1 / 0\n"
    "def throw(exc): raise exc\n"
    "def named(name):\n"
    "    return type(name, (Exception,), {'__module__': 'm'})\n"
    "class badarg(Exception): pass\n"
    "class Nowhere:\n"
    "    def __str__(self): raise Mute\n"
    "def homeless(name, module):\n"
    "    return type(name, (Exception,), {'__module__': module})()\n"
    "def caused():\n"
    "    try: 1 / 0\n"
    "    except ZeroDivisionError as e: raise Own('u\\udc80') from e\n"
    "def during():\n"
    "    try: 1 / 0\n"
    "    except ZeroDivisionError: {}['k']\n";

static void erlang_to_python_says_where(void **state)
{
    (void)state;
    const struct form form = default_form();
    for (size_t i = 0; i < ROWS(not_for_python); i++) {
        PyObject *x = decode_hex(not_for_python[i].hex, &form);
        assert_null(x);
        assert_true(PyErr_ExceptionMatches(classes_badarg()));
        take_error(text, sizeof text);
        const char *message = strchr(text, ' ') + 1;
        const size_t n = strlen(not_for_python[i].error);
        if (strncmp(message, not_for_python[i].error, n) != 0)
            fail_msg("%s: %s", not_for_python[i].hex, text);
    }
}

static void python_to_erlang_says_where(void **state)
{
    (void)state;
    const struct form form = default_form();
    for (size_t i = 0; i < ROWS(not_for_erlang); i++) {
        encode_text(not_for_erlang[i].expression, &form, text, sizeof text);
        assert_string_equal(text, not_for_erlang[i].error);
    }
}

/* ---- text and names ---- */

static PyObject *read_text(const char *hex)
{
    size_t n, at = 1;
    const struct form form = default_form();
    struct err err = {""};
    char *frame = from_hex(hex, &n);
    assert_int_equal(scan_frame(frame, n, &err), 0);
    PyObject *x = value_decode_text(frame, &at, &form, "code");
    assert_true(!x || at == n);
    free(frame);
    return x;
}

/* clang-format off */
static const struct {
    const char *hex;
    const char *holds; /* of x */
} texts[] = {
    {"837705" "61c3bcc3bf", "x == 'a\\xfc\\xff'"},
    {"836d00000005" "61c3bcc3bf", "x == 'a\\xfc\\xff'"},
    {"836b0003" "61fcff", "x == 'a\\xfc\\xff'"},
    {"836c00000003" "6161" "61fc" "62000000ff" "6a", "x == 'a\\xfc\\xff'"},
    {"836c00000003" "6b000161" "6a" "6d00000002c3bc" "6b0001ff",
     "x == 'a\\xfc\\xff'"},
    {"836c00000001" "6161" "6d00000004c3bcc3bf", "x == 'a\\xfc\\xff'"},
    {"836a", "x == ''"},
    {"836c00000002" "620001f40d" "62000020ac" "6a",
     "x == '\\U0001f40d\\u20ac'"},
    {"8377046e6f6e65", "x == 'none'"},
};

static const char *const no_texts[][2] = {
    {"836101", "code: not an atom, a binary or a string"},
    {"836c00000001" "7701616a", "code: not an atom, a binary or a string"},
    {"836d00000001ff", "code: not UTF-8"},
    {"836c00000001" "620000d8006a", "code: not UTF-8"},
    {"836c00000001" "62001100006a", "code: a code point is over 1114111"},
    {"836c00000001" "62ffffffff6a", "code: a code point is over 1114111"},
};
/* clang-format on */

static void text_in_all_its_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(texts); i++) {
        PyObject *x = read_text(texts[i].hex);
        if (!x)
            embed_die(texts[i].hex);
        assert_true(embed_holds("type(x) is str", x));
        assert_true(embed_holds(texts[i].holds, x));
        Py_DECREF(x);
    }
}

static void what_is_no_text(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(no_texts); i++) {
        assert_null(read_text(no_texts[i][0]));
        take_error(text, sizeof text);
        assert_string_equal(strchr(text, ' ') + 1, no_texts[i][1]);
    }
}

static PyObject *read_names(const char *hex)
{
    size_t n, at = 1;
    const struct form form = default_form();
    char *frame = from_hex(hex, &n);
    PyObject *x = value_decode_names(frame, &at, &form, "kwargs");
    free(frame);
    return x;
}

/* clang-format off */
static const char *const no_names[][2] = {
    {"836a", "kwargs: not a map"},
    {"837400000001" "61016101",
     "kwargs.keys()[0]: not an atom, a binary or a string"},
    {"837400000002" "7701616101" "6d00000001616102",
     "kwargs: keys 'a' and 'a' are equal in Python"},
    {"837400000001" "770161" "68016d00000001ff",
     "kwargs['a'][0]: binary is not UTF-8; send {bytes, B} to get bytes"},
};
/* clang-format on */

static void names(void **state)
{
    (void)state;
    PyObject *x = read_names("837400000003"
                             "7701616101"
                             "6d00000001626102"
                             "6b00016377016e");
    assert_true(embed_holds(
        "x == dict(a=1, b=2, c='n') and {type(k) for k in x} == {str}", x));
    Py_DECREF(x);
    for (size_t i = 0; i < ROWS(no_names); i++) {
        assert_null(read_names(no_names[i][0]));
        take_error(text, sizeof text);
        assert_string_equal(strchr(text, ' ') + 1, no_names[i][1]);
    }
}

/* ---- reasons ---- */

/* Runs the expression, which raises, and shows the reason. */
static void reason_with(const char *expression, bool traceback, size_t max)
{
    struct buf out;
    struct err err = {""};
    size_t end = 0;
    struct form form = default_form();
    form.traceback = traceback;
    PyObject *x = embed_eval(expression);
    assert_null(x);
    buf_init(&out, max);
    *text = '\0';
    int rc = exception_encode(&out, &form);
    assert_null(PyErr_Occurred());
    if (rc == 0) {
        assert_int_equal(scan_term(out.data, out.len, &end, &err), 0);
        assert_int_equal(end, out.len);
        show(out.data, text, sizeof text);
    } else {
        assert_int_equal(out.len, 0);
    }
    buf_free(&out);
}

static void reasons(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"1/0", "{ZeroDivisionError,<<\"division by zero\">>}"},
        {"{}['k']", "{KeyError,<<\"'k'\">>}"},
        {"throw(Own('x'))", "{<<\"embedded.Own\">>,<<\"x\">>}"},
        {"throw(Own('\\ud800'))", "{<<\"embedded.Own\">>,<<\"\\ud800\">>}"},
        {"throw(IOError('x'))", "{OSError,<<\"x\">>}"},
        {"throw(Liar())", "{<<\"builtins.Liar\">>,<<\"\">>}"},
        {"throw(erlang.BadArg('x'))", "{badarg,<<\"x\">>}"},
        {"throw(erlang.Cancelled())", "{<<\"erlang.Cancelled\">>,<<\"\">>}"},
        {"throw(SystemExit(3))", "{SystemExit,<<\"3\">>}"},
        {"throw(KeyboardInterrupt)", "{KeyboardInterrupt,<<\"\">>}"},
        {"throw(Mute())",
         "{<<\"embedded.Mute\">>,<<\"<no message: str() raised KeyError>\">>}"},
        {"throw(Worse())", "{<<\"embedded.Worse\">>,<<\"<no message: str() "
                           "raised TypeError>\">>}"},
        {"throw(Hostile('h'))", "{<<\"embedded.Hostile\">>,<<\"h\">>}"},
        {"throw(badarg('x'))", "{<<\"embedded.badarg\">>,<<\"x\">>}"},
        {"throw(homeless('timeout', None))", "{<<\"None.timeout\">>,<<\"\">>}"},
        {"throw(homeless('timeout', Nowhere()))",
         "{<<\"?.timeout\">>,<<\"\">>}"},
        {"__import__('zlib').decompress(b'')",
         "{<<\"zlib.error\">>,<<\"Error -5 while decompressing data: "
         "incomplete or truncated stream\">>}"},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        reason_with(rows[i][0], false, MAX_REPLY);
        assert_string_equal(text, rows[i][1]);
    }
}

static void a_reason_fits_or_says_less(void **state)
{
    (void)state;
    reason_with("throw(Own('m' * 1000))", true, 2000);
    assert_memory_equal(text, "{<<\"embedded.Own\">>,<<\"mmm", 26);
    reason_with("throw(Own('m' * 1000))", true, 100);
    assert_string_equal(text, "{<<\"embedded.Own\">>,<<\"<no message: larger "
                              "than max_frame>\">>}");
    reason_with("throw(Own('m' * 1000))", true, 20);
    assert_string_equal(text, "");
}

static void a_long_class_name_is_cut(void **state)
{
    (void)state;
    reason_with("throw(named('N' * 253)())", false, MAX_REPLY);
    assert_int_equal(strlen(text), strlen("{<<\"\">>,<<\"\">>}") + 255);
    reason_with("throw(named('N' * 254)())", false, MAX_REPLY);
    assert_int_equal(strspn(text + strlen("{<<109,46,"), "78,"), 3 * 250);
    assert_non_null(strstr(text, ",78,226,128,166>>,<<\"\">>}"));
    reason_with("throw(named(249 * 'N' + '\\xfc' * 9)())", false, MAX_REPLY);
    assert_non_null(strstr(text, ",78,78,226,128,166>>,<<\"\">>}"));
    reason_with("throw(named(248 * 'N' + '\\xfc' * 9)())", false, MAX_REPLY);
    assert_non_null(strstr(text, ",78,195,188,226,128,166>>,<<\"\">>}"));
}

/* With the least max_frame that there is, and ever longer Ids: binaries. */
static void a_reply_is_always_whole(void **state)
{
    (void)state;
    const struct form form = default_form();
    char id[985] = "m";
    struct buf out;
    struct err err = {""};
    output_init(-1, 1024);
    for (size_t n = 5; n < sizeof id; n++) {
        assert_null(embed_eval("throw(named('N' * 2000)('m' * 2000))"));
        id[3] = (char)((n - 5) >> 8);
        id[4] = (char)(n - 5);
        buf_init(&out, 0);
        reply_begin(&out, id, n);
        reply_exception(&out, &form);
        if (scan_frame(out.data + FRAME_HEADER, out.len - FRAME_HEADER, &err))
            fail_msg("an Id of %zu bytes: %s", n, err.text);
        buf_free(&out);
    }
}

static void has(const char *expression, const char *part)
{
    reason_with(expression, true, MAX_REPLY);
    if (!strstr(text, part))
        fail_msg("%s: no %s in\n%s", expression, part, text);
}

static void traces(void **state)
{
    (void)state;
    has("deep(1)", "frames=>[#{file=><<\"<string>\">>,function=><<\"<module>");
    has("deep(1)", "function=><<\"deep\">>,line=>");
    has("deep(1)", "formatted=><<");
    has("caused()", "type=><<\"embedded.Own\">>,message=><<\"u\\udc80\">>");
    has("caused()", "cause=>#{type=><<\"ZeroDivisionError\">>");
    has("during()", "context=>#{type=><<\"ZeroDivisionError\">>");
    has("deep(700)", "function=><<\"<module>");
    has("deep(700)", "text=><<\"202 frames are left out here\">>");
    has("throw(chain(1000))", "message=><<\"999\">>");
    has("throw(circle())", "cause=>#{type=><<\"KeyError\">>");
    has("throw(Mute())", "<no message: str() raised KeyError>");
    has("throw(Worse())", "message=><<\"");
    has("throw(Hostile('h'))", "{<<\"embedded.Hostile\">>,<<\"h\">>,#{");
    has("compile('a\\nb = = 1', 'f.py', 'exec')",
        "position=>#{file=><<\"f.py\">>,line=>2,offset=>5");
    has("throw(erlang.BadArg('x'))", "{badarg,<<\"x\">>}");
    if (PY_VERSION_HEX >= 0x030b0000) {
        embed_run("noted = Own('x')\n"
                  "noted.add_note('first')\n");
        has("throw(noted)", "notes=>[<<\"first\">>]");
        has("throw(ExceptionGroup('g', [Own('a'), KeyError('b')]))",
            "exceptions=>[#{type=><<\"embedded.Own\">>");
    }
}

static void class_names(void **state)
{
    (void)state;
    PyObject *list = exception_class_names();
    assert_true(embed_holds(
        "{'ValueError', 'OSError', 'BaseException'} < set(x)"
        " and 'IOError' not in x and len(x) == len(set(x)) and len(x) < 120",
        list));
    Py_DECREF(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(erlang_to_python_says_where),
        cmocka_unit_test(python_to_erlang_says_where),
        cmocka_unit_test(text_in_all_its_forms),
        cmocka_unit_test(what_is_no_text),
        cmocka_unit_test(names),
        cmocka_unit_test(reasons),
        cmocka_unit_test(a_reason_fits_or_says_less),
        cmocka_unit_test(a_long_class_name_is_cut),
        cmocka_unit_test(a_reply_is_always_whole),
        cmocka_unit_test(traces),
        cmocka_unit_test(class_names),
    };
    embed_start();
    embed_run(CLASSES);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
