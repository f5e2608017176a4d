%% SPDX-License-Identifier: Apache-2.0
%%
%% Fair measuring on a machine that has other things to do: all sides of a row run in many
%% short rounds, within a round in an order that chance decides, and each side's figure is
%% compared with the floor's of the same round, as they saw the same weather.
-module(bench_rounds).

-export([measure/3]).
-export_type([result/0, summary/0]).

%% Of a side's rounds: their figures; the median and the 99th percentile of all calls; the
%% ratios to the floor.
-type summary() :: #{figure := bench_figures:spread(), call := number(), p99 := number(),
                     ratio := bench_figures:spread() | none}.
-type result() :: #{rounds := pos_integer(), sides := #{bench_sides:side() => summary()}}.

%% However long a round takes.
-define(LEAST, 5).

%% Rounds of a row until its seconds are over. What fails in a call is the row's result.
-spec measure(bench_rows:row(), [bench_sides:side()], number()) -> {ok, result()} | {error, term()}.
measure(#{sides := Can, meanwhile := Meanwhile} = Row, Sides, Seconds) ->
    Those = [Side || Side <- Sides, is_map_key(Side, Can)],
    try
        ok = bench_stage:enter(Row),
        Stop = Meanwhile(),
        try rounds(Row, Those, Seconds) of Rounds -> {ok, result(Those, Rounds)}
        after Stop()
        end
    catch _:Reason -> {error, Reason}
    end.

%% A first round is thrown away: caches, heaps and code are cold in it.
rounds(Row, Sides, Seconds) ->
    _ = round(Row, Sides),
    Until = erlang:monotonic_time(millisecond) + round(Seconds * 1000),
    more(fun() -> round(Row, Sides) end, Until, []).

more(Round, Until, Rounds) ->
    Enough = length(Rounds) >= ?LEAST andalso erlang:monotonic_time(millisecond) >= Until,
    case Enough of
        true -> Rounds;
        false -> more(Round, Until, [Round() | Rounds])
    end.

round(Row, Sides) ->
    maps:from_list([{Side, bench_sides:round(Row, Side)} || Side <- shuffled(Sides)]).

shuffled(Sides) ->
    [Side || {_, Side} <- lists:sort([{rand:uniform(), Side} || Side <- Sides])].

result(Sides, Rounds) ->
    #{rounds => length(Rounds),
      sides => maps:from_list([{Side, summary(Side, Rounds)} || Side <- Sides])}.

summary(Side, Rounds) ->
    {Figures, Samples} = lists:unzip([maps:get(Side, Round) || Round <- Rounds]),
    Ratios = [Figure / Floor || #{Side := {Figure, _}, floor := {Floor, _}} <- Rounds],
    Calls = lists:append(Samples),
    #{figure => bench_figures:spread(Figures), call => bench_figures:median(Calls),
      p99 => bench_figures:percentile(99, Calls),
      ratio => spread(Ratios)}.

spread([]) -> none;
spread(Ratios) -> bench_figures:spread(Ratios).
