#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa bench/lib
%%
%% What it costs to look at the memory of many workers that have nothing to do:
%% the VM's processor time with the pool's sampler, and with it suspended, in turns.
%% Run it with `make bench-memory`; WORKERS says how many (200).
-mode(compile).

-define(ROUNDS, 5).
-define(MS, 4_000).

main(_) ->
    ok = logger:set_primary_config(level, warning),
    Workers = list_to_integer(os:getenv("WORKERS", "200")),
    {ok, _} = application:ensure_all_started(py),
    say("the sampler, ~b idle workers: processor time a second, medians of ~b rounds",
        [Workers, ?ROUNDS]),
    [measured(What, Workers, Memory) || {What, Memory} <- pools()],
    ok = application:stop(py).

%% Above half of a limit, workers are looked at ten times as often.
pools() ->
    [{"every second", #{}}, {"every 100 ms", #{rss => 25_000_000}}].

measured(What, Workers, Memory) ->
    {ok, _} = py:start_pool(many, #{size => Workers, memory => Memory, start_timeout => 600_000}),
    timer:sleep(2_000),
    {With, Without} = lists:unzip([{used(), suspended(fun used/0)} || _ <- lists:seq(1, ?ROUNDS)]),
    ok = py:stop_pool(many, 0),
    {On, Off} = {bench_figures:median(With), bench_figures:median(Without)},
    say("~-14s ~.2f ms with it, ~.2f ms without: ~.3f % of a processor, ~.1f us a worker",
        [What, On, Off, (On - Off) / 10, 1000 * (On - Off) / Workers]).

suspended(Fun) ->
    {ok, Sampler} = py_pool_board:with_pool(many, fun py_pool_board:sampler/1),
    ok = sys:suspend(Sampler),
    try Fun() after ok = sys:resume(Sampler) end.

%% Milliseconds of processor time that all threads of the VM take in a second.
used() ->
    Before = cpu_ns(),
    timer:sleep(?MS),
    (cpu_ns() - Before) / 1.0e6 / (?MS / 1000).

cpu_ns() ->
    lists:sum([thread_ns(File) || File <- filelib:wildcard("/proc/self/task/*/schedstat")]).

thread_ns(File) ->
    {ok, Text} = file:read_file(File),
    binary_to_integer(hd(binary:split(Text, <<" ">>))).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
