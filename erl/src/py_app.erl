%% SPDX-License-Identifier: Apache-2.0
%%
%% The application: starts the pools of its environment, the default one among them,
%% and does not start if one of them cannot.
-module(py_app).
-behaviour(application).

-export([start/2, prep_stop/1, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    ok = py_exception:start(),
    _ = py_wire:atoms(),
    Env = application:get_all_env(py),
    case {py_pool_options:environment(Env), py_pool_options:state_limits(Env)} of
        {{ok, Pools}, {ok, StateLimits}} -> start_pools(Pools, StateLimits);
        {{error, _} = Error, _} -> Error;
        {_, {error, _} = Error} -> Error
    end.

start_pools(Pools, StateLimits) ->
    {ok, Sup} = py_sup:start_link(StateLimits),
    case start_each(lists:sort(maps:to_list(Pools))) of
        ok ->
            {ok, Sup};
        {error, _} = Error ->
            stop_sup(Sup),
            _ = stop([]),
            Error
    end.

start_each([]) ->
    ok;
start_each([{Name, Options} | Rest]) ->
    case py_pools:start_checked(Name, Options) of
        {ok, _} -> start_each(Rest);
        {error, _} = Error -> Error
    end.

stop_sup(Sup) ->
    Monitor = monitor(process, Sup),
    unlink(Sup),
    exit(Sup, shutdown),
    receive
        {'DOWN', Monitor, process, Sup, _} -> ok
    end.

%% What is under way may finish, within each pool's limit.
-spec prep_stop(term()) -> term().
prep_stop(State) ->
    ok = py_pools:drain_all(),
    State.

-spec stop(term()) -> ok.
stop(_State) ->
    ok = py_handles:forget(),
    lists:foreach(fun py_pool_board:delete/1, py_pool_board:names()).
