%% SPDX-License-Identifier: Apache-2.0
%%
%% Fair measuring on a machine that has other things to do: what is compared
%% runs in turns, round by round, and the median of the rounds counts.
-module(rounds).

-export([latency/3, throughput/4]).
-export_type([subject/0]).

%% What is measured: one call.
-type subject() :: fun(() -> term()).

%% Microseconds of one call of each subject, made one after another by one
%% process: the median of so many rounds of so many calls.
-spec latency([subject()], pos_integer(), pos_integer()) -> [float()].
latency(Subjects, Rounds, Calls) ->
    in_turns(Rounds, [fun() -> one_caller(Subject, Calls) / Calls end || Subject <- Subjects]).

%% Calls a second of each subject, made by so many processes at once.
-spec throughput([fun((pos_integer()) -> subject())], pos_integer(), pos_integer(),
                 pos_integer()) -> [float()].
throughput(Makers, Callers, Rounds, Calls) ->
    in_turns(Rounds, [fun() -> Calls * 1_000_000 / many_callers(Make, Callers, Calls) end
                      || Make <- Makers]).

%% A first round is thrown away: caches, heaps and code are cold in it.
in_turns(Rounds, Measures) ->
    [_ | Measured] = [[Measure() || Measure <- Measures] || _ <- lists:seq(0, Rounds)],
    [median(Column) || Column <- transposed(Measured)].

transposed([[] | _]) -> [];
transposed(Rows) -> [[hd(Row) || Row <- Rows] | transposed([tl(Row) || Row <- Rows])].

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
