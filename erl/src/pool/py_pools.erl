%% SPDX-License-Identifier: Apache-2.0
%%
%% The pools of this node: started, stopped, described.
-module(py_pools).

-export([start/2, start_checked/2, stop/1, stop/2, drain_all/0, restart/1, info/1]).

-include("py.hrl").

%% How often a pool that is to stop is asked whether it is idle (ms).
-define(POLL, 10).

-spec start(atom(), term()) -> {ok, pid()} | {error, term()}.
start(Name, Options) ->
    case py_options:pool(Options) of
        {ok, Checked} -> start_checked(Name, Checked);
        {error, _} = Error -> Error
    end.

%% Returns when every worker is ready; else nothing of the pool is left.
-spec start_checked(atom(), py_options:pool()) -> {ok, pid()} | {error, term()}.
start_checked(Name, Options) ->
    Spec = #{id => {pool, Name}, type => supervisor,
             start => {py_pool_sup, start_link, [Name, Options]}},
    try supervisor:start_child(py_sup, Spec) of
        {ok, Sup} -> await(Name, Sup);
        {error, _} = Error -> Error
    catch
        exit:_ -> {error, {not_started, py}}
    end.

await(Name, Sup) ->
    case ready(Name) of
        ok ->
            {ok, Sup};
        {error, _} = Error ->
            _ = stop(Name, 0),
            Error
    end.

ready(Name) ->
    case py_pool_board:find(Name) of
        {ok, Pool} -> py_pool:await(Pool);
        {error, _} = Error -> Error
    end.

-spec stop(atom()) -> ok | {error, {no_pool, atom()}}.
stop(Name) ->
    case py_pool_board:find(Name) of
        {ok, #pool{drain = Limit}} -> stop(Name, Limit);
        {error, _} = Error -> Error
    end.

%% New requests are refused at once; those under way have so many milliseconds.
-spec stop(atom(), timeout()) -> ok | {error, {no_pool, atom()}}.
stop(Name, Limit) ->
    case py_pool_board:find(Name) of
        {ok, Pool} ->
            drain(Pool, Limit),
            py_pool_board:delete(Name),
            remove({pool, Name});
        {error, _} = Error ->
            Error
    end.

%% The application may be stopping, which ends the pool as well.
remove(Id) ->
    try
        _ = supervisor:terminate_child(py_sup, Id),
        _ = supervisor:delete_child(py_sup, Id),
        ok
    catch
        exit:_ -> ok
    end.

drain(Pool, Limit) ->
    py_pool_board:set_stopping(Pool),
    wait_idle(Pool, py_request:deadline(#opts{timeout = Limit}, Pool)).

wait_idle(Pool, Deadline) ->
    case left(Deadline) > 0 andalso not is_idle(Pool, Deadline) of
        true -> timer:sleep(?POLL), wait_idle(Pool, Deadline);
        false -> ok
    end.

left(infinity) -> infinity;
left(Deadline) -> max(0, Deadline - erlang:monotonic_time(millisecond)).

%% A stream whose consumer has not asked for more is no load, but open.
is_idle(Pool, Deadline) ->
    py_pool_board:is_idle(Pool) andalso
        lists:all(fun({_, Worker, _}) ->
                      Info = py_worker:info(Worker, left(Deadline)),
                      maps:get(streams, Info, 0) =:= 0
                  end, py_pool_board:workers(Pool)).

%% The application stops: every pool has its own limit, and ends its workers,
%% all at the same time. (The top supervisor would do it one after another.)
-spec drain_all() -> ok.
drain_all() ->
    Pools = [{Pool, Sup} || {{pool, Name}, Sup, _, _} <- supervisor:which_children(py_sup),
                            {ok, Pool} <- [py_pool_board:find(Name)]],
    Drains = [spawn_monitor(fun() -> drain(Pool, Limit), py_pool_sup:stop_children(Sup) end)
              || {#pool{drain = Limit} = Pool, Sup} <- Pools],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Drains],
    ok.

%% Replaces every worker, each by one that is ready before the old one ends.
-spec restart(atom()) -> ok | {error, term()}.
restart(Name) ->
    case py_pool_board:find(Name) of
        {ok, Pool} -> py_pool:restart(Pool);
        {error, _} = Error -> Error
    end.

%% The pool's own view, completed by each worker's.
-spec info(atom()) -> map() | {error, {no_pool, atom()}}.
info(Name) ->
    case py_pool_board:find(Name) of
        {ok, Pool} -> with_workers(py_pool:info(Pool));
        {error, _} = Error -> Error
    end.

with_workers(#{workers := Workers} = Info) ->
    Info#{workers := [worker(Worker) || Worker <- Workers]};
with_workers({error, _} = Error) ->
    Error.

worker(#{state := live, pid := Pid} = Worker) ->
    maps:merge(Worker, py_worker:info(Pid));
worker(Worker) ->
    Worker#{calls => 0}.
