%% SPDX-License-Identifier: Apache-2.0
%%
%% The pools of this node: started, stopped, described.
-module(py_pools).

-export([start/2, start_checked/2, stop/1, info/1]).

-include("py.hrl").

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
        exit:{noproc, _} -> {error, {not_started, py}}
    end.

await(Name, Sup) ->
    case ready(Name) of
        ok ->
            {ok, Sup};
        {error, _} = Error ->
            _ = stop(Name),
            Error
    end.

ready(Name) ->
    case py_dispatch:find(Name) of
        {ok, Pool} -> py_pool:await(Pool);
        {error, _} = Error -> Error
    end.

%% New requests are refused at once; those under way fail.
-spec stop(atom()) -> ok | {error, {no_pool, atom()}}.
stop(Name) ->
    case py_dispatch:find(Name) of
        {ok, _} ->
            py_dispatch:delete(Name),
            _ = supervisor:terminate_child(py_sup, {pool, Name}),
            _ = supervisor:delete_child(py_sup, {pool, Name}),
            ok;
        {error, _} = Error ->
            Error
    end.

%% The pool's own view, completed by each worker's.
-spec info(atom()) -> map() | {error, {no_pool, atom()}}.
info(Name) ->
    case py_dispatch:find(Name) of
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
