/* SPDX-License-Identifier: Apache-2.0
 *
 * value: each row of the value tables, both ways, and what may not happen on
 * the way: lost references, crashes when containers change, when memory ends,
 * or when values are deep or huge.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>

#include "values.h"
#include "wire/protocol.h"
#include "wire/put.h"

static char text[8192];

/* ---- Erlang → Python → Erlang ---- */

/* clang-format off */
static const struct {
    const char *hex;
    const char *holds; /* of x */
    const char *back;  /* what it is sent back as */
} to_python[] = {
    {"836105", "type(x) is int and x == 5", "5"},
    {"8362ffffffff", "x == -1", "-1"},
    {"836280000000", "x == -2**31", "-2147483648"},
    {"836e040000000080", "x == 2**31", "0x80000000"},
    {"836e0800ffffffffffffff7f", "x == 2**63 - 1", "0x7fffffffffffffff"},
    {"836e08010000000000000080", "x == -2**63", "-0x8000000000000000"},
    {"836e0800ffffffffffffffff", "x == 2**64 - 1", "0xffffffffffffffff"},
    {"836e0801ffffffffffffffff", "x == 1 - 2**64", "-0xffffffffffffffff"},
    {"836e0900000000000000000040", "x == 2**70", "0x400000000000000000"},
    {"836e0901000000000000000040", "x == -2**70", "-0x400000000000000000"},
    {"836f0000000300010203", "x == 0x030201", "197121"},
    {"836e0000", "x == 0", "0"},
    {"83463ff8000000000000", "type(x) is float and x == 1.5",
     "1.5000000000000000"},
    {"83468000000000000000", "str(x) == '-0.0'", "-0.0000000000000000"},
    {"8363312e3530303030303030303030303030303030303030652b30300000000000",
     "x == 1.5", "1.5000000000000000"},
    {"83770474727565", "x is True", "true"},
    {"83640005" "66616c7365", "x is False", "false"},
    {"83770375" "736e", "type(x) is Atom and x == 'usn'", "usn"},
    {"8377046e6f6e65", "x is None", "none"},
    {"8377036e696c", "x is None", "none"},
    {"837709756e646566696e6564", "x is None", "none"},
    {"8377026f6b", "type(x) is Atom and x == 'ok' and repr(x) == \"Atom('ok')\"",
     "ok"},
    {"8373026f6b", "x == 'ok'", "ok"},
    {"83640003fc6eef", "x == '\\xfcn\\xef'", "\xc3\xbcn\xc3\xaf"},
    {"837706e697a5e69cac", "x == '\\u65e5\\u672c'", "\xe6\x97\xa5\xe6\x9c\xac"},
    {"837700", "x == ''", ""},
    {"83770" "36e616e", "x == 'nan' and type(x) is Atom", "nan"},
    {"836d00000003616263", "type(x) is str and x == 'abc'", "<<\"abc\">>"},
    {"836d00000003" "e282ac", "x == '\\u20ac'", "<<226,130,172>>"},
    {"836d00000000", "x == ''", "<<\"\">>"},
    {"836d00000003" "610062", "x == 'a\\0b'", "<<97,0,98>>"},
    {"83680277056279746573" "6d00000002ff00",
     "type(x) is bytes and x == b'\\xff\\0'", "<<255,0>>"},
    {"83680264000562797465736d00000000", "x == b''", "<<\"\">>"},
    {"836802770562797465736107", "x == ('bytes', 7)", "{bytes,7}"},
    {"8368037705627974657361076107", "x == ('bytes', 7, 7)", "{bytes,7,7}"},
    {"834d0000000103a0", "x == erlang.BitString(b'\\xa0', 3)", "<<160:3>>"},
    {"834d0000000303" "0102ff", "x.bits == 19 and x.data == b'\\1\\2\\xe0'",
     "<<1,2,224:3>>"},
    {"834d00000001" "0861", "x == 'a'", "<<\"a\">>"},
    {"836a", "type(x) is list and x == []", "[]"},
    {"836b0003616263", "x == [97, 98, 99]", "[97,98,99]"},
    {"836c00000002610161026a", "x == [1, 2]", "[1,2]"},
    {"836c000000016101" "6c0000000161026a", "type(x) is list and x == [1, 2]",
     "[1,2]"},
    {"836c000000016101" "6b0002" "0203", "x == [1, 2, 3]", "[1,2,3]"},
    {"836c0000000161016102",
     "type(x) is erlang.ImproperList and list(x) == [1] and x.tail == 2",
     "[1|2]"},
    {"836c000000016101" "6c00000001" "61026103",
     "list(x) == [1, 2] and x.tail == 3", "[1,2|3]"},
    {"836800", "type(x) is tuple and x == ()", "{}"},
    {"8368027701616801770162", "x == ('a', ('b',))", "{a,{b}}"},
    {"83690000000261016102", "x == (1, 2)", "{1,2}"},
    {"837400000000", "type(x) is dict and x == {}", "#{}"},
    {"837400000002640001616101640001626a", "x == {'a': 1, 'b': []}",
     "#{a=>1,b=>[]}"},
    {"837400000001" "680161016102", "x == {(1,): 2}", "#{{1}=>2}"},
};

/* ---- Python → Erlang ---- */

static const char *const CLASSES =
    "import array, collections, dataclasses, datetime, decimal, enum\n"
    "import fractions, pathlib, uuid\n"
    "class Colour(enum.Enum):\n"
    "    RED = 'red'\n"
    "class Level(enum.IntEnum):\n"
    "    LOW = 1\n"
    "@dataclasses.dataclass(frozen=True)\n"
    "class Point:\n"
    "    x: int\n"
    "    y: object\n"
    "Named = collections.namedtuple('Named', 'a b')\n"
    "class Int(int):\n"
    "    def __abs__(self): return 'no'\n"
    "    __int__ = __index__ = bit_length = to_bytes = __abs__\n"
    "class Str(str): pass\n"
    "class List(list):\n"
    "    def __iter__(self): raise KeyError\n"
    "class Dict(dict):\n"
    "    def items(self): raise KeyError\n"
    "    keys = __iter__ = items\n"
    "class Set(set):\n"
    "    def __iter__(self): raise KeyError\n"
    "class MyAtom(Atom): pass\n"
    "class Plain: pass\n"
    "class Child(Plain): pass\n"
    "class Same(dict): pass\n"
    "class Again: pass\n"
    "class Fails: pass\n"
    "@erlang.encoder(Plain)\n"
    "def plain(obj): return ('plain', Level.LOW)\n"
    "erlang.encoder(Same, lambda obj: obj)\n"
    "erlang.encoder(Again, lambda obj: Again())\n"
    "@erlang.encoder(Fails)\n"
    "def fails(obj): raise LookupError('no code')\n"
    "class Shrink:\n"
    "    def __init__(self, victim): self.victim = victim\n"
    "@erlang.encoder(Shrink)\n"
    "def shrink(obj):\n"
    "    obj.victim.clear()\n"
    "    return 0\n"
    "class Rotate:\n"
    "    def __init__(self, victim): self.victim = victim\n"
    "@erlang.encoder(Rotate)\n"
    "def rotate(obj):\n"
    "    n = len(obj.victim)\n"
    "    obj.victim.clear()\n"
    "    obj.victim.update({i: 0 for i in range(n)})\n"
    "    return 0\n"
    "def holder(make, fill, cls):\n"
    "    victim = make()\n"
    "    fill(victim, cls(victim))\n"
    "    return victim\n"
    "def cycle(x):\n"
    "    x.append(x)\n"
    "    return x\n"
    "def nested(n, wrap, x=0):\n"
    "    for _ in range(n): x = wrap(x)\n"
    "    return x\n";

static const struct {
    const char *expression;
    const char *term;
} to_erlang[] = {
    {"[0, 255, 256, -1, 2**31 - 1]", "[0,255,256,-1,2147483647]"},
    {"[True, False, None]", "[true,false,none]"},
    {"2**63", "0x8000000000000000"},
    {"-2**63 - 1", "-0x8000000000000001"},
    {"2**2040 - 1 == eval('x', {'x': 2**2040 - 1})", "true"},
    {"[0.5, -0.0]", "[0.50000000000000000,-0.0000000000000000]"},
    {"[float('nan'), float('inf'), -float('inf')]",
     "[nan,infinity,neg_infinity]"},
    {"'gr\\xfcn'", "<<103,114,195,188,110>>"},
    {"[b'ab', bytearray(b'cd'), memoryview(b'xef')[1:]]",
     "[<<\"ab\">>,<<\"cd\">>,<<\"ef\">>]"},
    {"[memoryview(b'abcdef')[::2], array.array('B', b'gh')]",
     "[<<\"ace\">>,<<\"gh\">>]"},
    {"(1, (2,), ())", "{1,{2},{}}"},
    {"tuple(range(256)) == (0,) * 256", "false"},
    {"[set(), {7}, frozenset(['x'])]", "[[],[7],[<<\"x\">>]]"},
    {"{'a': {}, 2: [3], (4,): None}",
     "#{<<\"a\">>=>#{},2=>[3],{4}=>none}"},
    {"{1: 'i', 2.5: 'f', True + 2: 'b'}",
     "#{1=><<\"i\">>,2.5000000000000000=><<\"f\">>,3=><<\"b\">>}"},
    {"[Atom('ok'), MyAtom('own')]", "[ok,own]"},
    {"{Atom('a'): 1, None: 2, 'b': 3}", "#{a=>1,none=>2,<<\"b\">>=>3}"},
    {"erlang.BitString(b'\\xff', 1)", "<<128:1>>"},
    {"erlang.BitString(b'a', 8)", "<<\"a\">>"},
    {"erlang.ImproperList([1, 2], Atom('t'))", "[1,2|t]"},
    {"datetime.datetime(2026, 1, 2, 3, 4, 5, 6)",
     "<<\"2026-01-02T03:04:05.000006\">>"},
    {"[datetime.date(2026, 1, 2), datetime.time(3, 4)]",
     "[<<\"2026-01-02\">>,<<\"03:04:00\">>]"},
    {"[decimal.Decimal('1.10'), fractions.Fraction(1, 3)]",
     "[<<\"1.10\">>,<<\"1/3\">>]"},
    {"uuid.UUID(int=1)", "<<\"00000000-0000-0000-0000-000000000001\">>"},
    {"pathlib.PurePosixPath('/a/b')", "<<\"/a/b\">>"},
    {"[Colour.RED, Level.LOW]", "[<<\"red\">>,1]"},
    {"Point(1, Point(2, b'z'))",
     "#{<<\"x\">>=>1,<<\"y\">>=>#{<<\"x\">>=>2,<<\"y\">>=><<\"z\">>}}"},
    {"{Point(1, 2): 3, Point(1, 3): 4}",
     "#{#{<<\"x\">>=>1,<<\"y\">>=>2}=>3,#{<<\"x\">>=>1,<<\"y\">>=>3}=>4}"},
    {"Named(1, 2)", "{1,2}"},
    {"[Int(5), -Int(2**70), Str('s')]",
     "[5,-0x400000000000000000,<<\"s\">>]"},
    {"Int(2**70)", "0x400000000000000000"},
    {"[List([1]), Dict(a=1), Set([2])]", "[[1],#{<<\"a\">>=>1},[2]]"},
    {"[collections.OrderedDict(a=1), collections.Counter('bb')]",
     "[#{<<\"a\">>=>1},#{<<\"b\">>=>2}]"},
    {"[Plain(), Child(), Same(a=1)]",
     "[{<<\"plain\">>,1},{<<\"plain\">>,1},#{<<\"a\">>=>1}]"},
};
/* clang-format on */

#define ROWS(table) (sizeof(table) / sizeof *(table))

static void each_row_to_python(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    for (size_t i = 0; i < ROWS(to_python); i++) {
        struct buf out;
        PyObject *x = decode_hex(to_python[i].hex, &opts);
        if (!x)
            embed_die(to_python[i].hex);
        if (!embed_holds(to_python[i].holds, x))
            fail_msg("%s: not so: %s", to_python[i].hex, to_python[i].holds);
        assert_int_equal(encode(&out, x, &opts), 0);
        show(out.data, text, sizeof text);
        assert_string_equal(text, to_python[i].back);
        buf_free(&out);
        Py_DECREF(x);
    }
}

static void each_row_to_erlang(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    for (size_t i = 0; i < ROWS(to_erlang); i++) {
        encode_text(to_erlang[i].expression, &opts, text, sizeof text);
        assert_string_equal(text, to_erlang[i].term);
    }
}

/* Pids, references, ports and funs in every form come back byte for byte. */
static void opaque_terms_come_back(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    int seen = 0;
    for (size_t i = 0; i < N_TERMS; i++) {
        struct buf out;
        size_t n;
        char *bytes = from_hex(terms[i].hex, &n);
        if (erltypes_of_tag((unsigned char)bytes[1]) != ERL_OTHER) {
            PyObject *x = decode_hex(terms[i].hex, &opts);
            assert_true(embed_holds(
                "{x: 1}[x] == 1 and x != 1 and repr(x).startswith('<erlang.')"
                " and __import__('pickle').loads("
                "__import__('pickle').dumps(x)) == x"
                " and __import__('copy').deepcopy(x) is x",
                x));
            assert_int_equal(encode(&out, x, &opts), 0);
            assert_int_equal(out.len, n - 1);
            assert_memory_equal(out.data, bytes + 1, n - 1);
            buf_free(&out);
            Py_DECREF(x);
            seen++;
        }
        free(bytes);
    }
    assert_true(seen > 10);
}

static void opaque_terms_have_a_nice_repr(void **state)
{
    (void)state;
    assert_true(embed_holds(
        "repr(erlang.Pid(b'X\\x77\\1a' + bytes(3) + b'\\x09' + bytes(8)))"
        " == '<erlang.Pid a.9.0>'",
        Py_None));
    assert_true(embed_holds("repr(erlang.Pid(b'X\\x77\\5a'))"
                            " == '<erlang.Pid 58770561>'",
                            Py_None));
}

/* ---- options ---- */

static void option_binaries(void **state)
{
    (void)state;
    struct value_opts opts = default_opts();
    opts.bytes = true;
    PyObject *x = decode_hex("837400000001"
                             "7701616d00000001ff",
                             &opts);
    assert_true(embed_holds("x == {'a': b'\\xff'}", x));
    Py_DECREF(x);
}

static void option_none(void **state)
{
    (void)state;
    struct value_opts opts = default_opts();
    opts.none_len = snprintf(opts.none, sizeof opts.none, "null");
    encode_text("[None, {'a': None}]", &opts, text, sizeof text);
    assert_string_equal(text, "[null,#{<<\"a\">>=>null}]");
    PyObject *x = decode_hex("8377046e756c6c", &opts);
    assert_ptr_equal(x, Py_None);
    Py_DECREF(x);
    encode_text("{None: 1, Atom('null'): 2}", &opts, text, sizeof text);
    assert_string_equal(text, "ValueError: result: keys None and Atom('null') "
                              "become the same Erlang term");
}

static void numpy_values(void **state)
{
    (void)state;
    struct value_opts opts = default_opts();
    PyObject *numpy = python_module("numpy");
    if (!numpy) {
        PyErr_Clear();
        skip();
    }
    Py_DECREF(numpy);
    embed_run("import numpy as np");
    encode_text("[np.int64(7), np.float32(.5), np.bool_(1), np.str_('s'),"
                " np.float64('nan'), np.array(5), np.zeros((0,))]",
                &opts, text, sizeof text);
    assert_string_equal(text,
                        "[7,0.50000000000000000,true,<<\"s\">>,nan,5,[]]");
    encode_text("np.array([[1, 2], [3, 4]], dtype='i2')", &opts, text,
                sizeof text);
    assert_string_equal(text, "[[1,2],[3,4]]");
    encode_text("[np.array([1, 'a', None], dtype=object),"
                " np.datetime64('2026-01-02'),"
                " np.array(['2026-01-02'], dtype='M8[D]')]",
                &opts, text, sizeof text);
    assert_string_equal(text, "[[1,<<\"a\">>,none],<<\"2026-01-02\">>,"
                              "[<<\"2026-01-02\">>]]");
    encode_text("[np.array([1j])]", &opts, text, sizeof text);
    assert_string_equal(text, "TypeError: result[0][0]: cannot encode complex");
    encode_text("[np.longdouble(1)]", &opts, text, sizeof text);
    assert_non_null(strstr(text, "TypeError: result[0]: cannot encode numpy."));
    opts.arrays_binary = true;
    encode_text("np.array([[1, 2], [3, 4]], dtype='u1').T", &opts, text,
                sizeof text);
    assert_string_equal(text, "{ndarray,<<\"|u1\">>,{2,2},<<1,3,2,4>>}");
    encode_text("np.array([1, 'a'], dtype=object)", &opts, text, sizeof text);
    assert_string_equal(text, "TypeError: result: cannot encode numpy.ndarray: "
                              "no binary for items of type object");
}

/* ---- depth and size ---- */

static void nests_as_deep_as_the_scan_allows(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    struct buf out;
    static const char *const wraps[] = {
        "nested(4096, lambda x: [x], [])",
        "nested(4096, lambda x: (x,))",
        "nested(4096, lambda x: {'k': x})",
        "nested(4096, lambda x: erlang.ImproperList([x], 1))",
        "nested(2048, lambda x: {1: (x,)})",
    };
    for (size_t i = 0; i < ROWS(wraps); i++) {
        size_t at = 0;
        PyObject *x = embed_eval(wraps[i]);
        assert_int_equal(encode(&out, x, &opts), 0);
        PyObject *y = value_decode(out.data, &at, &opts, "args");
        assert_non_null(y);
        assert_int_equal(at, out.len);
        buf_free(&out);
        Py_DECREF(y);
        Py_DECREF(x);
    }
    encode_text("nested(4097, lambda x: [x])", &opts, text, sizeof text);
    assert_non_null(strstr(text, "ValueError: result[0][0][0]"));
    assert_non_null(strstr(text, "[0]\xe2\x80\xa6: nested deeper than 4096"));
    encode_text("nested(100000, lambda x: {'k': x})", &opts, text, sizeof text);
    assert_non_null(strstr(text, "nested deeper than 4096"));
    encode_text("cycle([1])", &opts, text, sizeof text);
    assert_non_null(strstr(text, "result[1][1]"));
    encode_text("[Again()]", &opts, text, sizeof text);
    assert_non_null(strstr(text, "result[0]: nested deeper than 4096"));
}

static void integers_of_any_size(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    PyObject *x = embed_eval("[s * ((1 << b) + d) for s in (1, -1)"
                             " for d in (-1, 0, 1) for b in"
                             " [*range(0, 600), 2039, 2040, 2048, 10**8]]");
    struct buf out;
    size_t at = 0;
    assert_int_equal(encode(&out, x, &opts), 0);
    PyObject *y = value_decode(out.data, &at, &opts, "args");
    assert_int_equal(PyObject_RichCompareBool(x, y, Py_EQ), 1);
    buf_free(&out);
    Py_DECREF(y);
    Py_DECREF(x);
}

static void too_large_is_an_overflow_error(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    struct buf out;
    PyObject *x = embed_eval("['a' * 100, b'b' * 100]");
    buf_init(&out, 150 + FRAME_HEADER);
    assert_int_equal(value_encode(&out, x, &opts, "result"), -1);
    take_error(text, sizeof text);
    assert_string_equal(text, "OverflowError: result is larger than max_frame"
                              " (150 bytes)");
    buf_free(&out);
    Py_DECREF(x);
}

/* ---- what changes while it is encoded ---- */

static void containers_that_change(void **state)
{
    (void)state;
    const struct value_opts opts = default_opts();
    encode_text("holder(list, lambda v, s: v.extend([1, s, 2, 3]), Shrink)",
                &opts, text, sizeof text);
    assert_string_equal(text, "RuntimeError: result: list changed size while "
                              "it was encoded");
    encode_text("holder(dict, lambda v, s: v.update(a=1, b=s, c=2), Shrink)",
                &opts, text, sizeof text);
    assert_string_equal(text, "RuntimeError: result: dict changed size while "
                              "it was encoded");
    encode_text("holder(set, lambda v, s: v.update([1, s]), Shrink)", &opts,
                text, sizeof text);
    assert_int_equal(text[0], '['); /* it was copied before */
    for (int i = 1; i < 40; i++) {
        snprintf(text, sizeof text,
                 "holder(dict, lambda v, s: v.update({**{str(i): s if i == 3 "
                 "else i for i in range(%d)}}), Rotate)",
                 i);
        PyObject *x = embed_eval(text);
        struct buf out;
        if (encode(&out, x, &opts) < 0)
            PyErr_Clear();
        buf_free(&out);
        Py_DECREF(x);
    }
}

/* ---- references ---- */

/* Blocks that are in use: of Python's allocator, or of malloc below it. */
static size_t blocks(void)
{
    static PyObject *count;
    if (!count)
        count = embed_eval("lambda: [__import__('gc').collect(),"
                           " sys.getallocatedblocks()][1]");
    PyObject *n = PyObject_CallNoArgs(count);
    size_t used = PyLong_AsSize_t(n);
    Py_DECREF(n);
    return used ? used : mallinfo2().uordblks / 64;
}

#define ROUNDS 2000

static void no_round_leaves_anything(const char *what, void (*round)(size_t),
                                     size_t row)
{
    for (int i = 0; i < 20; i++)
        round(row);
    size_t before = blocks();
    for (int i = 0; i < ROUNDS; i++)
        round(row);
    size_t after = blocks();
    if (after > before + ROUNDS / 2)
        fail_msg("%s, row %zu: %zu blocks more after %d rounds", what, row,
                 after - before, ROUNDS);
}

static void decode_round(size_t row)
{
    const struct value_opts opts = default_opts();
    PyObject *x = decode_hex(to_python[row].hex, &opts);
    Py_DECREF(x);
}

static PyObject *sent; /* the same object in each round */

static void encode_round(size_t row)
{
    (void)row;
    struct buf out;
    const struct value_opts opts = default_opts();
    assert_int_equal(encode(&out, sent, &opts), 0);
    buf_free(&out);
}

static void references_are_balanced(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(to_python); i++)
        no_round_leaves_anything("to Python", decode_round, i);
    for (size_t i = 0; i < ROWS(to_erlang); i++) {
        sent = embed_eval(to_erlang[i].expression);
        no_round_leaves_anything("to Erlang", encode_round, i);
        Py_CLEAR(sent);
    }
}

/* Atoms are kept, but not all that there ever were. */
static void the_cache_of_atoms_is_bounded(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 20000; i++) {
        int n = snprintf(name, sizeof name, "atom_%d", i);
        Py_XDECREF(erltypes_atom(name, (size_t)n));
    }
    size_t before = blocks();
    for (int i = 20000; i < 120000; i++) {
        int n = snprintf(name, sizeof name, "atom_%d", i);
        Py_XDECREF(erltypes_atom(name, (size_t)n));
    }
    assert_true(blocks() < before + 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_to_python),
        cmocka_unit_test(each_row_to_erlang),
        cmocka_unit_test(opaque_terms_come_back),
        cmocka_unit_test(opaque_terms_have_a_nice_repr),
        cmocka_unit_test(option_binaries),
        cmocka_unit_test(option_none),
        cmocka_unit_test(numpy_values),
        cmocka_unit_test(nests_as_deep_as_the_scan_allows),
        cmocka_unit_test(integers_of_any_size),
        cmocka_unit_test(too_large_is_an_overflow_error),
        cmocka_unit_test(containers_that_change),
        cmocka_unit_test(references_are_balanced),
        cmocka_unit_test(the_cache_of_atoms_is_bounded),
    };
    embed_start();
    embed_run(CLASSES);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    embed_stop();
    return failed;
}
