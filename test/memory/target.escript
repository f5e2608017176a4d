#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Targets: a pool, one of its workers, each of them. Every function that looks
%% at workers or tends them understands the same ones.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        [{["a target: ", Name], fun() -> targets(Ask, Together, One) end}
         || {Name, Ask, Together, One} <- functions()],
        {"nothing means the default pool", fun default/0},
        {"a restart of one worker leaves the others", fun one_restarted/0},
        {"one generation of one worker", fun generation/0},
        {"tracing of one worker ends with it", fun one_traced/0},
        {"tracing of each ends with each", fun each_traced/0},
        {"tracing of a pool holds for later workers", fun pool_traced/0}
    ])).

%% {Name, the function, whether a pool's answer is right, and one worker's}
functions() ->
    IsStats = fun({ok, #{gc_count := {_, _, _}}}) -> true; (_) -> false end,
    IsCount = fun({ok, N}) -> is_integer(N); (_) -> false end,
    IsOk = fun(Answer) -> Answer =:= ok end,
    IsList = fun({ok, Rows}) -> is_list(Rows); (_) -> false end,
    AreStacks = fun({ok, [{1, {ok, _}}, {2, {ok, _}}]}) -> true; (_) -> false end,
    [{"memory_stats", fun py:memory_stats/1, IsStats, IsStats},
     {"gc", fun py:gc/1, IsCount, IsCount},
     {"gc of a generation", fun(Target) -> py:gc(Target, 1) end, IsCount, IsCount},
     {"trim", fun py:trim/1, IsCount, IsCount},
     {"tracemalloc_start", fun py:tracemalloc_start/1, IsOk, IsOk},
     {"tracemalloc_start with frames", fun(T) -> py:tracemalloc_start(T, 5) end, IsOk, IsOk},
     {"tracemalloc_stop", fun py:tracemalloc_stop/1, IsOk, IsOk},
     {"objects", fun py_mem:objects/1, IsList, IsList},
     {"growth", fun py_mem:growth/1, IsList, IsList},
     {"uncollectable", fun py_mem:uncollectable/1, IsList, IsList},
     {"referrers", fun(Target) -> py_mem:referrers(Target, dict) end, IsList, IsList},
     {"stack", fun fixture:stack/1, AreStacks, IsList},
     {"restart_workers", fun py:restart_workers/1, IsOk, IsOk}].

targets(Ask, IsTogether, IsOne) ->
    two_workers(fun() ->
        ?assert(IsTogether(Ask(two))),
        [?assert(IsOne(Ask({two, Id}))) || Id <- [1, 2]],
        {ok, [{1, First}, {2, Second}]} = Ask({two, all}),
        ?assert(IsOne(First) andalso IsOne(Second)),
        ?assertEqual({error, {no_worker, {two, 3}}}, Ask({two, 3})),
        [?assertEqual({error, {no_pool, nowhere}}, Ask(Target))
         || Target <- [nowhere, {nowhere, 1}, {nowhere, all}]],
        [?assertError(badarg, Ask(Target))
         || Target <- [<<"two">>, {two, 0}, {two, any}, {"two", 1}, {two, 1, 2}, [two]]]
    end).

two_workers(Fun) ->
    {ok, _} = py:start_pool(two, #{size => 2}),
    try Fun() after ok = py:stop_pool(two) end.

default() ->
    {ok, #{workers := [#{id := 1}, #{id := 2}]}} = py:memory_stats(),
    ?assertMatch({ok, [{1, _}, {2, _}]}, py:stack(default)),
    [?assertError(badarg, py:gc(Generation)) || Generation <- [-1, 3]],
    [?assertError(badarg, py:tracemalloc_start(NFrame)) || NFrame <- [0, 65536]].

one_restarted() ->
    two_workers(fun() ->
        [First, Second] = fixture:os_pids(two),
        ok = py:restart_workers({two, 2}),
        [First, Third] = fixture:os_pids(two),
        ?assertNotEqual(Second, Third),
        {ok, [{1, ok}, {2, ok}]} = py:restart_workers({two, all}),
        ?assertEqual([], [Old || Old <- fixture:os_pids(two), lists:member(Old, [First, Third])])
    end).

%% What a full collection has looked at is in its own generation's numbers.
generation() ->
    Times = fun(Id, Nth) ->
        {ok, #{gc_stats := Generations}} = py:memory_stats({default, Id}),
        maps:get(<<"collections">>, lists:nth(Nth, Generations))
    end,
    [First, Second] = [Times(Id, 3) || Id <- [1, 2]],
    {ok, _} = py:gc({default, 2}, 2),
    ?assertEqual([First, Second + 1], [Times(Id, 3) || Id <- [1, 2]]).

traced(Id) ->
    {ok, Stats} = py:memory_stats({two, Id}),
    is_map_key(traced_memory_current, Stats).

one_traced() ->
    two_workers(fun() ->
        ok = py:tracemalloc_start({two, 2}, 3),
        ?assertEqual([false, true], [traced(Id) || Id <- [1, 2]]),
        ok = py:restart_workers(two),
        ?assertEqual([false, false], [traced(Id) || Id <- [1, 2]])
    end).

each_traced() ->
    two_workers(fun() ->
        {ok, [{1, ok}, {2, ok}]} = py:tracemalloc_start({two, all}),
        ?assertEqual([true, true], [traced(Id) || Id <- [1, 2]]),
        ok = py:tracemalloc_stop({two, 1}),
        ?assertEqual([false, true], [traced(Id) || Id <- [1, 2]]),
        ok = py:restart_workers(two),
        ?assertEqual([false, false], [traced(Id) || Id <- [1, 2]])
    end).

pool_traced() ->
    two_workers(fun() ->
        ok = py:tracemalloc_start(two, 3),
        ok = py:restart_workers(two),
        ?assertEqual([true, true], [traced(Id) || Id <- [1, 2]]),
        ok = py:tracemalloc_stop(two),
        ?assertEqual([false, false], [traced(Id) || Id <- [1, 2]])
    end).
