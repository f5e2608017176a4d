#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_bill and py_mem_top: what calls have cost, summed up in a table, and as
%% rows that people read.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"a time is at most an eighth away from its bucket's", fun near/0},
        {"buckets are in the order of times", fun ordered/0},
        {"bills are added up", fun added/0},
        {"a bill that stands for others", fun stands_for_others/0},
        {"the largest peak stays", fun peak/0},
        {"each worker has rows of its own", fun slots/0},
        {"names that are atoms or texts are one function", fun names/0},
        {"as many functions as there is room for, and others together", fun bounded/0},
        {"a table that is gone", fun gone/0},
        [{"ordered by " ++ atom_to_list(By), fun() -> order(By, Expected) end}
         || {By, Expected} <- orders()],
        {"workers' rows are one", fun merged/0},
        [{["p50 and p99 of ", What], fun() -> quantiles(Times, P50, P99) end}
         || {What, Times, P50, P99} <- times()]
    ]).

near() ->
    [?assert(8 * abs(py_worker_bill:time(py_worker_bill:bucket(Time)) - Time) =< Time)
     || Time <- lists:seq(0, 5000) ++ [1 bsl N + D || N <- lists:seq(13, 31), D <- [-1, 0, 1, 1 bsl (N - 2)]]].

ordered() ->
    Buckets = [py_worker_bill:bucket(Time) || Time <- lists:seq(0, 300_000)],
    ?assertEqual(lists:sort(Buckets), Buckets),
    ?assertEqual(lists:seq(0, lists:last(Buckets)), lists:usort(Buckets)),
    ?assertEqual(123, py_worker_bill:bucket(1 bsl 60)).

table(Bills) ->
    Table = ets:new(bills, [public]),
    [ok = py_worker_bill:add(Table, Slot, What, bill(Bill)) || {Slot, What, Bill} <- Bills],
    Table.

bill(Bill) ->
    maps:merge(#{time => 0, gc_runs => 0, gc_pause => 0}, Bill).

sum(Slot, Table) ->
    [{Slot, _, Numbers}] = py_worker_bill:sums(Table, Slot),
    maps:remove(times, Numbers).

added() ->
    F = {m, f, 1},
    Table = table([{1, F, #{time => 10, heap_delta => 100, rss_delta => 4096, gc_pause => 3}},
                   {1, F, #{time => 7, heap_delta => -40, gc_pause => 1}}]),
    ?assertEqual(#{calls => 2, time => 17, growth => 60, rss_growth => 4096, peak => 0, gc_pause => 4},
                 sum(1, Table)),
    [{1, {<<"m">>, <<"f">>}, #{times := Times}}] = py_worker_bill:sums(Table, all),
    ?assertEqual([{7, 1}, {9, 1}], [{I, N} || {I, N} <- lists:enumerate(0, Times), N > 0]).

stands_for_others() ->
    Table = table([{1, eval, #{heap_delta => 100, heap_peak => 7, one_in => 3}}, {1, eval, #{}}]),
    ?assertMatch(#{growth := 300, peak := 7, calls := 2}, sum(1, Table)).

peak() ->
    Table = table([{1, eval, #{heap_peak => Peak}} || Peak <- [5, 9, 2]]),
    ?assertMatch(#{peak := 9, calls := 3}, sum(1, Table)).

slots() ->
    Table = table([{1, eval, #{time => 1}}, {2, eval, #{time => 2}}, {2, exec, #{}}]),
    ?assertMatch(#{time := 1}, sum(1, Table)),
    ?assertEqual([{2, eval}, {2, exec}],
                 lists:sort([{S, W} || {S, W, _} <- py_worker_bill:sums(Table, 2)])),
    ?assertEqual(3, length(py_worker_bill:sums(Table, all))).

names() ->
    Table = table([{1, {m, <<"f">>, 0}, #{}}, {1, {<<"m">>, f, 2}, #{}}]),
    ?assertMatch(#{calls := 2}, sum(1, Table)).

bounded() ->
    Table = table([{1, {m, integer_to_binary(N), 0}, #{}} || N <- lists:seq(1, 1000)]),
    [ok = py_worker_bill:add(Table, 1, {m, <<"1">>, 0}, bill(#{})) || _ <- lists:seq(1, 5)],
    Found = maps:from_list([{What, N} || {1, What, #{calls := N}} <- py_worker_bill:sums(Table, 1)]),
    ?assertEqual(200, map_size(Found)),
    ?assertMatch(#{{<<"m">>, <<"1">>} := 6, other := 801}, Found).

gone() ->
    Table = table([]),
    true = ets:delete(Table),
    ?assertEqual(ok, py_worker_bill:add(Table, 1, eval, bill(#{}))),
    ?assertEqual([], py_worker_bill:sums(Table, all)).

%% ---------------------------------------------------------------------------

orders() ->
    [{memory, [{<<"m">>, <<"keeps">>}, exec, {<<"m">>, <<"frees">>}]},
     {time, [exec, {<<"m">>, <<"frees">>}, {<<"m">>, <<"keeps">>}]},
     {calls, [{<<"m">>, <<"frees">>}, {<<"m">>, <<"keeps">>}, exec]}].

order(By, Expected) ->
    Table = table([{1, {m, keeps, 0}, #{heap_delta => 100, time => 1}},
                   {2, {m, keeps, 0}, #{heap_delta => 100, time => 1}},
                   {1, exec, #{heap_delta => 0, heap_peak => 1000, time => 50}}]
                  ++ [{1, {m, frees, 0}, #{heap_delta => -1, time => 5}} || _ <- [1, 2, 3]]),
    Sums = py_worker_bill:sums(Table, all),
    ?assertEqual(Expected, [What || #{what := What} <- py_mem_top:rows(Sums, By, 10)]),
    ?assertMatch([#{what := First}] when First =:= hd(Expected), py_mem_top:rows(Sums, By, 1)).

merged() ->
    Table = table([{2, eval, #{time => 4, heap_delta => 8, heap_peak => 8}},
                   {1, eval, #{time => 2, heap_delta => 9, heap_peak => 9}}]),
    ?assertEqual([#{what => eval, calls => 2, time => 6, p50 => 2, p99 => 4, growth => 17, peak => 9,
                    rss_growth => 0, gc_pause => 0, workers => [1, 2]}],
                 py_mem_top:rows(py_worker_bill:sums(Table, all), memory, 10)).

times() ->
    [{"one call", [5], 5, 5},
     {"two calls", [1, 4], 1, 4},
     {"a hundred calls", [1 || _ <- lists:seq(1, 99)] ++ [7], 1, 1},
     {"a hundred and one", [1 || _ <- lists:seq(1, 99)] ++ [7, 7], 1, 7},
     {"a long call", [10_000_000], 9_437_184, 9_437_184}].

quantiles(Times, P50, P99) ->
    Table = table([{1, eval, #{time => Time}} || Time <- Times]),
    [#{p50 := A, p99 := B}] = py_mem_top:rows(py_worker_bill:sums(Table, all), time, 10),
    ?assertEqual({P50, P99}, {A, B}).
