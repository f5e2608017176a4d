#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% Sessions, as a notebook or a chat has them: each user has a process, which has a context.
%% What one user defines disturbs no other, and is gone with the process, however that ends.
%% With the application on ERL_LIBS:
%%
%%     escript examples/sessions.escript
-mode(compile).

main(_) ->
    io:setopts([{encoding, unicode}]),
    ok = application:load(py),
    ok = application:set_env(py, size, 2),
    {ok, _} = application:ensure_all_started(py),
    Template = template(),
    [Ada, Bob] = [start(Name, Template) || Name <- [<<"Ada">>, <<"Bob">>]],
    [say(run(Session, <<"greet()">>)) || Session <- [Ada, Bob]],
    say(run(Ada, <<"note('x is', 6 * 7)">>)),
    say(run(Bob, <<"note('nothing of hers')">>)),
    say(run(Bob, <<"1 / 0">>)),
    [say(run(Session, <<"notes">>)) || Session <- [Ada, Bob]],
    exit(Ada, kill),
    say(run(Bob, <<"len(notes)">>)),
    ok = application:stop(py).

%% What every session begins with, run once. Functions of a copy see the copy's names.
template() ->
    {ok, Template} = py_context:open(),
    ok = py:exec(<<"notes = ()\n"
                   "def greet():\n"
                   "    return f'Hello, {user}!'\n"
                   "def note(*words):\n"
                   "    global notes\n"
                   "    notes += (' '.join(map(str, words)),)\n"
                   "    return f'{user} has {len(notes)}'\n">>, #{context => Template}),
    Template.

%% The process owns the context, so there is nothing to clean up.
start(Name, Template) ->
    spawn(fun() ->
        {ok, Context} = py_context:open(#{from => Template}),
        ok = py:exec(<<"user = name">>, #{name => Name}, #{context => Context}),
        session(Context)
    end).

session(Context) ->
    receive
        {run, From, Code} ->
            From ! {self(), py:eval(Code, #{}, #{context => Context, timeout => 1_000})},
            session(Context)
    end.

run(Session, Code) ->
    Session ! {run, self(), Code},
    receive {Session, Result} -> {Code, Result} end.

say({Code, {ok, Value}}) -> io:format("~ts -> ~tp~n", [Code, Value]);
say({Code, {error, Reason}}) -> io:format("~ts -> error: ~tp~n", [Code, Reason]).
