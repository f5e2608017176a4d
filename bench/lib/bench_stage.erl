%% SPDX-License-Identifier: Apache-2.0
%%
%% What a row needs: the application with a number of workers, all of them ready.
-module(bench_stage).

-export([enter/1, fresh/2, leave/0]).

%% The application is started anew only if the row needs another number of workers.
-spec enter(bench_rows:row()) -> ok.
enter(#{workers := Workers}) ->
    case persistent_term:get(?MODULE, 0) of
        Workers -> ok;
        _ -> leave(), start(Workers)
    end.

start(0) ->
    ok;
start(Workers) ->
    ok = set(Workers),
    {ok, _} = application:ensure_all_started(py),
    persistent_term:put(?MODULE, Workers).

-spec leave() -> ok.
leave() ->
    _ = application:stop(py),
    persistent_term:put(?MODULE, 0).

%% Starts the application for one call, whose result comes with the microseconds from the
%% start of the one to the end of the other.
-spec fresh(pos_integer(), fun(() -> Result)) -> {number(), Result}.
fresh(Workers, Call) ->
    ok = set(Workers),
    try
        timer:tc(fun() -> {ok, _} = application:ensure_all_started(py), Call() end)
    after
        application:stop(py)
    end.

set(Workers) ->
    _ = application:load(py),
    application:set_env([{py, [{size, Workers}, {state, read}, {start_timeout, 600_000},
                               {python_path, [bench_python:folder()]}]}]).
