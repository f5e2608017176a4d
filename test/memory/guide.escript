#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The memory guide: every block of code in docs/memory.md as its first reader
%% would type it, and what the page says of the results.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import processor">>}, [
        {"memory statistics", fun memory_statistics/0},
        {"manual collection", fun manual_collection/0},
        {"a collection collects", fun collects/0},
        {"memory tracing", fun memory_tracing/0},
        {"frame depth", fun frame_depth/0},
        {"loading everything", 120_000, fun load_everything/0},
        {"streaming instead", 120_000, fun streaming/0},
        {"clearing large objects", fun clearing/0},
        {"monitoring the pool's memory: calm", fun monitoring_calm/0},
        {"monitoring the pool's memory: pressure", fun monitoring_pressure/0},
        {"generations and thresholds", fun thresholds/0},
        {"worker memory growth", fun growth/0},
        {"worker memory growth, to the letter", fun growth_to_the_letter/0},
        {"locals do not stay", fun locals_do_not_stay/0},
        {"statistics of every worker", fun each_worker/0}
    ])).

memory_statistics() ->
    {ok, Stats} = py:memory_stats(),
    #{gc_stats := Generations, gc_count := Count, gc_threshold := Threshold} = Stats,
    ?assertEqual(3, length(Generations)),
    [?assertMatch(#{<<"collected">> := C, <<"collections">> := N, <<"uncollectable">> := U}
                      when C >= 0 andalso N >= 0 andalso U >= 0, Generation)
     || Generation <- Generations],
    ?assertMatch({_, _, _}, Count),
    ?assertMatch({_, _, _}, Threshold),
    ?assert(lists:all(fun is_integer/1, tuple_to_list(Count) ++ tuple_to_list(Threshold))),
    ?assertNot(maps:is_key(traced_memory_current, Stats)).

manual_collection() ->
    %% Full collection (all generations)
    {ok, Collected} = py:gc(),
    ?assert(is_integer(Collected) andalso Collected >= 0),
    %% Collection by generation
    {ok, _} = py:gc(0),   %% Youngest objects only
    {ok, _} = py:gc(1),   %% Generations 0 and 1
    {ok, _} = py:gc(2).   %% Full collection

collects() ->
    {ok, _} = py:gc(),
    ok = py:exec_all(<<"import gc\ngc.disable()\n"
                       "for _ in range(100):\n    a = []\n    a.append(a)\n"
                       "del a\n">>),
    {ok, Collected} = py:gc(),
    ?assert(Collected >= 200),
    ok = py:exec_all(<<"gc.enable()">>).

memory_tracing() ->
    %% Start tracing
    ok = py:tracemalloc_start(),
    %% Do some work
    {ok, _} = py:eval(<<"[x**2 for x in range(100000)]">>),
    %% Check memory
    {ok, Stats} = py:memory_stats(),
    #{traced_memory_current := Current, traced_memory_peak := Peak} = Stats,
    ?assert(Current > 0),
    ?assert(Peak > 1_000_000),
    %% Stop tracing
    ok = py:tracemalloc_stop(),
    {ok, After} = py:memory_stats(),
    ?assertNot(maps:is_key(traced_memory_current, After)).

frame_depth() ->
    ok = py:tracemalloc_start(10),  %% Store 10 frames per allocation
    ?assertEqual({ok, 10}, py:eval(<<"__import__('tracemalloc').get_traceback_limit()">>)),
    ok = py:tracemalloc_stop().

load_everything() ->
    %% Bad - loads entire list
    {ok, Huge} = py:eval(<<"list(range(10000000))">>),
    ?assertEqual(10_000_000, length(Huge)).

streaming() ->
    %% Good - processes incrementally
    {ok, Chunks} = py:stream_eval(<<"(x for x in range(10000000))">>),
    ?assertEqual({10_000_000, 0, 9_999_999}, {length(Chunks), hd(Chunks), lists:last(Chunks)}).

process_large_data(Data) ->
    Result = py:call(processor, handle, [Data]),
    {ok, _} = py:gc(),  %% Clean up Python side
    Result.

clearing() ->
    ?assertEqual({ok, 500_500}, process_large_data(lists:seq(1, 1000))).

monitor_memory() ->
    {ok, Stats} = py:memory_stats(),
    Count = element(1, maps:get(gc_count, Stats)),
    Threshold = element(1, maps:get(gc_threshold, Stats)),
    if Count > Threshold * 0.8 ->
        logger:warning("Python memory pressure: ~p/~p", [Count, Threshold]),
        py:gc();
       true ->
        ok
    end.

monitoring_calm() ->
    ok = py:exec_all(<<"import gc\ngc.set_threshold(1000000, 10, 10)">>),
    ?assertEqual(ok, monitor_memory()).

monitoring_pressure() ->
    ok = py:exec_all(<<"gc.set_threshold(1, 10, 10)\n"
                       "gc.disable()\nkept = [[] for _ in range(1000)]">>),
    ?assertMatch({ok, Collected} when is_integer(Collected), monitor_memory()),
    ok = py:exec_all(<<"del kept\ngc.enable()\ngc.set_threshold(700, 10, 10)">>).

thresholds() ->
    ok = py:exec_all(<<"gc.set_threshold(700, 10, 10)">>),
    {ok, #{gc_threshold := Threshold}} = py:memory_stats(),
    {ok, Expected} = py:eval(<<"gc.get_threshold()">>),
    ?assertEqual(Expected, Threshold).

%% A binary is made of a number by integer_to_binary/1: what the page means.
growth() ->
    %% This grows worker memory over time
    Results = [py:exec(<<"x", (integer_to_binary(N))/binary, " = [0] * 1000000">>)
               || N <- lists:seq(1, 100)],
    ?assertEqual([ok], lists:usort(Results)),
    ?assertEqual({ok, 100_000_000},
                 py:eval(<<"sum(len(globals()[f'x{n}']) for n in range(1, 101))">>)),
    ok = py:exec(<<"for n in range(1, 101):\n    del globals()[f'x{n}']">>).

%% As the page has it, N goes into the binary as one character with that code:
%% Python sees "x\1 = …" or "xA = …". Errors and names of one letter, no more.
growth_to_the_letter() ->
    Results = [py:exec(<<"x", N, " = [0] * 1000000">>) || N <- lists:seq(1, 100)],
    ?assertEqual(100, length(Results)),
    [?assert(Result =:= ok orelse element(1, Result) =:= error) || Result <- Results],
    ?assertEqual(ok, lists:nth($A, Results)),
    ?assertMatch({error, {'SyntaxError', _}}, lists:nth(1, Results)),
    ?assert(lists:all(fun(#{restarts := N}) -> N =:= 0 end, fixture:workers())).

locals_do_not_stay() ->
    LargeList = lists:seq(1, 10_000),
    %% Consider using eval with locals instead
    Results = [py:eval(<<"len(data)">>, #{data => LargeList}) || _ <- lists:seq(1, 100)],
    ?assertEqual([{ok, 10_000}], lists:usort(Results)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"data">>)).

each_worker() ->
    {ok, #{workers := Workers}} = py:memory_stats(),
    ?assertEqual(2, length(Workers)),
    [?assert(is_integer(Rss) andalso Rss > 1_000_000) || #{rss := Rss} <- Workers],
    ?assertEqual(lists:sort(fixture:os_pids()), lists:sort([P || #{os_pid := P} <- Workers])).
