/* SPDX-License-Identifier: Apache-2.0
 *
 * rows: the value tables, row by row, and the Python classes that they need.
 */
#ifndef TEST_C_ROWS_H
#define TEST_C_ROWS_H

#define ROWS(table) (sizeof(table) / sizeof *(table))

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
    {"erlang._Memory(memoryview(array.array('h', [1, 2, 3]))[::-2])",
     "<<3,0,1,0>>"},
    /* Behind pointers, as some libraries keep images. */
    {"(lambda find: b'dfac' if not find('_testbuffer') else"
     " (lambda t: erlang._Memory(t.ndarray(list(b'abcdef'), [2, 3],"
     " format='b', flags=t.ND_PIL)[::-1, ::2]))(__import__('_testbuffer')))"
     "(__import__('importlib.util').util.find_spec)",
     "<<\"dfac\">>"},
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

#endif
