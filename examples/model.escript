#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% A model that is fitted once and stays in Python: each worker has one, by a handle, and 50
%% processes ask them. What is asked is small; the model never leaves its worker.
%% With the application on ERL_LIBS:
%%
%%     escript examples/model.escript
-mode(compile).

-define(ASKERS, 50).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = application:load(py),
    [ok = application:set_env(py, Key, Value)
     || {Key, Value} <- [{size, 2}, {python_path, [filename:dirname(escript:script_name())]}]],
    {ok, _} = application:ensure_all_started(py),
    Models = fit(),
    Asked = ask_all(Models),
    io:format("~b processes have asked, and ~b were right~n",
              [length(Asked), length([right || {X, Y} <- Asked, abs(Y - (3 * X + 2)) < 0.01])]),
    [say(Model) || Model <- Models],
    [ok = py_handle:release(Model) || Model <- Models],
    io:format("left: ~p~n", [py_handle:types()]),
    ok = application:stop(py).

%% The rows go to each worker, which keeps what it makes of them.
fit() ->
    Rows = [{X, 3 * X + 2} || X <- lists:seq(1, 1000)],
    {ok, Each} = py:call(model, fit, [Rows], #{}, #{pool => {default, all}, return => handle}),
    [Model || {_, {ok, Model}} <- Each].

%% A request goes to the worker of its model by itself.
ask_all(Models) ->
    Self = self(),
    Ask = fun(X) ->
        Model = lists:nth(1 + X rem length(Models), Models),
        {ok, Y} = py:call(Model, predict, [X]),
        Self ! {self(), {X, Y}}
    end,
    Pids = [spawn_link(fun() -> Ask(X) end) || X <- lists:seq(1, ?ASKERS)],
    [receive {Pid, Answer} -> Answer end || Pid <- Pids].

say(Model) ->
    {ok, Text} = py_handle:repr(Model),
    {ok, Asked} = py_handle:get(Model, asked),
    io:format("~ts, asked ~b times~n", [Text, Asked]).
