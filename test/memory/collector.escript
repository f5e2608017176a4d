#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The garbage collector's settings: of a pool and its workers to come, of a worker,
%% of each; even while Python is busy.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import gc, wedge">>}, [
        {"thresholds of a pool hold for later workers", fun pool_threshold/0},
        {"thresholds of one worker end with it", fun one_threshold/0},
        {"thresholds that are none", fun no_threshold/0},
        {"the collector switched off and on", fun switched/0},
        {"a pool without collector, and its later workers", fun pool_without/0},
        {"frozen objects", fun frozen/0},
        {"while Python is busy", fun busy/0},
        {"pauses are counted, for each generation", fun pauses/0},
        {"pauses of a pool go on when workers end", fun pauses_go_on/0},
        {"who calls the callback", fun callback/0},
        {"targets that are none", fun targets/0}
    ])).

two_workers(Fun) ->
    {ok, _} = py:start_pool(two, #{size => 2, init => <<"import gc">>}),
    try Fun() after ok = py:stop_pool(two) end.

%% What an expression gives in each worker of the pool.
each(Code) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), bound(Code)} end) || _ <- [1, 2]],
    Found = [receive {Pid, Value} -> Value end || Pid <- Pids],
    [Pid ! done || Pid <- Pids],
    Found.

%% The process stays with its worker until the other has one as well.
bound(Code) ->
    ok = py:exec(<<"import time; time.sleep(0.2)">>, #{pool => two}),
    {ok, Value} = py:eval(Code, #{}, #{pool => two}),
    Value.

pool_threshold() ->
    two_workers(fun() ->
        ok = py_mem:gc_threshold(two, {5000, 7, 8}),
        ?assertEqual({ok, {5000, 7, 8}}, py_mem:gc_threshold(two)),
        ok = py:restart_workers(two),
        {ok, [{1, One}, {2, Two}]} = py_mem:gc_threshold({two, all}),
        ?assertEqual([{ok, {5000, 7, 8}}, {ok, {5000, 7, 8}}], [One, Two]),
        #{gc_threshold := Shown} = fixture:memory_stats(two),
        ?assertEqual({5000, 7, 8}, Shown)
    end).

one_threshold() ->
    two_workers(fun() ->
        {ok, Own} = py_mem:gc_threshold(two),
        ok = py_mem:gc_threshold({two, 2}, {5000, 7, 8}),
        ?assertEqual({ok, [{1, {ok, Own}}, {2, {ok, {5000, 7, 8}}}]},
                     py_mem:gc_threshold({two, all})),
        ok = py:restart_workers(two),
        ?assertEqual({ok, Own}, py_mem:gc_threshold({two, 2}))
    end).

no_threshold() ->
    [?assertError(badarg, py_mem:gc_threshold(default, Threshold))
     || Threshold <- [700, {700}, {700, 10}, {-1, 10, 10}, {1 bsl 31, 10, 10}, {a, b, c}]].

switched() ->
    two_workers(fun() ->
        ok = py_mem:gc_disable({two, 1}),
        ?assertEqual([false, true], lists:sort(each(<<"gc.isenabled()">>))),
        {ok, [{1, ok}, {2, ok}]} = py_mem:gc_enable({two, all}),
        ?assertEqual([true, true], each(<<"gc.isenabled()">>))
    end).

pool_without() ->
    two_workers(fun() ->
        ok = py_mem:gc_disable(two),
        ok = py:restart_workers(two),
        ?assertEqual([false, false], each(<<"gc.isenabled()">>)),
        ok = py_mem:gc_enable(two),
        ok = py:restart_workers(two),
        ?assertEqual([true, true], each(<<"gc.isenabled()">>))
    end).

frozen() ->
    two_workers(fun() ->
        [Few, _] = each(<<"gc.get_freeze_count()">>),
        ok = py_mem:gc_freeze(two),
        ?assert(lists:all(fun(N) -> N > Few + 1000 end, each(<<"gc.get_freeze_count()">>)))
    end).

busy() ->
    Held = fixture:hold(#{}),
    ok = py_mem:gc_disable(default),
    {ok, {_, _, _}} = py_mem:gc_threshold(default),
    ok = py_mem:gc_enable(default),
    {ok, _} = fixture:release(Held).

%% As often as the collector says that it has run, and that took some time.
pauses() ->
    two_workers(fun() ->
        #{gc_pauses := Before, gc_stats := Runs} = fixture:memory_stats({two, 1}),
        [{ok, _} = py:gc({two, 1}, Generation) || Generation <- [0, 1, 1, 2, 2, 2]],
        #{gc_pauses := After, gc_stats := MoreRuns} = fixture:memory_stats({two, 1}),
        Counts = [{A - B, M - R}
                  || {#{count := B}, #{count := A}, {#{<<"collections">> := R},
                                                     #{<<"collections">> := M}}}
                         <- lists:zip3(Before, After, lists:zip(Runs, MoreRuns))],
        ?assert(lists:all(fun({Paused, Ran}) -> Paused =:= Ran end, Counts)),
        ?assertMatch([{N0, _}, {N1, _}, {N2, _}] when N0 >= 1 andalso N1 >= 2 andalso N2 >= 3, Counts),
        #{count := N, total := Total, longest := Longest} = lists:last(After),
        ?assert(Longest > 0 andalso Longest =< Total andalso Total =< N * Longest + N)
    end).

pauses_go_on() ->
    two_workers(fun() ->
        [{ok, _} = py:gc(two) || _ <- lists:seq(1, 10)],
        #{gc_pauses := [_, _, #{count := Before, longest := Longest}]} = fixture:memory_stats(two),
        ok = py:restart_workers(two),
        #{gc_pauses := [_, _, #{count := After, longest := Later}]} = fixture:memory_stats(two),
        ?assert(Before >= 20 andalso After >= Before andalso Later >= Longest)
    end).

%% It is in a list that user code sees.
callback() ->
    [?assertMatch({error, {Class, _}}, py:eval(["gc.callbacks[0](", Args, ")"]))
     || {Args, Class} <- [{"", 'TypeError'}, {"'stop', {}", 'KeyError'}, {"'stop', 1", 'TypeError'},
                          {"'stop', {'generation': ''}", 'TypeError'}]],
    ?assertEqual({ok, none}, py:eval(<<"gc.callbacks[0]('stop', {'generation': 9})">>)),
    {ok, #{gc_pauses := [_, _, _]}} = py:memory_stats().

targets() ->
    Asks = [fun py_mem:gc_threshold/1, fun py_mem:gc_freeze/1, fun py_mem:gc_enable/1,
            fun py_mem:gc_disable/1, fun(Target) -> py_mem:gc_threshold(Target, {1, 1, 1}) end],
    [begin
         ?assertEqual({error, {no_pool, nowhere}}, Ask(nowhere)),
         ?assertEqual({error, {no_worker, {default, 3}}}, Ask({default, 3})),
         ?assertError(badarg, Ask(<<"default">>))
     end || Ask <- Asks].
