#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The value tables of docs/types.md, row by row, in both directions, and the
%% options that change them. The rest of what Python gives is in library.escript
%% and arrays.escript, tagged tuples are in tags.escript; what cannot be a value
%% is in limits.escript.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"import array, collections, datetime, decimal, erlang, fractions, math,"
                " pathlib, uuid, samples\n">>).

main(_) ->
    tap:run(fixture:with_app(#{init => ?INIT}, [
        [to_python(Row) || Row <- erlang_values()],
        [to_erlang(Row) || Row <- python_values()],
        [with_option(Row) || Row <- options()],
        {"floats come back bit for bit", fun floats/0},
        {"an Erlang string is a list of integers", fun charlists/0},
        {"names of keyword arguments: atoms, binaries, strings", fun keyword_names/0},
        {"an Atom is a str for Python", fun atom_is_a_text/0},
        {"opaque terms are hashable, equal, printable and survive pickle", fun opaque/0},
        {"an opaque term cannot be forged", fun forged/0},
        {"a BitString can be made in Python", fun bitstring/0},
        {"an ImproperList can be made in Python", fun improper_list/0},
        {"a pid from Python receives", fun pid_receives/0},
        {"a fun from Python can be called", fun fun_is_callable/0},
        {"a large binary goes both ways", fun large_binary/0},
        {"a list of 100,000 integers goes both ways", fun long_list/0}
    ])).

%% ---------------------------------------------------------------------------
%% Erlang → Python → Erlang

%% {What, Term, what holds of it in Python as x, what comes back}
erlang_values() ->
    [{"0", 0, "type(x) is int and x == 0", same},
     {"-1", -1, "x == -1", same},
     {"255 and 256", [255, 256], "x == [255, 256]", same},
     {"the least and largest 32-bit integers", [-(1 bsl 31), (1 bsl 31) - 1],
      "x == [-2**31, 2**31 - 1]", same},
     {"the least and largest 64-bit integers", [-(1 bsl 63), (1 bsl 63) - 1],
      "x == [-2**63, 2**63 - 1]", same},
     {"just past 64 bits", [1 bsl 63, 1 bsl 64, -(1 bsl 63) - 1],
      "x == [2**63, 2**64, -2**63 - 1]", same},
     {"an integer of 255 bytes", 1 bsl (8 * 255) - 1, "x == 2**(8*255) - 1", same},
     {"an integer of 256 bytes", -(1 bsl (8 * 255)), "x == -2**(8*255)", same},
     {"an integer of 100,000 digits", power(10, 99999), "x == 10**99999", same},
     {"0.0", 0.0, "type(x) is float and x == 0", same},
     {"-0.0", -0.0, "math.copysign(1, x) == -1", same},
     {"1.5", 1.5, "x == 1.5", same},
     {"the largest and least floats", [1.7976931348623157e308, 5.0e-324],
      "x == [1.7976931348623157e308, 5e-324]", same},
     {"nan as an atom", nan, "x == 'nan' and isinstance(x, erlang.Atom)", same},
     {"true", true, "x is True", same},
     {"false", false, "x is False", same},
     {"none", none, "x is None", same},
     {"nil", nil, "x is None", none},
     {"undefined", undefined, "x is None", none},
     {"an atom", hello, "x == 'hello' and type(x) is erlang.Atom", same},
     {"an atom that is not ASCII", 'grün☃', "x == 'grün☃' and len(x) == 5", same},
     {"the empty atom", '', "x == ''", same},
     {"an atom of 255 characters", list_to_atom(lists:duplicate(255, $ü)),
      "x == 'ü' * 255", same},
     {"a binary", <<"hello">>, "type(x) is str and x == 'hello'", same},
     {"a binary that is not ASCII", <<"grün ☃ 🐍"/utf8>>, "x == 'grün ☃ 🐍'", same},
     {"the empty binary", <<>>, "x == ''", same},
     {"a binary with a zero byte", <<"a", 0, "b">>, "x == 'a\\0b'", same},
     {"{bytes, B}", {bytes, <<0, 255, "x">>}, "type(x) is bytes and x == b'\\0\\xffx'",
      <<0, 255, "x">>},
     {"{bytes, B} in a list", [{bytes, <<>>}], "x == [b'']", [<<>>]},
     {"{bytes, NotABinary} is an ordinary tuple", {bytes, 7}, "x == ('bytes', 7)", same},
     {"a triple with bytes is an ordinary tuple", {bytes, <<"a">>, <<"b">>},
      "x == ('bytes', 'a', 'b')", same},
     {"a bitstring", <<5:3>>, "type(x) is erlang.BitString and x.bits == 3", same},
     {"a longer bitstring", <<1, 2, 3:2>>, "x.bits == 18", same},
     {"nil, the empty list", [], "type(x) is list and x == []", same},
     {"a list", [1, <<"two">>, 3.0], "x == [1, 'two', 3.0]", same},
     {"a list of bytes (STRING_EXT on the wire)", "abc", "x == [97, 98, 99]", same},
     {"a list of 70,000 bytes", lists:duplicate(70_000, 7), "x == [7] * 70000", same},
     {"a list of lists", [[1], [], [[2]]], "x == [[1], [], [[2]]]", same},
     {"an improper list", [1, 2 | 3],
      "type(x) is erlang.ImproperList and list(x) == [1, 2] and x.tail == 3", same},
     {"an improper list with a binary tail", [a | <<"t">>], "x.tail == 't'", same},
     {"the empty tuple", {}, "x == () and type(x) is tuple", same},
     {"a tuple", {ok, 1, [2]}, "x == ('ok', 1, [2])", same},
     {"a tuple of 300", list_to_tuple(lists:seq(1, 300)), "x == tuple(range(1, 301))", same},
     {"the empty map", #{}, "x == {} and type(x) is dict", same},
     {"a map", #{<<"k">> => 1, atom => 2, 3 => [4], {5} => #{}},
      "x == {'k': 1, 'atom': 2, 3: [4], (5,): {}}", same},
     {"a map of 100 keys", maps:from_list([{N, N} || N <- lists:seq(1, 100)]),
      "x == {n: n for n in range(1, 101)}", same},
     {"a key that is a pid", #{self() => 1}, "isinstance(list(x)[0], erlang.Pid)", same},
     {"a pid", self(), "type(x) is erlang.Pid", same},
     {"a pid of another node", other_node(pid), "type(x) is erlang.Pid", same},
     {"a reference", make_ref(), "type(x) is erlang.Reference", same},
     {"a port", hd(erlang:ports()), "type(x) is erlang.Port", same},
     {"an external fun", fun lists:map/2, "type(x) is erlang.Fun", same},
     {"a local fun", local_fun(), "type(x) is erlang.Fun", same}].

to_python({What, Term, Holds, Back}) ->
    {["Erlang to Python and back: ", What], fun() ->
        ?assertEqual({ok, true}, py:eval(unicode:characters_to_binary(Holds), #{x => Term})),
        Expected = case Back of same -> Term; _ -> Back end,
        {ok, Got} = py:eval(<<"x">>, #{x => Term}),
        ?assert(Expected =:= Got)
    end}.

%% ---------------------------------------------------------------------------
%% Python → Erlang

%% {What, Python source, the term}
python_values() ->
    core_values() ++ library_values() ++ own_classes().

core_values() ->
    [{"int", "42", 42},
     {"bool is not int", "[True, False, 1, 0]", [true, false, 1, 0]},
     {"-2**63 and beyond", "[-2**63, -2**63-1, 2**64]",
      [-(1 bsl 63), -(1 bsl 63) - 1, 1 bsl 64]},
     {"an int of 100,000 digits", "-10**99999", -power(10, 99999)},
     {"float", "2.5", 2.5},
     {"nan", "float('nan')", nan},
     {"inf", "float('inf')", infinity},
     {"-inf", "-float('inf')", neg_infinity},
     {"None", "None", none},
     {"str", "'grün ☃ 🐍'", <<"grün ☃ 🐍"/utf8>>},
     {"a str beyond Latin-1 but within 16 bits", "'\\u20ac' * 3", <<"€€€"/utf8>>},
     {"the empty str", "''", <<>>},
     {"bytes", "b'\\x00\\xff'", <<0, 255>>},
     {"bytearray", "bytearray(b'ab')", <<"ab">>},
     {"memoryview", "memoryview(b'abc')[1:]", <<"bc">>},
     {"memoryview with steps", "memoryview(b'abcdef')[::2]", <<"ace">>},
     {"array of bytes", "array.array('B', [1, 2, 3])", <<1, 2, 3>>},
     {"list", "[1, 'a', [2.0]]", [1, <<"a">>, [2.0]]},
     {"a list of small ints is no string on the wire", "list(b'abc')", "abc"},
     {"tuple", "(1, (2,), ())", {1, {2}, {}}},
     {"a tuple of 300", "tuple(range(300))", list_to_tuple(lists:seq(0, 299))},
     {"dict", "{'a': 1, 2: 'b', (3,): None}", #{<<"a">> => 1, 2 => <<"b">>, {3} => none}},
     {"a dict with a float and an int key", "{1: 'i', 2.0: 'f'}",
      #{1 => <<"i">>, 2.0 => <<"f">>}},
     {"set", "{7}", [7]},
     {"frozenset", "frozenset(['x'])", [<<"x">>]},
     {"the empty set", "set()", []},
     {"Atom", "erlang.Atom('ok')", ok},
     {"Atom that is not ASCII", "erlang.Atom('grün☃')", 'grün☃'},
     {"Atom as a key", "{erlang.Atom('ok'): 1}", #{ok => 1}}].

library_values() ->
    [{"datetime", "datetime.datetime(2026, 11, 23, 14, 5, 6, 789)",
      <<"2026-11-23T14:05:06.000789">>},
     {"datetime with a zone",
      "datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc)",
      <<"2026-11-23T00:00:00+00:00">>},
     {"date", "datetime.date(2026, 11, 23)", <<"2026-11-23">>},
     {"time", "datetime.time(14, 5)", <<"14:05:00">>},
     {"Decimal", "decimal.Decimal('1.10')", <<"1.10">>},
     {"Fraction", "fractions.Fraction(1, 3)", <<"1/3">>},
     {"UUID", "uuid.UUID(int=1)", <<"00000000-0000-0000-0000-000000000001">>},
     {"Path", "pathlib.PurePosixPath('/a/b')", <<"/a/b">>},
     {"namedtuple", "samples.Point(1, 2)", {1, 2}},
     {"OrderedDict", "collections.OrderedDict(a=1)", #{<<"a">> => 1}},
     {"Counter", "collections.Counter('aab')", #{<<"a">> => 2, <<"b">> => 1}},
     {"defaultdict", "collections.defaultdict(list, a=[1])", #{<<"a">> => [1]}},
     {"Enum", "samples.Colour.RED", <<"red">>},
     {"IntEnum", "samples.Level.HIGH", 2},
     {"Enum as a key", "{samples.Colour.RED: 1}", #{<<"red">> => 1}}].

own_classes() ->
    [{"dataclass with others inside",
      "samples.Reading('s', samples.Colour.GREEN, [samples.Point(1, 2)])",
      #{<<"sensor">> => <<"s">>, <<"colour">> => <<"green">>, <<"points">> => [{1, 2}]}},
     {"dataclass with slots", "samples.Slotted(3)", #{<<"value">> => 3}},
     {"subclass of int", "samples.MyInt(5)", 5},
     {"subclass of str", "samples.MyStr('t')", <<"t">>},
     {"subclass of list", "samples.MyList([1])", [1]},
     {"subclass of dict", "samples.MyDict(a=1)", #{<<"a">> => 1}},
     {"a class with an encoder", "samples.Celsius(21.5)",
      #{<<"unit">> => <<"C">>, <<"degrees">> => 21.5}},
     {"a subclass of a class with an encoder", "samples.Kelvin(1.0)",
      #{<<"unit">> => <<"C">>, <<"degrees">> => 1.0}},
     {"an encoder that raises", "samples.BadlyEncoded()", {error, 'TypeError'}},
     {"a class without an encoder", "samples.Opaque()", {error, 'TypeError'}},
     {"an object whose repr raises", "samples.BadRepr()", {error, 'TypeError'}},
     {"a function", "len", {error, 'TypeError'}},
     {"a module", "math", {error, 'TypeError'}}].

to_erlang({What, Source, {error, Class}}) ->
    {["Python to Erlang is refused: ", What], fun() ->
        ?assertMatch({error, {Class, _}}, py:eval(unicode:characters_to_binary(Source)))
    end};
to_erlang({What, Source, Term}) ->
    {["Python to Erlang: ", What], fun() ->
        ?assertEqual({ok, Term}, py:eval(unicode:characters_to_binary(Source)))
    end}.

%% ---------------------------------------------------------------------------
%% Options

%% {What, Python source, Locals, Options, Result}
options() ->
    [{"none => undefined", "None", #{}, #{none => undefined}, undefined},
     {"none => null, inside", "[None, {'a': None}]", #{}, #{none => null},
      [null, #{<<"a">> => null}]},
     {"none => null means None on the way in too", "x is None", #{x => null},
      #{none => null}, true},
     {"binaries => bytes", "type(x).__name__", #{x => <<"a">>}, #{binaries => bytes},
      <<"bytes">>},
     {"binaries => bytes takes what is not UTF-8", "x", #{x => <<255>>},
      #{binaries => bytes}, <<255>>},
     {"binaries => bytes, inside", "x[0]['k']", #{x => [#{k => <<"v">>}]},
      #{binaries => bytes}, <<"v">>},
     {"binaries => str", "type(x).__name__", #{x => <<"a">>}, #{binaries => str}, <<"str">>}].

with_option({What, Source, Locals, Options, Expected}) ->
    {["option ", What], fun() ->
        ?assertEqual({ok, Expected},
                     py:eval(unicode:characters_to_binary(Source), Locals, Options))
    end}.

%% ---------------------------------------------------------------------------
%% What a row cannot say

floats() ->
    Floats = [-0.0, 0.1, 1.0e-310, 123456789.123456789, -1.7976931348623157e308],
    {ok, Back} = py:eval(<<"x">>, #{x => Floats}),
    ?assertEqual([<<F/float>> || F <- Floats], [<<F/float>> || F <- Back]).

charlists() ->
    ?assertEqual({ok, [true, true]},
                 py:eval(<<"[x == [], y == [97, 98]]">>, #{x => "", y => "ab"})).

keyword_names() ->
    ?assertEqual({ok, [1, 2, 3]},
                 py:eval(<<"[a, b, grün]"/utf8>>, #{a => 1, <<"b">> => 2, "grün" => 3})),
    ?assertEqual({ok, #{<<"a">> => 1, <<"b">> => 2}},
                 py:call(builtins, dict, [], #{a => 1, "b" => 2})).

atom_is_a_text() ->
    ?assertEqual({ok, [true, true, <<"HELLO">>, <<"\"hello\"">>]},
                 py:eval(<<"[isinstance(x, str), x in {'hello'}, x.upper(),"
                           " __import__('json').dumps(x)]">>, #{x => hello})),
    ?assertEqual({ok, <<"Atom('hello')">>}, py:eval(<<"repr(x)">>, #{x => hello})).

opaque() ->
    Terms = [self(), make_ref(), hd(erlang:ports()), fun lists:map/2],
    [?assertEqual({ok, [true, true, true, false, Term]},
                  py:eval(<<"[x == y, hash(x) == hash(y), {x: 1}[y] == 1, x == 1,"
                            " __import__('pickle').loads(__import__('pickle').dumps(x))]">>,
                          #{x => Term, y => Term})) || Term <- Terms],
    ?assertEqual({ok, false}, py:eval(<<"x == y">>, #{x => make_ref(), y => make_ref()})),
    ?assertMatch({ok, <<"<erlang.Pid", _/binary>>}, py:eval(<<"repr(x)">>, #{x => self()})),
    ?assertMatch({error, _}, py:eval(<<"setattr(x, 'etf', b'')">>, #{x => self()})).

%% A Pid whose bytes are no pid must not reach the wire: the reply would not
%% decode, or would be another term than it says.
forged() ->
    [?assertMatch({{error, {_, _}}, _}, {py:eval(Source), Source})
     || Source <- [<<"erlang.Pid(b'')">>, <<"erlang.Pid(b'\\x61\\x01')">>,
                   <<"erlang.Reference(b'garbage')">>,
                   <<"erlang.Fun(b'\\x6c\\xff\\xff\\xff\\xff')">>]].

bitstring() ->
    ?assertEqual({ok, <<255, 1:1>>}, py:eval(<<"erlang.BitString(b'\\xff\\x80', 9)">>)),
    ?assertMatch({error, {'ValueError', _}}, py:eval(<<"erlang.BitString(b'\\xff', 9)">>)).

improper_list() ->
    ?assertEqual({ok, [1 | 2]}, py:eval(<<"erlang.ImproperList([1], 2)">>)),
    ?assertEqual({ok, [1, [2] | ok]},
                 py:eval(<<"erlang.ImproperList([1, [2]], erlang.Atom('ok'))">>)).

pid_receives() ->
    ?assertMatch({ok, _}, py:call(erlang, send, [self(), [1, <<"two">>, {3}]])),
    receive [1, <<"two">>, {3}] -> ok after 30_000 -> error(nothing_came) end.

fun_is_callable() ->
    Secret = 20 + 22,
    {ok, Fun} = py:eval(<<"x">>, #{x => fun() -> Secret end}),
    ?assertEqual(42, Fun()).

large_binary() ->
    Binary = binary:copy(<<"0123456789abcdef">>, 1 bsl 20),
    {ok, Back} = py:eval(<<"x">>, #{x => Binary}),
    ?assert(Binary =:= Back).

long_list() ->
    List = lists:seq(1, 100_000),
    {ok, Back} = py:eval(<<"[n + 1 for n in x]">>, #{x => List}),
    ?assert(lists:seq(2, 100_001) =:= Back).

%% ---------------------------------------------------------------------------

power(_, 0) -> 1;
power(Base, N) when N rem 2 =:= 1 -> Base * power(Base, N - 1);
power(Base, N) -> Half = power(Base, N div 2), Half * Half.

local_fun() ->
    Bound = {some, <<"thing">>, 3.0},
    fun(X) -> {X, Bound} end.

%% A pid as another node would send it.
other_node(pid) ->
    Name = <<"other@host">>,
    binary_to_term(<<131, 88, 119, (byte_size(Name)), Name/binary, 77:32, 0:32, 3:32>>).
