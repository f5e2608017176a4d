%% SPDX-License-Identifier: Apache-2.0
%%
%% How a pool comes to rest before it ends: it refuses what is new, and what is
%% under way has some time to finish. Whoever stops a pool by its name does that
%% first (py_pool_life). For a pool that its supervisor ends there is this process,
%% which was started last, so it ends first and drains the pool while the others
%% still work.
-module(py_pool_drain).
-behaviour(gen_server).

-export([start_link/1, run/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-include("py.hrl").

%% How often a pool that is to stop is asked whether it is idle (ms), and how often in a
%% row it may have nothing but callers on their way. One that dies there never comes.
-define(POLL, 10).
-define(PATIENCE, 100).

-spec start_link(#pool{}) -> gen_server:start_ret().
start_link(Pool) ->
    gen_server:start_link(?MODULE, Pool, []).

%% New requests are refused at once; those under way have this many milliseconds,
%% or less if this process hears meanwhile that somebody is in a hurry.
-spec run(#pool{}, timeout()) -> ok.
run(Pool, Limit) ->
    py_pool_load:set_stopping(Pool),
    wait_idle(Pool, py_time:deadline(Limit), ?PATIENCE).

wait_idle(Pool, Deadline, Patience) ->
    case py_time:left(Deadline) > 0 andalso look(workers(Pool), Pool, Patience, Deadline) of
        false ->
            ok;
        Left ->
            receive
                {py_pools, hurry, Sooner} -> wait_idle(Pool, min(Sooner, Deadline), Left)
            after ?POLL ->
                wait_idle(Pool, Deadline, Left)
            end
    end.

%% False if the pool is idle; else the patience that is left.
look(Workers, Pool, Patience, Deadline) ->
    case {is_idle(Workers, Pool), py_pool_load:are_on_the_way(Pool)} of
        {false, _} -> ?PATIENCE;
        {true, true} when Patience > 0 -> Patience - 1;
        {true, _} -> not are_done(Workers, Deadline) andalso ?PATIENCE
    end.

is_idle([], Pool) -> not py_pool_load:has_waiting(Pool);
is_idle(_, Pool) -> py_pool_load:is_idle(Pool).

%% The loads are only a hint: a worker overwrites what a caller on its way there has
%% added, a stream whose consumer has not asked for more does not count, and a worker
%% that was replaced has no load. So each worker itself says that it is done, and from
%% then on takes nothing.
are_done(Workers, Deadline) ->
    lists:all(fun(Worker) -> py_worker:seal(Worker, py_time:left(Deadline)) end, Workers).

workers(Pool) ->
    case py_pool_board:workers_sup(Pool) of
        {ok, Sup} -> py_worker_sup:workers(Sup);
        {error, _} -> []
    end.

%% ---------------------------------------------------------------------------

%% No pool goes on without the application, whoever supervises it.
-spec init(#pool{}) -> {ok, #pool{}}.
init(Pool) ->
    process_flag(trap_exit, true),
    _ = monitor(process, py_sup),
    {ok, Pool}.

-spec handle_call(term(), gen_server:from(), #pool{}) -> {reply, term(), #pool{}}.
handle_call(_, _, Pool) ->
    {reply, {error, badarg}, Pool}.

-spec handle_cast(term(), #pool{}) -> {noreply, #pool{}}.
handle_cast(_, Pool) ->
    {noreply, Pool}.

-spec handle_info(term(), #pool{}) -> {noreply, #pool{}} | {stop, shutdown, #pool{}}.
handle_info({'DOWN', _, process, {py_sup, _}, _}, Pool) ->
    {stop, shutdown, Pool};
handle_info(_, Pool) ->
    {noreply, Pool}.

%% A pool that is already stopping is being drained by others, or has been.
-spec terminate(term(), #pool{}) -> ok.
terminate(_, #pool{drain = Limit} = Pool) ->
    case py_pool_load:is_stopping(Pool) of
        true -> ok;
        false -> run(Pool, Limit)
    end.
