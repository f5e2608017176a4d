%% SPDX-License-Identifier: Apache-2.0
%%
%% Figures: times in milliseconds, what many of them come to, and bounds that a
%% machine which others use too can be held to.
-module(figure).

-export([timed/1, median/1, percentile/2, show/2, within/3]).

%% How long a fun took, in milliseconds, and what it returned.
-spec timed(fun(() -> Result)) -> {Ms :: float(), Result}.
timed(Fun) ->
    Start = erlang:monotonic_time(microsecond),
    Result = Fun(),
    {(erlang:monotonic_time(microsecond) - Start) / 1000, Result}.

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

%% Measures until the result is not above the limit, so many times at most. Where
%% others use the machine too, it stalls now and then; a fault of ours is there
%% each time.
-spec within(number(), pos_integer(), fun(() -> number())) -> ok.
within(Limit, Tries, Measure) ->
    case Measure() of
        Number when Number =< Limit -> ok;
        Number when Tries =< 1 -> error({above, Limit, Number});
        Number ->
            tap:note("~.1f is above ~p: once more", [float(Number), Limit]),
            within(Limit, Tries - 1, Measure)
    end.
