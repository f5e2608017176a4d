#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa bench/lib
%%
%% What it costs to count, to limit or to sample Python's heap: workers with and
%% without take turns at the same work, and each round's times are compared with each other.
%% Run it with `make bench-memory`.
-mode(compile).

-define(ROUNDS, 41).
-define(GOAL, 1.05).

main(_) ->
    ok = logger:set_primary_config(level, warning),
    {ok, _} = application:ensure_all_started(py),
    [start(Pool, Options) || {Pool, Options} <- pools()],
    {ok, Version} = py:version(),
    say("processor time beside a worker without any, medians of ~b rounds; Python ~ts",
        [?ROUNDS, hd(string:split(Version, " "))]),
    say("~-20s~10s~10s~10s~10s", ["", "again", "account", "limit", "profile"]),
    Worst = rows('WORST'),
    say("", []),
    Ordinary = rows('ORDINARY'),
    say("", []),
    row("worst, mean", mean(Worst)),
    row("ordinary, mean", mean(Ordinary)),
    say("goal of ordinary work: at most ~.2f", [?GOAL]),
    ok = application:stop(py).

%% The second without any shows what the machine adds. A profile counts, too.
pools() ->
    [{off, #{}}, {again, #{}}, {account, #{memory => #{account => true}}},
     {limit, #{memory => #{heap => 4_000_000_000}}}, {profile, #{profile => true}}].

start(Pool, Options) ->
    Path = filename:join([os:getenv("top_srcdir", "."), "bench", "lib"]),
    {ok, _} = py:start_pool(Pool, Options#{size => 1, python_path => [Path]}).

rows(Kind) ->
    {ok, Names} = py:eval(["__import__('workloads').", atom_to_list(Kind)], #{}, #{pool => off}),
    [measured(Name) || Name <- Names].

measured(Name) ->
    [_ | Rounds] = [ratios(Name) || _ <- lists:seq(0, ?ROUNDS)],
    Medians = [bench_figures:median(Column) || Column <- transpose(Rounds)],
    row(Name, Medians),
    Medians.

ratios(Name) ->
    [Off | Others] = [seconds(Pool, Name) || {Pool, _} <- pools()],
    [Seconds / Off || Seconds <- Others].

seconds(Pool, Name) ->
    {ok, Seconds} = py:call(workloads, seconds, [Name], #{}, #{pool => Pool}),
    Seconds.

transpose([[] | _]) -> [];
transpose(Rows) -> [[hd(Row) || Row <- Rows] | transpose([tl(Row) || Row <- Rows])].

%% The geometric one, of each column.
mean(Rows) ->
    [math:exp(lists:sum([math:log(R) || R <- Column]) / length(Column))
     || Column <- transpose(Rows)].

row(What, Ratios) ->
    say("~-20s~10.3f~10.3f~10.3f~10.3f", [What | Ratios]).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
