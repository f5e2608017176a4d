#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: what programs written for the library that came before may rely
%% on, as facts about calls and their results, with the default settings.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        [fact(Row) || Row <- calls() ++ evals() ++ values() ++ streams()],
        [failure(Row) || Row <- failures()],
        {"json with indentation has lines", fun json_lines/0},
        {"statements", fun statements/0},
        {"messages from Python by cast", fun messages/0},
        {"answers that are awaited", fun awaited/0},
        {"several calls at once", fun parallel/0},
        {"time limits", fun time_limits/0},
        {"the version is a text", fun version/0},
        {"memory statistics", fun memory_statistics/0},
        {"garbage collection", fun collection/0}
    ])).

fact({What, Call, Expected}) ->
    {What, fun() -> ?assertEqual(Expected, Call()) end}.

failure({What, Class, Call}) ->
    {What, fun() -> ?assertMatch({error, {Class, _}}, Call()) end}.

eval(Code) -> fun() -> py:eval(Code) end.
eval(Code, Locals) -> fun() -> py:eval(Code, Locals) end.

%% ---------------------------------------------------------------------------

calls() ->
    Json = <<"{\"a\": 1, \"b\": [1,2,3]}">>,
    [{"a root", fun() -> py:call(math, sqrt, [16]) end, {ok, 4.0}},
     {"another root", fun() -> py:call(math, sqrt, [25]) end, {ok, 5.0}},
     {"a factorial", fun() -> py:call(math, factorial, [5]) end, {ok, 120}},
     {"a built-in function", fun() -> py:call(builtins, len, [[1, 2, 3]]) end, {ok, 3}},
     {"json from a map of atoms", fun() -> py:call(json, dumps, [#{foo => bar}]) end,
      {ok, <<"{\"foo\": \"bar\"}">>}},
     {"json from a list of pairs", fun() -> py:call(json, dumps, [[{a, 1}]], #{}) end,
      {ok, <<"[[\"a\", 1]]">>}},
     {"json to a map", fun() -> py:call(json, loads, [Json]) end,
      {ok, #{<<"a">> => 1, <<"b">> => [1, 2, 3]}}},
     {"a keyword argument that is true",
      fun() -> py:call(json, dumps, [#{z => 1, a => 2}], #{sort_keys => true}) end,
      {ok, <<"{\"a\": 2, \"z\": 1}">>}}].

evals() ->
    Config = #{config => #{settings => #{value => 42}}},
    [{"an expression", eval(<<"sum(range(10))">>), {ok, 45}},
     {"a comprehension", eval(<<"[x**2 for x in range(5)]">>), {ok, [0, 1, 4, 9, 16]}},
     {"a method with a keyword argument", eval(<<"'a-b-c-d'.split('-', maxsplit=2)">>),
      {ok, [<<"a">>, <<"b">>, <<"c-d">>]}},
     {"two locals", eval(<<"x * y">>, #{x => 5, y => 5}), {ok, 25}},
     {"three locals", eval(<<"a + b + c">>, #{a => 1, b => 2, c => 3}), {ok, 6}},
     {"a list for a local", eval(<<"sum(numbers)">>, #{numbers => [1, 2, 3, 4, 5]}), {ok, 15}},
     {"a text for a local", eval(<<"len(word)">>, #{word => <<"foo">>}), {ok, 3}},
     {"a map for a local", eval(<<"data['name']">>, #{data => #{name => <<"Alice">>, age => 30}}),
      {ok, <<"Alice">>}},
     {"maps in a map for a local", eval(<<"config['settings']['value']">>, Config), {ok, 42}},
     {"a local caught as a default argument",
      eval(<<"list(map(lambda x, m=multiplier: x * m, items))">>,
           #{items => [1, 2, 3], multiplier => 2}), {ok, [2, 4, 6]}},
     {"a local that a lambda simply sees",
      eval(<<"list(map(lambda x: x * multiplier, items))">>,
           #{items => [1, 2, 3], multiplier => 2}), {ok, [2, 4, 6]}}].

values() ->
    [{"an integer", eval(<<"42">>), {ok, 42}},
     {"a float", eval(<<"3.14">>), {ok, 3.14}},
     {"a text", eval(<<"'hello'">>), {ok, <<"hello">>}},
     {"True", eval(<<"True">>), {ok, true}},
     {"False", eval(<<"False">>), {ok, false}},
     {"None", eval(<<"None">>), {ok, none}},
     {"a list", eval(<<"[1, 2, 3]">>), {ok, [1, 2, 3]}},
     {"a tuple", eval(<<"(1, 2, 3)">>), {ok, {1, 2, 3}}},
     {"a dict", eval(<<"{'a': 1}">>), {ok, #{<<"a">> => 1}}},
     {"not a number", eval(<<"float('nan')">>), {ok, nan}},
     {"infinity", eval(<<"float('inf')">>), {ok, infinity}},
     {"negative infinity", eval(<<"float('-inf')">>), {ok, neg_infinity}},
     {"lists in a list", eval(<<"[[1, 2], [3, 4]]">>), {ok, [[1, 2], [3, 4]]}},
     {"dicts in a list", eval(<<"[{'a': 1}, {'b': 2}]">>),
      {ok, [#{<<"a">> => 1}, #{<<"b">> => 2}]}},
     {"dicts in dicts", eval(<<"{'l1': {'l2': {'l3': 'deep'}}}">>),
      {ok, #{<<"l1">> => #{<<"l2">> => #{<<"l3">> => <<"deep">>}}}}},
     {"lists in a tuple", eval(<<"([1, 2], [3, 4])">>), {ok, {[1, 2], [3, 4]}}},
     {"tuples in a list in a dict", eval(<<"{'data': [(1, 'a'), (2, 'b')]}">>),
      {ok, #{<<"data">> => [{1, <<"a">>}, {2, <<"b">>}]}}}].

streams() ->
    Letters = [<<"a">>, <<"b">>, <<"c">>],
    Fibonacci = <<"(lambda: ((f := [0, 1]), [f.append(f[-1] + f[-2]) for _ in range(8)],"
                  " iter(f))[-1])()">>,
    Batches = <<"(lambda d, n: (d[i:i+n] for i in range(0, len(d), n)))([1,2,3,4,5,6,7], 3)">>,
    [{"stream of a generator", stream(<<"(x**2 for x in range(5))">>), {ok, [0, 1, 4, 9, 16]}},
     {"stream of an iterator", stream(<<"iter(range(5))">>), {ok, [0, 1, 2, 3, 4]}},
     {"stream of a text's letters", stream(<<"(c.upper() for c in 'abc')">>),
      {ok, [<<"A">>, <<"B">>, <<"C">>]}},
     {"stream with a condition", stream(<<"(x for x in range(10) if x % 2 == 0)">>),
      {ok, [0, 2, 4, 6, 8]}},
     {"stream of map", stream(<<"map(str, [1, 2])">>), {ok, [<<"1">>, <<"2">>]}},
     {"stream of filter", stream(<<"filter(lambda x: x > 2, [1, 2, 3, 4, 5])">>),
      {ok, [3, 4, 5]}},
     {"stream of enumerate", stream(<<"enumerate(['a', 'b', 'c'])">>),
      {ok, lists:zip([0, 1, 2], Letters)}},
     {"stream of zip", stream(<<"zip([1, 2, 3], ['a', 'b', 'c'])">>),
      {ok, lists:zip([1, 2, 3], Letters)}},
     {"stream of a dict's items", stream(<<"iter({'a': 1, 'b': 2}.items())">>),
      {ok, [{<<"a">>, 1}, {<<"b">>, 2}]}},
     {"stream of a dict's keys", stream(<<"iter({'x': 10, 'y': 20}.keys())">>),
      {ok, [<<"x">>, <<"y">>]}},
     {"stream of a dict's values", stream(<<"iter({'x': 10, 'y': 20}.values())">>),
      {ok, [10, 20]}},
     {"stream of a list that grew", stream(Fibonacci), {ok, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34]}},
     {"stream of batches", stream(Batches), {ok, [[1, 2, 3], [4, 5, 6], [7]]}},
     {"stream of nothing", stream(<<"iter([])">>), {ok, []}},
     {"stream of a call", fun() -> py:stream(builtins, iter, [[1, 2, 3]]) end, {ok, [1, 2, 3]}},
     {"stream of a call of range", fun() -> py:stream(builtins, range, [1000]) end,
      {ok, lists:seq(0, 999)}},
     {"stream of a call with a keyword argument",
      fun() -> py:stream(builtins, enumerate, [Letters], #{start => 1}) end,
      {ok, lists:zip([1, 2, 3], Letters)}}].

stream(Code) -> fun() -> py:stream_eval(Code) end.

failures() ->
    [{"an unknown name", 'NameError', eval(<<"undefined_variable">>)},
     {"bad syntax", 'SyntaxError', eval(<<"if True">>)},
     {"division by zero", 'ZeroDivisionError', eval(<<"1/0">>)},
     {"an unknown module", 'ModuleNotFoundError',
      fun() -> py:call(nonexistent_module, func, []) end},
     {"a stream of an unknown function", 'AttributeError',
      fun() -> py:stream(builtins, nonexistent_function, []) end},
     {"a stream whose names hold code", 'ModuleNotFoundError',
      fun() -> py:stream(<<"os'); __import__('os').system('x">>, <<"walk">>, [], #{k => 1}) end}].

%% ---------------------------------------------------------------------------

json_lines() ->
    {ok, Two} = py:call(json, dumps, [#{a => 1}], #{indent => 2}),
    ?assertEqual(<<"{\n  \"a\": 1\n}">>, Two),
    {ok, Four} = py:call(json, dumps, [#{b => 1, a => 2}], #{indent => 4, sort_keys => true}),
    ?assertEqual(<<"{\n    \"a\": 2,\n    \"b\": 1\n}">>, Four).

statements() ->
    ?assertEqual(ok, py:exec(<<"x = 42">>)),
    ?assertEqual(ok, py:exec(<<"\ndef my_func():\n    pass\n">>)),
    ?assertEqual(ok, py:exec(<<"import math">>)),
    ?assertEqual({ok, 42}, py:eval(<<"x">>)).

messages() ->
    ok = py:cast(erlang, send, [self(), {<<"result">>, <<"msg1">>}]),
    ok = py:cast(erlang, send, [self(), {<<"result">>, <<"msg2">>}]),
    Got = [receive {<<"result">>, Text} -> Text after 30_000 -> error(nothing_came) end
           || _ <- [1, 2]],
    ?assertEqual([<<"msg1">>, <<"msg2">>], lists:sort(Got)).

awaited() ->
    First = py:spawn_call(math, sqrt, [100]),
    Second = py:spawn_call(math, sqrt, [144]),
    ?assertEqual([{ok, 10.0}, {ok, 12.0}], [py:await(First), py:await(Second)]).

parallel() ->
    Roots = [{math, sqrt, [N * N]} || N <- lists:seq(1, 20)],
    ?assertEqual({ok, [float(N) || N <- lists:seq(1, 20)]}, py:parallel(Roots)).

time_limits() ->
    ?assertEqual({error, timeout}, py:eval(<<"__import__('time').sleep(1)">>, #{}, 100)),
    ?assertEqual({ok, 45}, py:eval(<<"sum(range(10))">>, #{}, 5000)),
    ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16], #{}, 5000)).

version() ->
    {ok, Version} = py:version(),
    ?assertMatch(<<"3.", _, _/binary>>, Version).

memory_statistics() ->
    Stats = fixture:memory_stats(default),
    ?assertMatch(#{gc_stats := _, gc_count := _, gc_threshold := _}, Stats),
    ok = py:tracemalloc_start(),
    {ok, _} = py:eval(<<"[x**2 for x in range(1000)]">>),
    ?assertMatch(#{traced_memory_current := _, traced_memory_peak := _},
                 fixture:memory_stats(default)),
    ok = py:tracemalloc_stop().

collection() ->
    [?assertMatch({ok, N} when is_integer(N) andalso N >= 0, Result)
     || Result <- [py:gc(), py:gc(0), py:gc(1), py:gc(2)]].
