%% SPDX-License-Identifier: Apache-2.0
%%
%% Findings as JSON, which Python writes: the application has to run.
-module(bench_json).

-export([text/2]).

%% Times are microseconds, rates a second, memory MB.
-spec text(bench_machine:facts(), [bench_run:finding()]) -> binary().
text(Machine, Findings) ->
    Report = #{machine => Machine, rows => [object(Finding) || Finding <- Findings]},
    {ok, Text} = py:call(json, dumps, [Report], #{indent => 1, sort_keys => true}),
    Text.

object(#{row := Row, setting := Setting, goal := Goal, verdict := Verdict, outcome := Outcome}) ->
    Told = maps:with([name, figure, unit, callers, calls, items, workers], Row),
    maps:merge(Told#{title => list_to_binary(maps:get(title, Row)), cpus => Setting,
                     goal => goal(Goal), verdict => Verdict},
               outcome(Outcome)).

goal(none) -> none;
goal({Of, How, Limit}) -> #{'of' => Of, how => How, limit => Limit}.

outcome({ok, Result}) -> Result;
outcome({error, Why}) -> #{error => iolist_to_binary(io_lib:format("~0p", [Why]))}.
