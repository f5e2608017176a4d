#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Classes of the standard library, and others that behave like a mapping, a
%% sequence or a set, as docs/types.md has them; and what is said of objects that
%% have no term.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"import array, collections, collections.abc, ctypes, datetime as dt, erlang, io,"
                " ipaddress, mmap, os, types\n"
                "class Two(collections.abc.Sequence):\n"
                "    def __len__(self): return 2\n"
                "    def __getitem__(self, i): return [7, 8][i]\n"
                "class Map(collections.abc.Mapping):\n"
                "    def __len__(self): return 1\n"
                "    def __iter__(self): return iter(['k'])\n"
                "    def __getitem__(self, key): return key * 2\n"
                "class One(collections.abc.Set):\n"
                "    def __len__(self): return 1\n"
                "    def __iter__(self): return iter([5])\n"
                "    def __contains__(self, x): return x == 5\n"
                "class Aware(dt.tzinfo):\n"
                "    def tzname(self, when): return 'Mars'\n"
                "class Nameless(dt.tzinfo):\n"
                "    def tzname(self, when): return None\n"
                "class Taught(collections.abc.Sequence):\n"
                "    def __len__(self): return 0\n"
                "    def __getitem__(self, i): raise IndexError\n"
                "erlang.encoder(Taught, lambda obj: 'taught')\n"
                "async def coroutine(): pass\n"
                "async def later():\n    yield 1\n"
                "def awaited():\n"
                "    c = coroutine()\n    c.close()\n    return c\n">>).

main(_) ->
    tap:run(fixture:with_app(#{init => ?INIT}, [
        [value(Row, #{}) || Row <- containers() ++ memory() ++ names() ++ times()],
        [value(Row, #{arrays => binary}) || Row <- binaries()],
        [refused(Row) || Row <- refused()],
        {"rows of an SQL table", fun sql/0},
        {"time zones by their keys", fun zones/0},
        {"an encoder for object comes after all rules", fun last/0},
        {"large memory is copied once, into the reply", fun copies/0}
    ])).

%% {Python source, the term}
containers() ->
    [{"range(3)", [0, 1, 2]},
     {"{'a': 1}.keys()", [<<"a">>]},
     {"{'a': 1}.values()", [1]},
     {"{'a': 1}.items()", [{<<"a">>, 1}]},
     {"collections.deque([1, 2])", [1, 2]},
     {"collections.ChainMap({'a': 1}, {'a': 2, 'b': 3})", #{<<"a">> => 1, <<"b">> => 3}},
     {"collections.UserDict(a=1)", #{<<"a">> => 1}},
     {"collections.UserList([1])", [1]},
     {"collections.UserString('ab')", <<"ab">>},
     {"collections.Counter('aab')", #{<<"a">> => 2, <<"b">> => 1}},
     {"types.MappingProxyType({'a': 1})", #{<<"a">> => 1}},
     {"types.SimpleNamespace(a=1, b=[2])", #{<<"a">> => 1, <<"b">> => [2]}},
     {"[type(os.environ) is dict, {'HOME': 'x'}.items() <= os.environ.items()]", [false, false]},
     {"(os.environ.clear(), os.environ.update(A='1'), os.environ)[2]", #{<<"A">> => <<"1">>}},
     {"Two()", [7, 8]},
     {"Map()", #{<<"k">> => <<"kk">>}},
     {"One()", [5]},
     {"Taught()", <<"taught">>},
     {"[collections.deque([range(2)])]", [[[0, 1]]]}].

memory() ->
    [{"array.array('i', [1, -2])", [1, -2]},
     {"array.array('d', [0.5])", [0.5]},
     {"array.array('B', [1, 2])", <<1, 2>>},
     {"array.array('u', 'hé')", <<"hé"/utf8>>},
     {"memoryview(array.array('h', [1, 2]))", [1, 2]},
     {"memoryview(b'abcdef').cast('B', (2, 3))", ["abc", "def"]},
     {"memoryview(b'ab').cast('c', (2, 1))", ["a", "b"]},
     {"memoryview(b'abc')[::2]", <<"ac">>},
     {"memoryview(b'abc').cast('c')", <<"abc">>},
     {"memoryview(bytearray(2)).cast('?')", [false, false]},
     {"(ctypes.c_int * 2)(3, 4)", [3, 4]},
     {"((ctypes.c_int * 2) * 2)((1, 2), (3, 4))", [[1, 2], [3, 4]]},
     {"(ctypes.c_int16.__ctype_be__ * 2)(3, 4)", [3, 4]},
     {"io.BytesIO(b'abc').getbuffer()", <<"abc">>},
     {"mmap.mmap(-1, 3)", <<0, 0, 0>>}].

binaries() ->
    [{"array.array('i', [1, -2])", {ndarray, <<"<i4">>, {2}, <<1, 0, 0, 0, 254, 255, 255, 255>>}},
     {"memoryview(array.array('f', [0.5]))", {ndarray, <<"<f4">>, {1}, <<0.5:32/float-little>>}},
     {"(ctypes.c_int16.__ctype_be__ * 2)(3, 4)", {ndarray, <<">i2">>, {2}, <<3:16, 4:16>>}},
     {"memoryview(array.array('h', [1, 2, 3]))[::-2]", {ndarray, <<"<i2">>, {2}, <<3, 0, 1, 0>>}},
     {"memoryview(array.array('h'))", {ndarray, <<"<i2">>, {0}, <<>>}},
     {"memoryview(b'ab').cast('B', (2, 1))", {ndarray, <<"|u1">>, {2, 1}, <<"ab">>}},
     {"array.array('B', [1])", <<1>>},
     {"memoryview(b'a')", <<"a">>}].

names() ->
    [{"ipaddress.ip_address('::1')", <<"::1">>},
     {"ipaddress.ip_network('10.0.0.0/8')", <<"10.0.0.0/8">>},
     {"ipaddress.ip_interface('10.0.0.1/8')", <<"10.0.0.1/8">>},
     {"1 + 2j", {complex, 1.0, 2.0}},
     {"complex('nan')", {complex, nan, 0.0}},
     {"dt.timezone.utc", <<"UTC">>},
     {"dt.timezone(dt.timedelta(hours=2))", <<"UTC+02:00">>},
     {"Aware()", <<"Mars">>}].

times() ->
    [{"dt.timedelta()", <<"PT0S">>},
     {"dt.timedelta(hours=1.5)", <<"PT1H30M">>},
     {"dt.timedelta(days=2, seconds=1, microseconds=500)", <<"P2DT1.0005S">>},
     {"dt.timedelta(days=1)", <<"P1D">>},
     {"dt.timedelta(seconds=-1.5)", <<"-PT1.5S">>},
     {"dt.timedelta.max", <<"P999999999DT23H59M59.999999S">>},
     {"dt.timedelta.min", <<"-P999999999D">>}].

value({Source, Term}, Options) ->
    {[io_lib:format("~0p: ", [Options]), Source], fun() ->
        ?assertEqual({ok, Term},
                     py:eval(unicode:characters_to_binary(Source), #{}, Options))
    end}.

%% {Python source, what the error says}
refused() ->
    Iterator = ": it is an iterator; list(...) makes a list of it",
    Teach = ": register how with erlang.encoder",
    [{"map(str, [1])", "map" ++ Iterator},
     {"(i for i in [1])", "generator" ++ Iterator},
     {"iter({})", "dict_keyiterator" ++ Iterator},
     {"[awaited()]", "coroutine: it has to be awaited, as asyncio.run(...) does"},
     {"later()", "async_generator: it is an asynchronous iterator; make a list of its items"},
     {"object()", "object" ++ Teach},
     {"len", "builtin_function_or_method" ++ Teach},
     {"dict", "type" ++ Teach},
     {"Nameless()", "__main__.Nameless: a time zone without a name"},
     {"(ctypes.c_void_p * 1)()", "__main__.c_void_p_Array_1: its items are neither bytes nor numbers"}].

refused({Source, Why}) ->
    {["refused: ", Source], fun() ->
        {error, {'TypeError', Text}} = py:eval(Source),
        Name = hd(string:split(Why, "__main__.", trailing)),
        ?assert(fixture:contains(Text, ["cannot encode ", Name]), Text)
    end}.

sql() ->
    Query = <<"__import__('importlib.util').util.find_spec('_sqlite3') is not None">>,
    {ok, true} =:= py:eval(Query) orelse tap:skip("this Python has no sqlite3"),
    ok = py:exec(<<"import sqlite3\nc = sqlite3.connect(':memory:')\n"
                   "c.row_factory = sqlite3.Row">>),
    ?assertEqual({ok, [#{<<"a">> => 1, <<"b">> => <<"x">>}]},
                 py:eval(<<"c.execute(\"select 1 a, 'x' b\").fetchall()">>)),
    ?assertEqual({error, {'TypeError', <<"result: cannot encode sqlite3.Row: two columns have the"
                                         " same name">>}},
                 py:eval(<<"c.execute('select 1 a, 2 a').fetchone()">>)).

zones() ->
    case py:eval(<<"__import__('zoneinfo').ZoneInfo('Europe/Vienna')">>) of
        {error, {_, <<"No time zone", _/binary>>}} -> tap:skip("no time zones are installed");
        Result -> ?assertEqual({ok, <<"Europe/Vienna">>}, Result)
    end.

last() ->
    {ok, _} = py:start_pool(taught, #{size => 1, init =>
        <<"import erlang\nerlang.encoder(object, lambda obj: type(obj).__name__)">>}),
    ?assertEqual({ok, [[0], <<"object">>, <<"generator">>]},
                 py:eval(<<"[range(1), object(), (i for i in [])]">>, #{}, #{pool => taught})),
    ok = py:stop_pool(taught).

%% The object itself and the reply, and no third copy of it.
copies() ->
    Size = 64_000_000,
    {ok, _} = py:start_pool(large, #{size => 1, timeout => 60_000}),
    [?assert(grown(Source, Size) < 2.5 * Size, Source)
     || Source <- [<<"memoryview(bytearray(64000000))">>,
                   <<"__import__('mmap').mmap(-1, 64000000)">>]],
    ok = py:stop_pool(large).

%% By how much the worker's peak was above what it had.
grown(Source, Size) ->
    Pool = #{pool => large},
    Status = <<"[int(l.split()[1]) * 1024 for l in open('/proc/self/status')"
               " if l.startswith(('VmHWM', 'VmRSS'))]">>,
    {ok, 1} = py:eval(<<"open('/proc/self/clear_refs', 'w').write('5')">>, #{}, Pool),
    {ok, [_, Before]} = py:eval(Status, #{}, Pool),
    {ok, Binary} = py:eval(Source, #{}, Pool),
    Size = byte_size(Binary),
    {ok, [Peak, _]} = py:eval(Status, #{}, Pool),
    Peak - Before.
