#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_recycle: which workers are to be replaced, from what is seen of them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        [story(Row) || Row <- stories()],
        {"without limits nothing is looked at", fun no_limits/0},
        {"one that is asked for and stays is asked for again later", fun again/0},
        {"what a worker that is gone has given back does not matter", fun gone/0},
        {"each worker has its own chance", fun jitter/0},
        {"a worker that ends is counted with its reason", fun counted/0},
        {"one that dies otherwise is not", fun forgotten/0},
        {"many that come to a limit are worth one warning", fun too_low/0},
        {"but not those that leap beyond it", fun leaps/0},
        {"nor those of yesterday", fun yesterday/0}
    ]).

-define(PID, worker(1)).

worker(N) -> list_to_pid("<0." ++ integer_to_list(1000 + N) ++ ".0>").

seen(Changes) ->
    maps:merge(#{slot => 1, worker => ?PID, rss => 100, baseline => 50, calls => 1, idle => true,
                 held => false}, Changes).

%% {what it is about, limits, a list of {when, what is seen, what is done}}. `back'
%% is what the worker has once it has given back.
stories() ->
    Recycle = {recycle, 1, ?PID},
    Back = {give_back, 1, ?PID},
    [{"below its limit", #{rss => 100}, [{0, #{}, []}, {1000, #{}, []}]},
     {"giving back is enough", #{rss => 100},
      [{0, #{rss => 101}, [Back]}, {20, {back, #{rss => 100}}, []}, {1000, #{}, []}]},
     {"giving back is not enough", #{rss => 100},
      [{0, #{rss => 101}, [Back]}, {20, {back, #{rss => 101}}, [Recycle]}]},
     {"nothing is done while it gives back", #{rss => 100},
      [{0, #{rss => 101}, [Back]}, {1000, #{rss => 300}, []}, {2000, #{rss => 300}, []}]},
     {"above again soon", #{rss => 100},
      [{0, #{rss => 101}, [Back]}, {20, {back, #{}}, []}, {9000, #{rss => 101}, [Recycle]}]},
     {"above again later", #{rss => 100},
      [{0, #{rss => 101}, [Back]}, {20, {back, #{}}, []}, {20_000, #{rss => 101}, [Back]}]},
     {"growth since its own start", #{growth => 50},
      [{0, #{}, []}, {1000, #{rss => 101}, [Back]}, {1001, {back, #{rss => 101}}, [Recycle]}]},
     {"a limit below the baseline", #{rss => 50},
      [{0, #{}, [{useless, rss, 50, 50}]}, {1000, #{rss => 1000}, []}]},
     {"of the limits one is enough", #{rss => 1000, growth => 10},
      [{0, #{}, [Back]}, {1, {back, #{}}, [Recycle]}]},
     {"a call that must not be disturbed", #{rss => 50, age => 10, idle => 10},
      [{0, #{held => true, baseline => 10}, []}, {1000, #{held => true, baseline => 10}, []},
       {2000, #{baseline => 10}, [Back]}]},
     {"too few calls", #{rss => 60, age => 10, min_calls => 3},
      [{0, #{calls => 2}, []}, {1000, #{calls => 2}, []}, {2000, #{calls => 3}, [Back]}]},
     {"age", #{age => 5000, jitter => 0},
      [{0, #{calls => 0}, []}, {4999, #{calls => 0}, []}, {5000, #{calls => 0}, [Recycle]},
       {6000, #{calls => 0}, []}]},
     {"idle", #{idle => 5000, jitter => 0},
      [{0, #{}, []}, {4000, #{calls => 2}, []}, {8999, #{calls => 2}, []},
       {9000, #{calls => 2}, [Recycle]}]},
     {"idle: at work", #{idle => 5000, jitter => 0},
      [{0, #{}, []}, {9000, #{idle => false}, []}]},
     {"idle: since its work ended", #{idle => 5000, jitter => 0},
      [{0, #{}, []}, {4000, #{idle => false}, []}, {8999, #{}, []}, {9000, #{}, [Recycle]}]},
     {"idle: never used", #{idle => 5000, jitter => 0},
      [{0, #{calls => 0}, []}, {9000, #{calls => 0}, []}]},
     {"another worker begins anew", #{age => 5000, jitter => 0},
      [{0, #{}, []}, {4000, #{worker => worker(2)}, []}, {5000, #{worker => worker(2)}, []},
       {9000, #{worker => worker(2)}, [{recycle, 1, worker(2)}]}]},
     {"each slot for itself", #{age => 5000, jitter => 0},
      [{0, #{}, []}, {1000, #{slot => 2, worker => worker(2)}, []}, {5000, #{}, [Recycle]},
       {6000, #{slot => 2, worker => worker(2)}, [{recycle, 2, worker(2)}]}]}].

story({What, Limits, Steps}) ->
    {What, fun() -> lists:foldl(fun step/2, new(Limits), Steps) end}.

step({Now, {back, Changes}, Expected}, R) ->
    expect(Expected, py_pool_recycle:gave_back(1, seen(Changes), Now, R));
step({Now, Changes, Expected}, R) ->
    expect(Expected, py_pool_recycle:seen([seen(Changes)], Now, R)).

expect(Expected, {Effects, R}) ->
    ?assertEqual(Expected, Effects),
    R.

new(Limits) -> py_pool_recycle:new(Limits, 2, #{}).

no_limits() ->
    ?assertEqual({[], new(#{})}, py_pool_recycle:seen([seen(#{})], 0, new(#{}))).

again() ->
    {[], R0} = py_pool_recycle:seen([seen(#{})], 0, new(#{age => 1, jitter => 0})),
    {[_], R1} = py_pool_recycle:seen([seen(#{})], 10, R0),
    {[], R2} = py_pool_recycle:seen([seen(#{})], 60_009, R1),
    ?assertMatch({[_], _}, py_pool_recycle:seen([seen(#{})], 60_010, R2)).

gone() ->
    {_, R} = py_pool_recycle:seen([seen(#{rss => 200})], 0, new(#{rss => 100})),
    ?assertEqual({[], R}, py_pool_recycle:gave_back(1, gone, 10, R)),
    ?assertEqual({[], R}, py_pool_recycle:gave_back(1, seen(#{worker => worker(2)}), 10, R)).

jitter() ->
    Seen = [seen(#{slot => N, worker => spawn(fun() -> ok end)}) || N <- lists:seq(1, 50)],
    {[], R} = py_pool_recycle:seen(Seen, 0, new(#{age => 1000, jitter => 50})),
    {Soon, Half} = py_pool_recycle:seen(Seen, 750, R),
    {Late, _} = py_pool_recycle:seen(Seen, 1000, Half),
    ?assert(Soon =/= [] andalso Late =/= []),
    ?assertEqual(50, length(Soon) + length(Late)).

had(Rss) -> #{rss => Rss, growth => Rss - 50}.

counted() ->
    R = py_pool_recycle:ends(?PID, calls, new(#{calls => 5})),
    {calls, [], R1} = py_pool_recycle:ended(?PID, had(0), 0, R),
    ?assertEqual(#{calls => 1}, py_pool_recycle:counts(R1)),
    ?assertEqual({none, [], R1}, py_pool_recycle:ended(?PID, had(0), 0, R1)).

forgotten() ->
    R = py_pool_recycle:forget(?PID, py_pool_recycle:ends(?PID, rss, new(#{rss => 5}))),
    ?assertMatch({none, [], _}, py_pool_recycle:ended(?PID, had(0), 0, R)),
    ?assertEqual(#{}, py_pool_recycle:counts(R)).

%% Ends so many workers that had so much, one each time. What is said.
ended(N, Had, Every, R) ->
    lists:mapfoldl(fun(I, Acc) ->
        {rss, Said, Next} =
            py_pool_recycle:ended(?PID, had(Had), I * Every, py_pool_recycle:ends(?PID, rss, Acc)),
        {Said, Next}
    end, R, lists:seq(1, N)).

too_low() ->
    {Said, R} = ended(20, 3_000_001, 1000, new(#{rss => 3_000_000})),
    ?assertEqual([{too_low, rss, 3_000_000, 13, 5_242_880}], lists:append(Said)),
    ?assertEqual([{too_low, rss, 3_000_000, 13, 5_242_880}], lists:nth(13, Said)),
    ?assertEqual(#{rss => 20}, py_pool_recycle:counts(R)).

leaps() ->
    {Said, _} = ended(20, 4_000_000, 1000, new(#{rss => 3_000_000})),
    ?assertEqual([], lists:append(Said)).

yesterday() ->
    {Said, _} = ended(50, 3_000_001, 600_000, new(#{rss => 3_000_000})),
    ?assertEqual([], lists:append(Said)).
