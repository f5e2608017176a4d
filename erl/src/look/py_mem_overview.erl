%% SPDX-License-Identifier: Apache-2.0
%%
%% Pools with all that is known about their workers: what py:info and
%% py:memory_stats say, put together.
-module(py_mem_overview).

-export([all/0, detailed/0, detailed/1]).
-export_type([pool/0, worker/0]).

%% A worker's growth is that of its last ten minutes, and takes ten seconds at least (ms).
-define(LAST, 600_000).
-define(LEAST, 10_000).

%% As py:info/1 has it, without the options, but with the limits of memory.
-type pool() :: #{name := atom(), size := pos_integer(), workers := [worker()],
                  queue := #{waiting := non_neg_integer(), max := non_neg_integer()},
                  memory := map(), recycled := map(),
                  quarantined := [{py_wire:what(), Why :: term()}]}.
%% A worker of py:info/1, with its statistics if it has a program.
-type worker() :: #{id := pos_integer(), state := atom(), calls := non_neg_integer(), _ => _}.

%% All pools, by name. No program is asked that has nothing to do.
-spec all() -> [pool()].
all() ->
    lists:flatmap(fun(Name) -> with_stats(Name, false, #{}) end, py_pools:names()).

%% The same with details, and with how the workers grow.
-spec detailed() -> [pool()].
detailed() ->
    lists:flatmap(fun of_pool/1, py_pools:names()).

%% Only the pool or the worker that is meant.
-spec detailed(py_target:target()) -> {ok, [pool()]} | {error, term()}.
detailed(Target) ->
    py_target:check(Target),
    Name = py_target:pool(Target),
    case of_pool(Name) of
        [Pool] -> only(Target, Pool);
        [] -> {error, {no_pool, Name}}
    end.

of_pool(Name) ->
    with_stats(Name, true, slopes(py_mem_history:history(Name, ?LAST))).

only({_, Id} = Worker, #{workers := Workers} = Pool) when is_integer(Id) ->
    case [W || #{id := N} = W <- Workers, N =:= Id] of
        [_] = One -> {ok, [Pool#{workers := One}]};
        [] -> {error, {no_worker, Worker}}
    end;
only(_, Pool) ->
    {ok, [Pool]}.

%% A pool that is gone is not there. A worker that is starting has no statistics yet.
with_stats(Name, Detail, Slopes) ->
    case {py_pools:info(Name), py_mem_stats:stats(Name, Detail)} of
        {#{workers := Workers, options := #{memory := Memory}} = Info, {ok, #{workers := Stats}}} ->
            ByPid = maps:from_list([{OsPid, S} || #{os_pid := OsPid} = S <- Stats]),
            [(maps:with([name, size, queue, recycled, quarantined], Info))#{
                 memory => Memory,
                 workers => [worker(Worker, ByPid, Slopes) || Worker <- Workers]}];
        _ ->
            []
    end.

worker(Worker, Stats, Slopes) ->
    OsPid = maps:get(os_pid, Worker, undefined),
    maps:merge(maps:merge(maps:get(OsPid, Stats, #{}), maps:get(OsPid, Slopes, #{})), Worker).

slopes({ok, #{workers := Workers}}) ->
    maps:from_list([{OsPid, maps:with([slope, reaches_limit_in], History)}
                    || #{os_pid := OsPid, samples := [{Ago, _} | _]} = History <- Workers,
                       Ago >= ?LEAST]);
slopes({error, _}) ->
    #{}.
