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
        {"a long mailbox costs nothing", fun long_mailbox/0},
        {"too late: no answer reaches the mailbox", fun late/0},
        {"what came before the deadline counts", fun in_time/0},
        {"a second answer reaches no mailbox", fun twice/0},
        {"the first of many", fun any/0},
        {"a death among many", fun any_down/0},
        {"several answers to a question", fun several/0},
        {"a death after some answers", fun several_down/0},
        {"a process that was started to answer", fun spawned/0},
        {"waits for a helper, then ends it", fun ended/0},
        {"it watches who asked", fun watched/0}
    ]).

%% A process that deals with one question like this.
server(Fun) ->
    spawn(fun() -> receive {ask, From} -> Fun(From) end end).

ask(Pid) ->
    py_ask:ask(Pid, send(Pid)).

send(Pid) ->
    fun(From) -> Pid ! {ask, From}, ok end.

call(Fun) ->
    Pid = server(Fun),
    py_ask:call(Pid, send(Pid)).

answers(Answer) ->
    ask(server(fun(From) -> py_ask:answer(From, Answer) end)).

answer() ->
    ?assertEqual({answer, yes}, call(fun(From) -> py_ask:answer(From, yes) end)).

death() ->
    ?assertEqual({down, oops}, call(fun(_) -> exit(oops) end)).

noproc() ->
    {Pid, Monitor} = spawn_monitor(fun() -> ok end),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    ?assertEqual({down, noproc}, py_ask:call(Pid, send(Pid))).

%% To read past so many messages would take a thousand times as long.
long_mailbox() ->
    Empty = median_call(),
    [self() ! {other, N} || N <- lists:seq(1, 200_000)],
    Full = median_call(),
    [receive {other, N} -> ok end || N <- lists:seq(1, 200_000)],
    tap:note("~.4f ms beside an empty mailbox, ~.4f beside a full one", [Empty, Full]),
    ?assert(Full < 20 * Empty).

median_call() ->
    figure:median([element(1, figure:timed(fun() ->
                       {answer, yes} = call(fun(From) -> py_ask:answer(From, yes) end)
                   end)) || _ <- lists:seq(1, 51)]).

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
    ?assertEqual({answer, 1}, py_ask:call(Server, send(Server))),
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

several() ->
    Server = server(fun(Ref) ->
        [py_ask:answer(Ref, N) || N <- [2, 1]],
        receive after infinity -> ok end
    end),
    Ref = py_ask:ask_several(Server, send(Server)),
    ?assertEqual({answer, 2}, py_ask:await_next(Ref, none)),
    ?assertEqual({answer, 1}, py_ask:await_next(Ref, none)),
    exit(Server, kill),
    ?assertEqual({down, killed}, py_ask:await_next(Ref, none)).

several_down() ->
    Server = server(fun(Ref) -> py_ask:answer(Ref, yes), exit(oops) end),
    Ref = py_ask:ask_several(Server, send(Server)),
    ?assertEqual({answer, yes}, py_ask:await_next(Ref, none)),
    ?assertEqual({down, oops}, py_ask:await_next(Ref, none)).

spawned() ->
    {Pid, Ref} = py_ask:spawn(fun(From, _) -> py_ask:answer(From, self()) end),
    ?assertEqual({answer, Pid}, py_ask:await_until(Ref, infinity)).

%% It is told to end when the time is up, and may have its last word.
ended() ->
    End = fun(Work, Ms) ->
        {Pid, Ref} = py_ask:spawn(Work),
        {py_ask:await_or_end(Pid, Ref, oops, py_time:deadline(Ms)), is_process_alive(Pid)}
    end,
    Silent = fun(_, _) -> receive after infinity -> ok end end,
    ?assertEqual({{answer, 1}, false}, End(fun(From, _) -> py_ask:answer(From, 1), exit(normal) end, infinity)),
    ?assertEqual({{down, why}, false}, End(fun(_, _) -> exit(why) end, infinity)),
    ?assertEqual({{late, none}, false}, End(Silent, 0)),
    ?assertEqual({{late, none}, false}, End(Silent, 5)),
    LastWord = fun(From, _) ->
        process_flag(trap_exit, true),
        receive {'EXIT', _, Why} -> py_ask:answer(From, Why) end
    end,
    ?assertEqual({late, oops}, element(1, End(LastWord, 20))).

%% Whoever asked dies while the helper waits for somebody else.
watched() ->
    Never = server(fun(_) -> receive after infinity -> ok end end),
    Test = self(),
    Asker = spawn(fun() ->
        {Helper, _} = py_ask:spawn(fun(_, Watch) -> py_ask:call(Never, send(Never), Watch), ok end),
        Test ! {helper, Helper},
        receive after infinity -> ok end
    end),
    Helper = receive {helper, Pid} -> Pid end,
    Monitor = monitor(process, Helper),
    exit(Asker, kill),
    receive {'DOWN', Monitor, process, Helper, Reason} -> ?assertEqual(normal, Reason) end.
