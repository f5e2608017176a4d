%% SPDX-License-Identifier: Apache-2.0
%%
%% What the functions that were called have cost, the most expensive first.
-module(py_mem_top).

-export([top/3, rows/3]).

-include("py.hrl").

-type by() :: memory | time | calls.
-type sum() :: {Slot :: pos_integer(), py_worker_bill:what(), py_worker_bill:numbers()}.
-type row() :: #{what := py_worker_bill:what(), calls := pos_integer(), time := non_neg_integer(),
                 p50 := non_neg_integer(), p99 := non_neg_integer(), growth := integer(),
                 peak := non_neg_integer(), rss_growth := integer(), gc_pause := non_neg_integer(),
                 workers := [pos_integer()]}.
-export_type([by/0, row/0]).

%% For a pool: over all workers that it has had.
-spec top(py_target:target(), by(), Top :: pos_integer()) -> py_target:answer().
top(Target, By, Top) ->
    py_target:run(Target,
                  fun(Pool, Workers) -> [{Worker, of_slot(Worker, Pool, By, Top)} || Worker <- Workers] end,
                  fun(Pool, _) -> of_slots(all, Pool, By, Top) end).

of_slot({Slot, _, _}, Pool, By, Top) ->
    of_slots(Slot, Pool, By, Top).

of_slots(_, #pool{bills = none}, _, _) -> {error, {not_enabled, bill}};
of_slots(Slot, #pool{bills = Table}, By, Top) -> {ok, rows(py_worker_bill:sums(Table, Slot), By, Top)}.

%% The table for people to read. Pure.
-spec rows([sum()], by(), Top :: pos_integer()) -> [row()].
rows(Sums, By, Top) ->
    Together = lists:foldl(fun add/2, #{}, Sums),
    Rows = [row(What, Numbers) || {What, Numbers} <- maps:to_list(Together)],
    Ordered = lists:sort(fun(A, B) -> order(By, A) >= order(By, B) end, Rows),
    lists:sublist(Ordered, Top).

order(memory, #{growth := Growth, peak := Peak}) -> {Growth, Peak};
order(time, #{time := Time}) -> Time;
order(calls, #{calls := Calls}) -> Calls.

add({Slot, What, Numbers}, Sums) ->
    Own = Numbers#{workers => [Slot]},
    maps:update_with(What, fun(SoFar) -> maps:map(fun(Key, N) -> plus(Key, N, Own) end, SoFar) end,
                     Own, Sums).

plus(peak, N, #{peak := Other}) -> max(N, Other);
plus(times, Counts, #{times := Others}) -> lists:zipwith(fun erlang:'+'/2, Counts, Others);
plus(workers, Slots, #{workers := [Slot]}) -> [Slot | Slots];
plus(Key, N, Numbers) -> N + maps:get(Key, Numbers).

row(What, #{calls := Calls, times := Counts, workers := Slots} = Numbers) ->
    (maps:remove(times, Numbers))#{what => What, workers => lists:sort(Slots),
                                   p50 => quantile(Calls * 50, Counts, 0),
                                   p99 => quantile(Calls * 99, Counts, 0)}.

%% The most time that these calls took, the quickest ones; Left is in hundredths of a
%% call.
quantile(Left, [Count | Counts], Bucket) when Left > 100 * Count, Counts =/= [] ->
    quantile(Left - 100 * Count, Counts, Bucket + 1);
quantile(_, _, Bucket) ->
    py_worker_bill:time(Bucket).
