#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% An agent: the loop and the model are Python's, the tools are functions of Erlang's,
%% and so is what is told of its progress. With the application on ERL_LIBS:
%%
%%     escript examples/agent.escript
%%
%% The Python side is examples/agent.py.
-mode(compile).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = application:load(py),
    ok = application:set_env(py, python_path, filename:dirname(filename:absname(escript:script_name()))),
    {ok, _} = application:ensure_all_started(py),
    tools(),
    ask(<<"What is the weather in Oslo?">>),
    ask(<<"And in Atlantis?">>),
    impatient(),
    ok = application:stop(py).

%% What Python may call, and nothing else. Each call is a process of its own, in which
%% a tool may do what any process may: ask a gen_server, a database, another pool.
tools() ->
    ok = py:register_function(weather, fun weather/1),
    ok = py:register_function(fahrenheit, fun(Celsius) -> Celsius * 9 / 5 + 32 end),
    ok = py:register_function(slow, fun() -> timer:sleep(60_000) end, #{timeout => 100}),
    ok = py:register_function(progress, fun(Step, Tool) -> say("  step ~b: ~ts", [Step, Tool]) end).

weather(<<"Oslo">>) -> #{sky => <<"clear">>, degrees => -5};
weather(City) -> error({no_such_city, City}).

ask(Question) ->
    say("~ts", [Question]),
    {ok, Answer} = py:call(agent, answer, [Question], #{}, #{timeout => 5_000}),
    say("  ~ts", [Answer]).

%% A tool that takes too long costs the call, and no more.
impatient() ->
    {ok, #{<<"error">> := Error}} = py:call(agent, use, [<<"slow">>, []]),
    say("A slow tool: ~ts", [Error]).

say(Format, Args) ->
    io:format(Format ++ "~n", Args).
