%% SPDX-License-Identifier: Apache-2.0
%%
%% Signals that would end py_top are passed to the process that has the terminal,
%% which puts everything back first.
-module(py_top_signal).
-behaviour(gen_event).

-export([init/1, handle_event/2, handle_call/2]).

-spec init({pid(), term()}) -> {ok, pid()}.
init({Pid, _}) ->
    {ok, Pid}.

-spec handle_event(atom(), pid()) -> {ok, pid()}.
handle_event(Signal, Pid) ->
    Pid ! {signal, Signal},
    {ok, Pid}.

-spec handle_call(term(), pid()) -> {ok, ok, pid()}.
handle_call(_, Pid) ->
    {ok, ok, Pid}.
