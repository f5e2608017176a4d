%% SPDX-License-Identifier: Apache-2.0
%%
%% Fair measuring on a machine that has other things to do: a subject and its
%% floor run in turns, in many short rounds, and each round's two numbers are
%% compared with each other, as they saw the same weather. Medians count.
-module(rounds).

-export([latency/4, throughput/5]).
-export_type([subject/0, comparison/0]).

%% What is measured: one call.
-type subject() :: fun(() -> term()).

%% The medians of the floor, of the subject, and of how many times the floor's
%% cost the subject costs.
-type comparison() :: {Floor :: float(), Subject :: float(), Ratio :: float()}.

%% Microseconds of a call, made one after another by one process: so many
%% rounds of so many calls.
-spec latency(subject(), subject(), pos_integer(), pos_integer()) -> comparison().
latency(Floor, Subject, Rounds, Calls) ->
    Measure = fun(Which) -> fun() -> one_caller(Which, Calls) / Calls end end,
    {Floors, Subjects} = in_turns(Rounds, Measure(Floor), Measure(Subject)),
    Ratios = lists:zipwith(fun(F, S) -> S / F end, Floors, Subjects),
    {median(Floors), median(Subjects), median(Ratios)}.

%% Calls a second, made by so many processes at once; each makes its subject of
%% its number first.
-spec throughput(fun((pos_integer()) -> subject()), fun((pos_integer()) -> subject()),
                 pos_integer(), pos_integer(), pos_integer()) -> comparison().
throughput(Floor, Subject, Callers, Rounds, Calls) ->
    Measure = fun(Make) -> fun() -> Calls * 1_000_000 / many_callers(Make, Callers, Calls) end end,
    {Floors, Subjects} = in_turns(Rounds, Measure(Floor), Measure(Subject)),
    Ratios = lists:zipwith(fun(F, S) -> F / S end, Floors, Subjects),
    {median(Floors), median(Subjects), median(Ratios)}.

%% A first round is thrown away: caches, heaps and code are cold in it.
in_turns(Rounds, Floor, Subject) ->
    [_ | Measured] = [{Floor(), Subject()} || _ <- lists:seq(0, Rounds)],
    lists:unzip(Measured).

median(Numbers) ->
    lists:nth((length(Numbers) + 1) div 2, lists:sort(Numbers)).

one_caller(Subject, Calls) ->
    in_fresh_process(fun() ->
        {Us, ok} = timer:tc(fun() -> repeat(Subject, Calls) end),
        Us
    end).

repeat(_, 0) -> ok;
repeat(Subject, N) -> Subject(), repeat(Subject, N - 1).

many_callers(Make, Callers, Calls) ->
    Share = Calls div Callers,
    {Us, _} = timer:tc(fun() ->
        Pids = [spawn_monitor(fun() -> repeat(Make(N), Share) end) || N <- lists:seq(1, Callers)],
        [receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end
         || {Pid, Monitor} <- Pids]
    end),
    Us.

in_fresh_process(Fun) ->
    {Pid, Monitor} = spawn_monitor(fun() -> exit({measured, Fun()}) end),
    receive {'DOWN', Monitor, process, Pid, {measured, Result}} -> Result end.
