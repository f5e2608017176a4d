#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa bench/lib
%%
%% What settings of glibc's malloc cost and keep: loads (test/py/loads.py) run
%% under each set of them, in turns, in a fresh worker each. A row has, beside
%% glibc's own defaults, the processor time of the loads and what the worker has
%% in memory afterwards, before anything is trimmed. glibc's defaults depend on
%% what has been freed before, so there are two tables of each: of fresh workers,
%% and of workers that have once freed a block of 31 MiB. The set that was chosen
%% by it is in port/memory/malloc.c. ROUNDS=5 make bench-malloc takes half an hour.
-mode(compile).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = logger:set_primary_config(level, error),
    {ok, _} = application:ensure_all_started(py),
    [compare(History) || History <- [<<"pass">>, <<"bytearray(31 << 20)">>]],
    ok = application:stop(py).

compare(History) ->
    Rounds = list_to_integer(os:getenv("ROUNDS", "5")),
    Loads = loads(),
    Measured = [{Name, Load, measure(Env, History, Load)}
                || _ <- lists:seq(1, Rounds), {Name, Env} <- settings(), Load <- Loads],
    io:format("~nworkers that began with: ~ts~n~n", [History]),
    table("time", fun(Row, First) -> lists:zipwith(fun(T, Own) -> T / Own end, Row, First) end,
          [{Name, Load, Seconds} || {Name, Load, {Seconds, _}} <- Measured], Loads),
    table("MB that stay", fun(Row, _) -> Row end,
          [{Name, Load, Bytes / 1_000_000} || {Name, Load, {_, Bytes}} <- Measured], Loads).

%% {Name, the environment}. What the environment names, the program leaves alone;
%% so the first one names all and sets nothing.
settings() ->
    [{"glibc's own", [{"GLIBC_TUNABLES", untouched(["mmap_threshold", "trim_threshold", "top_pad",
                                                    "arena_max"])}]},
     {"2 arenas", [{"MALLOC_ARENA_MAX", "2"},
                   {"GLIBC_TUNABLES", untouched(["mmap_threshold", "trim_threshold", "top_pad"])}]}
     | [{Name, env(Sizes)} || {Name, Sizes} <- candidates()]].

%% The value of a tunable that does not exist.
untouched(Names) ->
    lists:flatten(["none=" | [["glibc.malloc.", Name, "=,"] || Name <- Names]]).

%% {Name, {threshold for a mapping of its own, threshold to give the end back,
%% what is taken at once, arenas}}; sizes in kB.
candidates() ->
    [{"128k 128k 128k", {128, 128, 128, 2}},
     {"8M 8M 1M", {8192, 8192, 1024, 2}},
     {"32M 8M 1M", {32768, 8192, 1024, 2}},
     {"32M 16M 1M", {32768, 16384, 1024, 2}},
     {"32M 32M 1M", {32768, 32768, 1024, 2}},
     {"32M 64M 1M", {32768, 65536, 1024, 2}}].

env({Mapped, Trim, Top, Arenas}) ->
    [{"MALLOC_MMAP_THRESHOLD_", kilobytes(Mapped)}, {"MALLOC_TRIM_THRESHOLD_", kilobytes(Trim)},
     {"MALLOC_TOP_PAD_", kilobytes(Top)}, {"MALLOC_ARENA_MAX", integer_to_list(Arenas)}].

kilobytes(N) ->
    integer_to_list(1024 * N).

python_path() ->
    filename:join([os:getenv("top_srcdir", "."), "test", "py"]).

loads() ->
    in_worker([], <<"pass">>, fun(Call) -> {ok, Names} = Call(available, []), Names end).

%% Seconds and bytes: the fastest of three runs, and what is there after the last.
measure(Env, History, Load) ->
    in_worker(Env, History, fun(Call) ->
        Seconds = [Took || _ <- [1, 2, 3], {ok, Took} <- [Call(run, [Load])]],
        {ok, #{rss := Rss, baseline := Baseline}} = py:memory_stats({bench, 1}),
        {lists:min(Seconds), Rss - Baseline}
    end).

in_worker(Env, History, Fun) ->
    Options = #{size => 1, env => Env, init => [<<"import loads">>, History],
                python_path => python_path(), timeout => infinity, trim => never},
    {ok, _} = py:start_pool(bench, Options),
    Result = Fun(fun(Function, Args) -> py:call(loads, Function, Args, #{}, #{pool => bench}) end),
    ok = py:stop_pool(bench),
    Result.

%% A row for each set: medians, and their mean.
table(Title, Show, Measured, Loads) ->
    print(Title, Loads ++ ["mean"], "~10ts"),
    Median = fun(Name, Load) ->
        bench_figures:median([V || {N, L, V} <- Measured, N =:= Name, L =:= Load])
    end,
    Rows = [{Name, [Median(Name, Load) || Load <- Loads]} || {Name, _} <- settings()],
    [{_, First} | _] = Rows,
    [print(Name, with_mean(Show(Row, First)), "~10.2f") || {Name, Row} <- Rows],
    io:format("~n").

with_mean(Numbers) ->
    Numbers ++ [lists:sum(Numbers) / length(Numbers)].

print(Name, Cells, Format) ->
    io:format("~-16ts~ts~n", [Name, [io_lib:format(Format, [Cell]) || Cell <- Cells]]).
