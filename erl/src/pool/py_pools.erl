%% SPDX-License-Identifier: Apache-2.0
%%
%% The pools of this node: started, stopped, described.
-module(py_pools).

-export([start/2, start_checked/2, stop/1, stop/2, drain_all/0, restart/1]).
-export([define/2, version/1, info/1]).

-include("py.hrl").

%% How often a pool that is to stop is asked whether it is idle (ms).
-define(POLL, 10).

-spec start(atom(), term()) -> {ok, pid()} | {error, term()}.
start(Name, Options) ->
    case py_pool_options:check(Options) of
        {ok, Checked} -> start_checked(Name, Checked);
        {error, _} = Error -> Error
    end.

%% Returns when every worker is ready. After an error nothing of the pool is left.
-spec start_checked(atom(), py_pool_options:pool()) -> {ok, pid()} | {error, term()}.
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
    case py_pool_board:with_pool(Name, fun py_pool:await/1) of
        ok ->
            {ok, Sup};
        {error, _} = Error ->
            _ = stop(Name, 0),
            Error
    end.

-spec stop(atom()) -> ok | {error, {no_pool, atom()}}.
stop(Name) ->
    py_pool_board:with_pool(Name, fun(#pool{drain = Limit} = Pool) -> stop_pool(Pool, Limit) end).

%% New requests are refused at once; those under way have this many milliseconds.
-spec stop(atom(), timeout()) -> ok | {error, {no_pool, atom()}}.
stop(Name, Limit) ->
    py_pool_board:with_pool(Name, fun(Pool) -> stop_pool(Pool, Limit) end).

stop_pool(#pool{name = Name} = Pool, Limit) ->
    drain(Pool, Limit),
    py_pool_board:delete(Name),
    remove({pool, Name}).

%% The application may be stopping, which ends the pool, too.
remove(Id) ->
    try
        _ = supervisor:terminate_child(py_sup, Id),
        _ = supervisor:delete_child(py_sup, Id),
        ok
    catch
        exit:_ -> ok
    end.

drain(Pool, Limit) ->
    py_pool_load:set_stopping(Pool),
    wait_idle(Pool, py_time:deadline(Limit)).

wait_idle(Pool, Deadline) ->
    case py_time:left(Deadline) > 0 andalso not is_idle(Pool, Deadline) of
        true -> timer:sleep(?POLL), wait_idle(Pool, Deadline);
        false -> ok
    end.

%% A stream whose consumer has not asked for more counts as no load, but is open.
is_idle(Pool, Deadline) ->
    py_pool_load:is_idle(Pool) andalso
        lists:all(fun({_, Worker, _}) ->
                      Info = py_worker:info(Worker, py_time:left(Deadline)),
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
    py_pool_board:with_pool(Name, fun py_pool:restart/1).

%% Runs statements in every worker, and in all that will start.
-spec define(py_wire:op(), #opts{}) -> ok | {error, term()}.
define(Op, #opts{pool = Name} = Opts) ->
    py_pool_board:with_open(Name, fun(Pool) ->
        py_pool:define(Pool, Op, py_request:deadline(Opts, Pool))
    end).

%% What sys.version is in the pool's Python.
-spec version(atom()) -> {ok, binary()} | {error, {no_pool, atom()} | no_worker}.
version(Name) ->
    py_pool_board:with_pool(Name, fun py_pool_board:version/1).

%% The pool's own view, completed by each worker's.
-spec info(atom()) -> map() | {error, {no_pool, atom()}}.
info(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> with_workers(py_pool:info(Pool)) end).

with_workers(#{workers := Workers} = Info) ->
    Info#{workers := [worker(Worker) || Worker <- Workers]};
with_workers({error, _} = Error) ->
    Error.

worker(#{state := live, pid := Pid} = Worker) ->
    maps:merge(Worker, py_worker:info(Pid));
worker(Worker) ->
    Worker#{calls => 0}.
