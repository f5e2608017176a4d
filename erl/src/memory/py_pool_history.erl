%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's memory over its whole life: every sample of the last half minute, and
%% fewer of longer ago. Pure.
%%
%% Samples are in levels, the newest first. When a level is full, its older half
%% goes to the next one, and only every second sample of it. The last level thins
%% itself. So there are never more than some hundreds, however long a worker
%% lives.
-module(py_pool_history).

-export([new/0, add/3, samples/1, slope/1]).
-export_type([history/0, sample/0]).

%% How many samples stay in a level after it was full, and how many levels there are:
%% enough for two days with a sample every second.
-define(KEPT, 30).
-define(LEVELS, 12).

-type sample() :: {At :: integer(), Bytes :: non_neg_integer()}.     % ms

-opaque history() :: [[sample()]].

-spec new() -> history().
new() ->
    [].

-spec add(At :: integer(), Bytes :: non_neg_integer(), history()) -> history().
add(At, Bytes, History) ->
    push([{At, Bytes}], History, ?LEVELS).

%% Puts newer samples in front of a level.
push(Samples, [], _) ->
    [Samples];
push(Samples, [Level | Older], Left) ->
    full(Samples ++ Level, Older, Left).

full(Level, Older, _) when length(Level) < 2 * ?KEPT ->
    [Level | Older];
full(Level, [], 1) ->
    [thinned(Level)];
full(Level, Older, Left) ->
    {Kept, Over} = lists:split(?KEPT, Level),
    [Kept | push(thinned(Over), Older, Left - 1)].

thinned([Sample, _ | Rest]) -> [Sample | thinned(Rest)];
thinned(Rest) -> Rest.

%% All of them, the oldest first.
-spec samples(history()) -> [sample()].
samples(History) ->
    lists:reverse(lists:append(History)).

%% How many bytes a second it grows: a straight line through the samples (least
%% squares), which needs two moments.
-spec slope([sample()]) -> {ok, integer()} | unknown.
slope(Samples) ->
    N = length(Samples),
    {Ats, Sizes} = lists:unzip(Samples),
    {At0, Size0} = {lists:sum(Ats) / max(1, N), lists:sum(Sizes) / max(1, N)},
    case lists:sum([(At - At0) * (At - At0) || At <- Ats]) of
        Spread when Spread > 0 ->
            Common = lists:sum([(At - At0) * (Size - Size0) || {At, Size} <- Samples]),
            {ok, round(1000 * Common / Spread)};
        _ ->
            unknown
    end.
