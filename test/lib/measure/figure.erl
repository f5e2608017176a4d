%% SPDX-License-Identifier: Apache-2.0
%%
%% Figures: times in milliseconds, what many of them come to, and bounds that
%% hold on a machine which others use too (see machine.erl for why).
-module(figure).

-export([timed/1, within/2, ours/1, median/1, percentile/2, show/2]).

%% How long a fun took by the clock, in milliseconds, and what it returned: for
%% notes, and for what must not be over too early.
-spec timed(fun(() -> Result)) -> {Ms :: float(), Result}.
timed(Fun) ->
    Start = erlang:monotonic_time(microsecond),
    Result = Fun(),
    {(erlang:monotonic_time(microsecond) - Start) / 1000, Result}.

%% The same for what must not take longer than Limit: an error if it did, and
%% the machine was not as late meanwhile.
-spec within(number(), fun(() -> Result)) -> {Ms :: float(), Result}.
within(Limit, Fun) ->
    {Ms, Excuse, Result} = measured(Fun),
    Excuse > 0 andalso tap:note("~.1f ms, ~.1f of them excused", [Ms, Excuse]),
    Ms - Excuse =< Limit orelse error({above, #{limit => Limit, took => Ms, excused => Excuse,
                                                result => Result}}),
    {Ms, Result}.

%% How much of the time that a fun took cannot be the machine's: for figures of
%% which many are measured and one, such as the median, has a bound.
-spec ours(fun(() -> Result)) -> {Ms :: float(), Result}.
ours(Fun) ->
    {Ms, Excuse, Result} = measured(Fun),
    {max(0.0, Ms - Excuse), Result}.

measured(Fun) ->
    ok = machine:start(),
    {Ms, Result} = timed(Fun),
    {Ms, machine:excuse(Ms), Result}.

-spec median([number(), ...]) -> number().
median(Numbers) ->
    percentile(50, Numbers).

%% The smallest of the numbers that so many percent of them are not above.
-spec percentile(1..100, [number(), ...]) -> number().
percentile(Percent, Numbers) ->
    Rank = (Percent * length(Numbers) + 99) div 100,
    lists:nth(max(1, Rank), lists:sort(Numbers)).

%% A note of what was measured.
-spec show(unicode:chardata(), [number(), ...]) -> ok.
show(What, Numbers) ->
    Columns = [{"median", median(Numbers)}, {"p99", percentile(99, Numbers)},
               {"max", lists:max(Numbers)}],
    tap:note("~ts: ~ts (~b times)",
             [What, lists:join(", ", [column(C) || C <- Columns]), length(Numbers)]).

column({Name, Number}) ->
    io_lib:format("~s ~.1f ms", [Name, float(Number)]).
