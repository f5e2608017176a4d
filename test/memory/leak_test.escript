#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem:leak_test names a function that leaks, by kind and line, and no other.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% So many functions of Python's library have to be found clean, at least.
-define(CLEAN, 30).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import leaky, drip, clean">>}, [
        [{What, 120_000, fun() -> ok = fixture:unless_sanitized(), Test() end}
         || {What, Test} <- leaks()],
        {"a function that fails", fun failing/0},
        {"its worker is replaced meanwhile", fun replaced/0},
        {"one test at a time, and nothing stays", fun alone/0},
        {"its caller dies", fun killed/0},
        {"wrong arguments", fun wrong/0}
    ])).

%% A sanitizer keeps what was freed.
leaks() ->
    [{"one of three functions leaks: its line", fun one_of_three/0},
     {"tests, bills and traces name the same one", fun agreed/0},
     {"of a list that grows, the line", fun list/0},
     {"what fills up is no leak", fun fills/0},
     {"memory of C's", fun c/0},
     {"memory that C code has mapped", fun mapped/0},
     {"free memory in pieces", fun pieces/0},
     {"none of the library's functions leaks", fun clean/0},
     {"few runs of a function that takes long", fun few/0},
     {"its own worker has what the pool's have", fun alike/0},
     {"what its pool has switched on is not counted", fun unswayed/0},
     {"a limit that it meets", fun limited/0}].

test(Function, Args) ->
    py_mem:leak_test(leaky, Function, Args).

one_of_three() ->
    ?assertEqual(ok, test(parse, [<<"some words">>])),
    ?assertEqual(ok, test(answer, [<<"some words">>])),
    {leak, #{kind := python, bytes_per_call := Bytes, sites := [Site]}} =
        test(remember, [<<"some words">>]),
    ?assert(Bytes > 1000 andalso Bytes < 1500),
    site(<<"remember">>, "_seen.append(", Bytes, Site),
    {leak, #{sites := [#{frames := Frames} = Same]}} = test(handle, [<<"some words">>]),
    site(<<"remember">>, "_seen.append(", Bytes, Same),
    ?assertMatch([#{function := <<"handle">>, line := _}, #{function := <<"remember">>}], Frames).

%% Whoever asks, in whichever way: it is the function, and where lines are known, the line.
agreed() ->
    {ok, _} = py:start_pool(hunted, #{size => 1, bill => true, python_path => [fixture:python_path()],
                                      init => <<"import leaky">>}),
    ok = py:tracemalloc_start(hunted),
    Run = fun(N) -> [{ok, _} = py:call(leaky, F, [<<"some words">>], #{}, #{pool => hunted})
                     || _ <- lists:seq(1, N), F <- [parse, remember, answer]] end,
    _ = Run(50),
    {ok, Before} = py_mem:snapshot(hunted),
    _ = Run(500),
    {ok, After} = py_mem:snapshot(hunted),
    ok = py:tracemalloc_stop(hunted),
    {ok, [#{file := File, line := Line, function := Name} | _]} = py_mem:diff(Before, After),
    {ok, [#{what := {<<"leaky">>, Most}} | _]} = py_mem:top(hunted, memory),
    {leak, #{sites := [#{file := Of, line := At, function := In}]}} =
        py_mem:leak_test(leaky, remember, [<<"some words">>], #{pool => hunted}),
    ok = py:stop_pool(hunted),
    ?assertEqual([<<"remember">>, <<"remember">>, <<"remember">>], [Name, Most, In]),
    ?assertEqual({File, Line}, {Of, At}).

%% The line is the one with this text, and most of what remains comes from there.
site(Function, Text, Bytes, #{file := File, line := Line, function := Named, bytes_per_call := Own}) ->
    ?assertEqual(Function, Named),
    ?assert(fixture:contains(line(File, Line), Text)),
    ?assert(Own > Bytes div 2 andalso Own < 2 * Bytes).

line(File, Line) ->
    {ok, Source} = file:read_file(File),
    lists:nth(Line, binary:split(Source, <<"\n">>, [global])).

list() ->
    {leak, #{kind := python, bytes_per_call := Bytes, sites := [Site]}} = py_mem:leak_test(drip, append, []),
    ?assert(Bytes >= 7 andalso Bytes =< 11),
    site(<<"append">>, "_given.append(", Bytes, Site).

fills() ->
    [?assertEqual({N, ok}, {N, py_mem:leak_test(drip, fill, [N])}) || N <- [10, 200, 1000, 4000]].

c() ->
    [begin
         {leak, #{kind := c, bytes_per_call := Bytes, sites := []}} = py_mem:leak_test(drip, in_c, [Size]),
         ?assert(Bytes >= Size andalso Bytes < Size + 100)
     end || Size <- [50, 1000, 100_000]].

%% A page and more, for a function that keeps hardly anything of Python's.
mapped() ->
    {leak, #{kind := c, bytes_per_call := Bytes}} = py_mem:leak_test(drip, mapped, [16384]),
    ?assert(Bytes > 15_000 andalso Bytes < 18_000).

pieces() ->
    fixture:has_glibc() andalso begin
        {leak, #{kind := fragmentation, bytes_per_call := Bytes}} =
            py_mem:leak_test(drip, shrink, [20], #{runs => 400}),
        ?assert(Bytes > 40_000 andalso Bytes < 70_000)
    end.

clean() ->
    {ok, Names} = py:call(clean, names, []),
    ?assert(length(Names) > ?CLEAN),
    Found = [{Name, py_mem:leak_test(clean, Name, [], #{runs => 400})} || Name <- Names, Name =/= <<"names">>],
    ?assertEqual([], [Leak || {_, Result} = Leak <- Found, Result =/= ok]).

few() ->
    Options = #{runs => 8, warmup => 1},
    ?assertMatch({leak, #{kind := python}},
                 py_mem:leak_test(leaky, remember, [<<"some words">>], Options)),
    ?assertEqual(ok, py_mem:leak_test(leaky, answer, [<<"some words">>], Options)).

alike() ->
    {ok, _} = py:start_pool(other, #{size => 2, env => #{'WHERE' => "here"}, memory => #{budget => {percent, 90}},
                                     init => <<"import os\nkept = []">>}),
    ok = py:exec_all(<<"def twice():\n    kept.append(os.environ['WHERE'] * 1000)">>, #{pool => other}),
    ?assertMatch({leak, #{kind := python, bytes_per_call := N}} when N > 4000,
                 py_mem:leak_test('__main__', twice, [], #{pool => other})),
    ?assertEqual({ok, 0}, py:eval(<<"len(kept)">>, #{}, #{pool => other})),
    ok = py:stop_pool(other).

failing() ->
    ?assertMatch({error, {'AttributeError', _}}, test(nothing, [])),
    ?assertMatch({error, {'ValueError', _}}, test(failing, [1])),
    ?assertMatch({error, {worker_exit, {status, 3}}}, py_mem:leak_test(os, '_exit', [3])),
    ?assertEqual({error, {no_pool, nobody}}, py_mem:leak_test(math, sqrt, [4], #{pool => nobody})).

%% A block that is sampled is larger than it was asked for.
unswayed() ->
    {ok, _} = py:start_pool(sampled, #{size => 1, python_path => [fixture:python_path()], bill => true,
                                       profile => #{rate => 512, per_second => 1_000_000}}),
    {leak, #{kind := python, bytes_per_call := Bytes}} =
        py_mem:leak_test(leaky, remember, [<<"some words">>], #{pool => sampled}),
    ok = py:stop_pool(sampled),
    ?assert(Bytes > 1000 andalso Bytes < 1500).

%% A leak that fills the heap is not one that nobody has seen.
limited() ->
    {ok, _} = py:start_pool(tight, #{size => 1, memory => #{heap => 30_000_000}}),
    ok = py:exec_all(<<"kept = []\ndef keep():\n    kept.append(bytes(100_000))">>, #{pool => tight}),
    ?assertMatch({error, {'MemoryError', _}}, py_mem:leak_test('__main__', keep, [], #{pool => tight})),
    ?assertMatch({leak, #{kind := python}},
                 py_mem:leak_test('__main__', keep, [], #{pool => tight, runs => 16, warmup => 1})),
    ok = py:stop_pool(tight).

%% Between two calls nobody else hears of it.
replaced() ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit(py_mem:leak_test(time, sleep, [0.01], #{runs => 100})) end),
    fixture:wait_until(fun() ->
        case py:info(py_leak_test) of
            #{workers := [#{calls := N}]} -> N > 0;
            {error, _} -> false
        end
    end),
    ok = py:restart_workers(py_leak_test),
    receive {'DOWN', Monitor, process, Pid, Result} -> ?assertEqual({error, {worker_exit, restarted}}, Result) end.

alone() ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit(py_mem:leak_test(time, sleep, [0.01], #{runs => 100})) end),
    fixture:wait_until(fun() -> not is_tuple(py:info(py_leak_test)) end),
    ?assertMatch({error, {already_started, _}}, test(parse, [<<"x">>])),
    receive {'DOWN', Monitor, process, Pid, Result} -> ?assertEqual(ok, Result) end,
    ?assertEqual({error, {no_pool, py_leak_test}}, py:info(py_leak_test)).

killed() ->
    Pid = spawn(fun() -> py_mem:leak_test(time, sleep, [0.01], #{runs => 100}) end),
    fixture:wait_until(fun() -> not is_tuple(py:info(py_leak_test)) end),
    exit(Pid, kill),
    fixture:wait_until(fun() -> is_tuple(py:info(py_leak_test)) end),
    ?assertEqual(ok, test(parse, [<<"x">>])).

wrong() ->
    [?assertError(badarg, py_mem:leak_test(math, sqrt, [4], Options))
     || Options <- [#{runs => 1}, #{pool => {default, 1}}, #{run => 10}, [runs]]].
