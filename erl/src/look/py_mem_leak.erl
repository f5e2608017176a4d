%% SPDX-License-Identifier: Apache-2.0
%%
%% Whether a function leaks: it is called again and again in a worker of its own,
%% started like those of a pool, where nobody else allocates anything.
-module(py_mem_leak).

-export([test/2]).
-export_type([options/0, result/0, site/0]).

-include("py.hrl").

-type options() :: #{pool := atom(), runs := pos_integer(), warmup := non_neg_integer()}.
-type site() :: #{file := binary(), line := pos_integer(), function := binary(),
                  bytes_per_call := pos_integer(), frames := [map()]}.
-type result() :: ok | {leak, #{kind := py_mem_fit:kind(), bytes_per_call := pos_integer(),
                                sites := [site()]}}
                | {error, term()}.

%% The pool that is there meanwhile.
-define(POOL, py_leak_test).
%% Its worker must not be replaced by one in which nothing has been measured.
-define(OPTS, #opts{pool = ?POOL, recycle = false}).
-define(WORKER, {?POOL, 1}).
%% How many measurements are taken during the runs.
-define(ROUNDS, 8).
-define(TUNABLES, "GLIBC_TUNABLES").
%% How often what has grown is measured, until it is clear what it is.
-define(TIMES, 4).
%% What each site has to have of what has grown most: one in ?SHARE.
-define(SHARE, 10).
-define(SITES, 5).
%% The most frames in the way to a site, and among how many tracebacks it is sought.
-define(FRAMES, 16).
-define(WAYS, 1000).

-spec test(py_wire:op(), options()) -> result().
test(Op, #{pool := Pool} = Options) ->
    {Keeper, Ref} = py_ask:spawn(fun(From, Watch) -> keep(Pool, From, Watch) end),
    case py_ask:await_until(Ref, infinity) of
        {answer, {ok, _}} -> finally(Keeper, fun() -> run(Op, Options) end);
        {answer, {error, _} = Error} -> Error;
        {down, Reason} -> {error, {worker_exit, Reason}}
    end.

%% The pool ends with the test, whatever becomes of the caller: another process has
%% started it.
keep(Pool, From, Watch) ->
    Started = py_pools:start_like(?POOL, Pool, fun alone/1),
    py_ask:answer(From, Started),
    case Started of
        {ok, _} -> receive {'DOWN', Watch, process, _, _} -> stop() end;
        {error, _} -> ok
    end.

%% A worker that is left alone, and counts exactly: sampled blocks would be larger.
alone(#{memory := Limits, env := Env} = Options) ->
    Options#{size := 1, bill := false, profile := false, recycle := #{}, trim := never,
             quarantine := infinity,
             memory := (maps:remove(budget, Limits))#{account => true},
             env := py_secret:hide(tuned(py_secret:show(Env)))}.

%% What glibc's malloc keeps for the next block of the same size would look as if it
%% were in use.
tuned(Env) ->
    Tunables = case proplists:get_value(?TUNABLES, Env, os:getenv(?TUNABLES)) of
                   false -> "";
                   Others -> Others ++ ":"
               end,
    lists:keystore(?TUNABLES, 1, Env, {?TUNABLES, Tunables ++ "glibc.malloc.tcache_count=0"}).

stop() ->
    _ = py_pools:stop(?POOL, 0),
    ok.

finally(Keeper, Fun) ->
    try
        Fun()
    catch
        throw:{error, _} = Error -> Error
    after
        stop(),
        exit(Keeper, kill)
    end.

run(Op, Options) ->
    Worker = workers(),
    Result = found(Op, Options),
    workers() =:= Worker orelse throw({error, {worker_exit, restarted}}),
    Result.

found(Op, #{runs := Runs, warmup := Warmup}) ->
    Calls = fun(N) -> calls(N, Op, ?OPTS) end,
    Calls(Warmup),
    case measured(Calls, Runs div ?ROUNDS, ?TIMES, ok) of
        {leak, Kind, Bytes, SoFar} ->
            {leak, #{kind => Kind, bytes_per_call => Bytes, sites => sites(Calls, Warmup + SoFar, Runs)}};
        ok ->
            ok
    end.

calls(0, _, _) ->
    ok;
calls(N, Op, Opts) ->
    case py_request:run(Op, Opts) of
        {ok, _} -> calls(N - 1, Op, Opts);
        {error, _} = Error -> throw(Error)
    end.

%% A leak is what looks like one a second time, too. Each time takes twice as long.
measured(Calls, Each, Times, Before) ->
    First = sample(),
    Others = [begin Calls(Each), sample() end || _ <- lists:seq(1, ?ROUNDS)],
    case {py_mem_fit:leak([First | Others], ?ROUNDS * Each), Before} of
        {{leak, Kind, Bytes}, {leak, Kind, Once}} when 2 * Bytes >= Once ->
            {leak, Kind, Bytes, 2 * ?ROUNDS * Each};
        {Found, _} when Found =/= ok, Times > 1 ->
            measured(Calls, 2 * Each, Times - 1, Found);
        _ ->
            ok
    end.

%% ---------------------------------------------------------------------------
%% What there is

%% What can be freed is freed first. Not every C library can give memory back.
sample() ->
    settle(),
    [{_, _, OsPid}] = workers(),
    py_mem_fit:sample(maps:merge(told(ask(memory_detail)), py_os_proc:shares(OsPid))).

settle() ->
    calls(1, {call, 'erlang._caches', clear, [], #{}}, ?OPTS),
    _ = py_mem_tend:gc(?WORKER, #{generation => 2, trim => true}),
    ok.

workers() ->
    case py_pool_board:find(?POOL) of
        {ok, Pool} -> py_pool_board:workers(Pool);
        {error, _} = Error -> throw(Error)
    end.

ask(Op) ->
    [{_, Result}] = py_fanout:ask(workers(), urgent, Op, infinity),
    Result.

told({ok, Told}) -> Told;
told({error, _} = Error) -> throw(Error).

%% ---------------------------------------------------------------------------
%% Where it comes from

%% The lines that have allocated what is there after Runs more calls, those with most
%% first, and the way to each. What C has allocated for itself has no line. Tracing
%% knows of a growing list only once the list has been made larger, which happens after
%% at most an eighth more calls.
sites(Calls, SoFar, Runs) ->
    _ = py_mem_tend:once(?WORKER, {tracemalloc_start, ?FRAMES}),
    Calls(SoFar div 4),
    Before = snapshot(),
    Calls(Runs),
    After = snapshot(),
    Grown = fun(By, Top) -> grown(Before, After, #{by => By, top => Top}, Runs) end,
    Ways = [Frames || #{frames := Frames} <- Grown(traceback, ?WAYS)],
    Sites = [Row || #{line := Line} = Row <- Grown(line, ?SITES), Line > 0],
    [site(Row, Ways, Runs) || #{bytes_diff := Bytes} = Row <- Sites,
                              Bytes * ?SHARE >= maps:get(bytes_diff, hd(Sites))].

grown(Before, After, Options, Runs) ->
    {ok, Rows} = py_mem_sites:diff(Before, After, py_args:traced(Options)),
    [Row || #{bytes_diff := Bytes} = Row <- Rows, Bytes >= Runs].

snapshot() ->
    settle(),
    told(py_mem_traced:snapshot(?WORKER)).

site(#{bytes_diff := Bytes} = Row, Ways, Runs) ->
    Line = maps:with([file, line, function], Row),
    Frames = hd([Way || Way <- Ways, lists:last(Way) =:= Line] ++ [[Line]]),
    Line#{bytes_per_call => round(Bytes / Runs), frames => Frames}.
