%% SPDX-License-Identifier: Apache-2.0
%%
%% A pool's start and end. They run in processes of py_pools, one at a time for
%% each name, and take orders from it on the way ({py_pools, hurry, Deadline}).
%% Whatever an earlier one has left behind, because it was killed, they put right.
-module(py_pool_life).

-export([start/2, stop/2, drain_all/0, leftovers/0]).

-include("py.hrl").

%% How often a pool that is to stop is asked whether it is idle (ms).
-define(POLL, 10).

%% ---------------------------------------------------------------------------
%% Start

%% Returns when every worker is ready. After an error nothing of the pool is
%% left, unless somebody wants it stopped, who then does that.
-spec start(atom(), py_pool_options:hidden()) -> {ok, pid()} | {error, term()}.
start(Name, Options) ->
    Spec = #{id => {pool, Name}, type => supervisor,
             start => {py_pool_sup, start_link, [Name, Options]}},
    case supervisor:start_child(py_sup, Spec) of
        {ok, Sup} -> await(Name, Sup);
        {error, already_present} -> remove(Name), start(Name, Options);
        {error, {already_started, _}} = Error -> Error;
        {error, _} = Error -> remove(Name), Error
    end.

await(Name, Sup) ->
    case py_pool_board:with_pool(Name, fun ready/1) of
        ok -> {ok, Sup};
        hurry -> {error, {no_pool, Name}};
        {error, _} = Error -> remove(Name), Error
    end.

ready(Pool) ->
    case py_pool:await(Pool) of
        {ok, Request} -> ready(Pool, Request);
        {error, _} = Error -> Error
    end.

ready(#pool{name = Name} = Pool, Request) ->
    receive
        {py_pools, hurry, _} ->
            hurry;
        Message ->
            case gen_server:check_response(Message, Request) of
                {reply, Answer} -> Answer;
                {error, _} -> {error, {no_pool, Name}};
                no_reply -> ready(Pool, Request)
            end
    end.

%% ---------------------------------------------------------------------------
%% End

%% New requests are refused at once; those under way have this many milliseconds,
%% or as many as the pool's option says.
-spec stop(atom(), timeout() | drain) -> ok | {error, {no_pool | not_started, atom()}}.
stop(Name, Limit) ->
    Stopped = py_pool_board:with_pool(Name, fun(Pool) ->
        drain(Pool, limit(Limit, Pool)),
        py_pool_board:delete(Name)
    end),
    remove(Name),
    Stopped.

limit(drain, #pool{drain = Limit}) -> Limit;
limit(Limit, _) -> Limit.

drain(Pool, Limit) ->
    py_pool_load:set_stopping(Pool),
    wait_idle(Pool, py_time:deadline(Limit)).

wait_idle(Pool, Deadline) ->
    case py_time:left(Deadline) > 0 andalso not is_idle(Pool, Deadline) of
        true ->
            receive
                {py_pools, hurry, Sooner} -> wait_idle(Pool, min(Sooner, Deadline))
            after ?POLL ->
                wait_idle(Pool, Deadline)
            end;
        false ->
            ok
    end.

%% The loads only hint at it: a worker writes its own over that of a caller on its
%% way there, a stream whose consumer has not asked for more counts as none, and
%% one that was replaced has none. So each worker says by itself that it is done,
%% and from then on takes nothing.
is_idle(Pool, Deadline) ->
    py_pool_load:is_idle(Pool) andalso
        lists:all(fun(Worker) -> py_worker:seal(Worker, py_time:left(Deadline)) end,
                  workers(Pool)).

workers(Pool) ->
    case py_pool_board:workers_sup(Pool) of
        {ok, Sup} -> py_worker_sup:workers(Sup);
        {error, _} -> []
    end.

%% The pool's supervisor waits for the ends of the workers, so that the top
%% supervisor does not have to. Should it be killed meanwhile and started anew,
%% the pool is there once more, and ends once more.
remove(Name) ->
    Id = {pool, Name},
    case lists:keyfind(Id, 1, supervisor:which_children(py_sup)) of
        {_, Sup, _, _} when is_pid(Sup) -> py_pool_sup:stop_children(Sup);
        _ -> ok
    end,
    _ = supervisor:terminate_child(py_sup, Id),
    _ = supervisor:delete_child(py_sup, Id),
    py_pool_board:delete(Name),
    py_pool_kept:forget(Name).

%% The application stops: every pool has its own limit, and ends its workers,
%% all at the same time. (The top supervisor would do it one after another.)
-spec drain_all() -> ok.
drain_all() ->
    Drains = [spawn_monitor(fun() -> drain(Pool, Limit), py_pool_sup:stop_children(Sup) end)
              || {Name, Sup} <- pools(), is_pid(Sup),
                 {ok, #pool{drain = Limit} = Pool} <- [py_pool_board:find(Name)]],
    [receive {'DOWN', Monitor, process, Pid, _} -> ok end || {Pid, Monitor} <- Drains],
    ok.

%% Pools whose end was interrupted.
-spec leftovers() -> [atom()].
leftovers() ->
    [Name || {Name, Sup} <- pools(), not is_pid(Sup) orelse is_stopping(Name)].

is_stopping(Name) ->
    py_pool_board:with_pool(Name, fun py_pool_load:is_stopping/1) =/= false.

pools() ->
    [{Name, Sup} || {{pool, Name}, Sup, _, _} <- supervisor:which_children(py_sup)].
