#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_memory: what stays known of a worker's memory, and counters that
%% never go back. Also py_pool_board:update_memory/3, where many write.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(WRITERS, 8).
-define(TIMES, 1000).

main(_) ->
    tap:run([
        {"the first numbers", fun first/0},
        {"later ones, with their age", fun later/0},
        {"what was said before but heard later is dropped", fun older/0},
        {"what another worker has said is dropped", fun another/0},
        {"where the kernel says nothing there is no baseline", fun no_baseline/0},
        {"counters go on where the predecessor's ended", fun successors/0},
        {"nothing is known", fun nothing/0},
        {"many write at once, and nothing is lost", fun many/0}
    ]).

numbers(N) ->
    (counted(N))#{gc_count => {N, 0, 0}, gc_threshold => {700, 10, 10}}.

counted(N) ->
    counted(N, N).

counted(N, Longest) ->
    #{gc_stats => generations(N),
      gc_pauses => [#{count => N, total => 100 * N, longest => Longest} || _ <- [1, 2, 3]]}.

generations(N) ->
    [#{<<"collected">> => 10 * N, <<"collections">> => N, <<"uncollectable">> => 0}
     || _ <- [1, 2, 3]].

new() -> py_worker_memory:new(self(), 1000, numbers(1), 5_000, none).

first() ->
    ?assertEqual((numbers(1))#{uptime => 7, age => 7, baseline => 1000},
                 py_worker_memory:of_worker(self(), 5_007, new())).

later() ->
    Memory = py_worker_memory:learn(self(), numbers(2), 6_000, new()),
    ?assertEqual((numbers(2))#{uptime => 1_500, age => 500, baseline => 1000},
                 py_worker_memory:of_worker(self(), 6_500, Memory)).

older() ->
    Memory = py_worker_memory:learn(self(), numbers(3), 6_000, new()),
    ?assertEqual(Memory, py_worker_memory:learn(self(), numbers(2), 7_000, Memory)).

another() ->
    Pid = spawn(fun() -> ok end),
    ?assertEqual(new(), py_worker_memory:learn(Pid, numbers(9), 6_000, new())),
    ?assertEqual(#{}, py_worker_memory:of_worker(Pid, 6_000, new())).

no_baseline() ->
    Memory = py_worker_memory:new(self(), undefined, numbers(1), 5_000, none),
    ?assertNot(is_map_key(baseline, py_worker_memory:of_worker(self(), 5_000, Memory))).

successors() ->
    First = py_worker_memory:learn(self(), numbers(5), 6_000, new()),
    Second = py_worker_memory:new(self(), 1000, numbers(1), 7_000, First),
    Third = py_worker_memory:new(self(), 1000, numbers(2), 8_000, Second),
    ?assertEqual([counted(N, 5) || N <- [5, 6, 8]],
                 [py_worker_memory:counted([Memory]) || Memory <- [First, Second, Third]]),
    ?assertEqual(counted(14, 5), py_worker_memory:counted([Third, Second])).

nothing() ->
    ?assertEqual(none, py_worker_memory:learn(self(), numbers(1), 1, none)),
    ?assertEqual(#{}, py_worker_memory:of_worker(self(), 1, none)),
    ?assertEqual(counted(0), py_worker_memory:counted([])).

many() ->
    Pool = py_pool_board:new(many, maps:merge(py_option:defaults(py_pool_options:table()),
                                              #{size => 2})),
    Add = fun(none) -> [1]; ([N]) -> [N + 1] end,
    Write = fun() -> [py_pool_board:update_memory(Pool, 1, Add) || _ <- lists:seq(1, ?TIMES)] end,
    Writers = [spawn_monitor(Write) || _ <- lists:seq(1, ?WRITERS)],
    [receive {'DOWN', Monitor, process, Pid, normal} -> ok end || {Pid, Monitor} <- Writers],
    ?assertEqual([?WRITERS * ?TIMES], py_pool_board:memory(Pool, 1)),
    ?assertEqual(none, py_pool_board:memory(Pool, 2)),
    ok = py_pool_board:delete(many).
