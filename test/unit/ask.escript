#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_ask: each way in which a wait ends, and that nothing comes afterwards (a
%% test fails if it leaves a message in its mailbox).
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"an answer", fun answer/0},
        {"a death instead", fun death/0},
        {"a process that is not there", fun noproc/0},
        {"too late: no answer reaches the mailbox", fun late/0},
        {"what came before the deadline counts", fun in_time/0},
        {"a second answer reaches no mailbox", fun twice/0},
        {"the first of many", fun any/0},
        {"a death among many", fun any_down/0},
        {"a process that was started to answer", fun spawned/0},
        {"it watches who asked", fun watched/0}
    ]).

%% A process that deals with one question like this.
server(Fun) ->
    spawn(fun() -> receive {ask, From} -> Fun(From) end end).

ask(Pid) ->
    py_ask:ask(Pid, fun(From) -> Pid ! {ask, From}, ok end).

answers(Answer) ->
    ask(server(fun(From) -> py_ask:answer(From, Answer) end)).

answer() ->
    ?assertEqual({answer, yes}, py_ask:await(answers(yes))).

death() ->
    ?assertEqual({down, oops}, py_ask:await(ask(server(fun(_) -> exit(oops) end)))).

noproc() ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    ?assertEqual({down, noproc}, py_ask:await(ask(Pid))).

late() ->
    Server = server(fun(From) -> receive now -> py_ask:answer(From, late) end end),
    Ref = ask(Server),
    ?assertEqual(timeout, py_ask:await_until(Ref, py_time:now_ms())),
    Monitor = monitor(process, Server),
    Server ! now,
    receive {'DOWN', Monitor, process, Server, _} -> ok end.

in_time() ->
    Server = server(fun(From) -> py_ask:answer(From, yes) end),
    Monitor = monitor(process, Server),
    Ref = ask(Server),
    receive {'DOWN', Monitor, process, Server, _} -> ok end,
    ?assertEqual({answer, yes}, py_ask:await_until(Ref, py_time:now_ms() - 1)).

twice() ->
    Server = server(fun(From) -> py_ask:answer(From, 1), py_ask:answer(From, 2) end),
    Monitor = monitor(process, Server),
    ?assertEqual({answer, 1}, py_ask:await(ask(Server))),
    receive {'DOWN', Monitor, process, Server, _} -> ok end.

any() ->
    Never = server(fun(_) -> receive after infinity -> ok end end),
    {Silent, Ref} = {ask(Never), answers(yes)},
    ?assertEqual({Ref, {answer, yes}}, py_ask:await_any(#{Silent => 1, Ref => 2})),
    exit(Never, kill),
    ?assertEqual({Silent, {down, killed}}, py_ask:await_any(#{Silent => 1})).

any_down() ->
    Ref = ask(server(fun(_) -> exit(oops) end)),
    ?assertEqual({Ref, {down, oops}}, py_ask:await_any(#{Ref => 1})).

spawned() ->
    {Pid, Ref} = py_ask:spawn(fun(From, _) -> py_ask:answer(From, self()) end),
    ?assertEqual({answer, Pid}, py_ask:await(Ref)).

%% Whoever asked dies while the helper waits for somebody else.
watched() ->
    Never = server(fun(_) -> receive after infinity -> ok end end),
    Test = self(),
    Asker = spawn(fun() ->
        {Helper, _} = py_ask:spawn(fun(_, Watch) -> py_ask:await(ask(Never), Watch), ok end),
        Test ! {helper, Helper},
        receive after infinity -> ok end
    end),
    Helper = receive {helper, Pid} -> Pid end,
    Monitor = monitor(process, Helper),
    exit(Asker, kill),
    receive {'DOWN', Monitor, process, Helper, Reason} -> ?assertEqual(normal, Reason) end.
