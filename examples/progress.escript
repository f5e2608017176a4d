#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% Progress by callbacks: a call gets a fun, and Python calls it while it works. What the
%% fun returns goes back to Python. With the application on ERL_LIBS:
%%
%%     escript examples/progress.escript
%%
%% The Python side is examples/progress.py.
-mode(compile).

main(_) ->
    ok = application:load(py),
    ok = application:set_env(py, python_path, filename:dirname(filename:absname(escript:script_name()))),
    {ok, _} = application:ensure_all_started(py),
    shown(),
    stopped(),
    several(),
    ok = application:stop(py).

%% The fun runs in a process of its own, while this one waits for the result.
shown() ->
    {ok, Found} = py:call(progress, primes, [20_000, fun show/2]),
    say("~b primes below 20000", [Found]).

show(Done, All) ->
    Tenths = 10 * Done div All,
    say("[~s~s]", [lists:duplicate(Tenths, $#), lists:duplicate(10 - Tenths, $.)]).

%% Python asks each time whether to go on.
stopped() ->
    Enough = fun(Done, All) when 2 * Done < All -> go_on; (_, _) -> stop end,
    {ok, Found} = py:call(progress, primes, [20_000, Enough]),
    say("stopped half way, with ~b primes", [Found]).

%% A fun that only sends a message holds Python up least. Here several calls report to
%% the process that waits for them.
several() ->
    Self = self(),
    Calls = [begin
                 Tell = fun(Done, _) -> Self ! {progress, Below, Done}, ok end,
                 {Below, py:spawn_call(progress, primes, [Below, Tell])}
             end || Below <- [10_000, 20_000, 30_000]],
    Results = [{Below, py:await(Call)} || {Below, Call} <- Calls],
    [say("~b: ~b primes, told ~b times", [Below, Found, told(Below)]) || {Below, {ok, Found}} <- Results].

told(Below) ->
    receive {progress, Below, _} -> 1 + told(Below) after 0 -> 0 end.

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
