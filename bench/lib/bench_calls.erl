%% SPDX-License-Identifier: Apache-2.0
%%
%% One side's part of a round: processes that call, each in turn, and how long each call took.
-module(bench_calls).

-export([round/2]).
-export_type([part/0]).

%% The round's figure, and what its percentiles are made of: microseconds of each call, or
%% the figure itself.
-type part() :: {number(), [number(), ...]}.

-spec round(bench_rows:row(), bench_sides:side()) -> part().
round(#{figure := number} = Row, Side) ->
    Work = work(Row, Side),
    Number = ended(start(fun() -> (Work(1))() end)),
    {Number, [Number]};
round(#{figure := cpu} = Row, Side) ->
    Pids = bench_sides:os_pids(Side),
    Before = bench_proc:cpu_us(Pids),
    {_, Times} = calls(Row, Side),
    Us = (bench_proc:cpu_us(Pids) - Before) / length(Times),
    {Us, [Us]};
round(#{figure := Figure, items := Items} = Row, Side) ->
    {Elapsed, Times} = calls(Row, Side),
    {figure(Figure, Items, Elapsed, Times), Times}.

work(#{sides := Sides}, Side) ->
    maps:get(Side, Sides).

figure(latency, _, _, Times) -> bench_figures:median(Times);
figure(p99, _, _, Times) -> bench_figures:percentile(99, Times);
figure(worst, _, _, Times) -> lists:max(Times);
figure(rate, Items, Elapsed, Times) -> Items * length(Times) * 1.0e6 / Elapsed.

%% Microseconds from the first call's start to the last one's end, and of each call. All
%% callers are ready before one of them begins.
calls(#{callers := Callers, calls := Calls} = Row, Side) ->
    Work = work(Row, Side),
    Share = max(1, Calls div Callers),
    Parent = self(),
    Started = [start(fun() -> caller(Parent, Work, N, Share) end) || N <- lists:seq(1, Callers)],
    [ready(Caller) || Caller <- Started],
    [Pid ! go || {Pid, _} <- Started],
    {Starts, Ends, Times} = lists:unzip3([ended(Caller) || Caller <- Started]),
    {us(lists:max(Ends) - lists:min(Starts)), [us(Time) || Time <- lists:append(Times)]}.

caller(Parent, Work, N, Share) ->
    Call = Work(N),
    Parent ! {ready, self()},
    receive go -> ok end,
    Start = erlang:monotonic_time(),
    Times = repeat(Call, Share, []),
    {Start, erlang:monotonic_time(), Times}.

repeat(_, 0, Times) ->
    Times;
repeat(Call, N, Times) ->
    Start = erlang:monotonic_time(),
    Call(),
    Took = erlang:monotonic_time() - Start,
    repeat(Call, N - 1, [Took | Times]).

%% What fails in a process is its result, and nothing is logged: a value may be large.
start(Fun) ->
    spawn_monitor(fun() ->
        exit(try {ended, Fun()} catch _:Reason -> {call_failed, Reason} end)
    end).

ready({Pid, Monitor}) ->
    receive
        {ready, Pid} -> ok;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

ended({Pid, Monitor}) ->
    receive
        {'DOWN', Monitor, process, Pid, {ended, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    end.

us(Native) ->
    erlang:convert_time_unit(Native, native, nanosecond) / 1000.
