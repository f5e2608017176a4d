#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The program alone: jobs that run on threads beside the main one.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(CODE, <<"import os, signal, threading, time\n"
                "gates = [threading.Event() for _ in range(10)]\n"
                "def wait(n, value=None):\n"
                "    gates[n].wait()\n"
                "    return value\n"
                "def loop():\n"
                "    while True:\n"
                "        time.sleep(0.001)\n"
                "def name():\n"
                "    return threading.current_thread().name\n">>).

main(_) ->
    tap:run([
        {"without --threads all is as it was", fun off/0},
        {"threaded, the next job, the reply", fun beside/0},
        {"what is no call runs on the main thread", fun on_main/0},
        {"no more than there are threads, in order; what waits can be taken back", fun order/0},
        {"a stream of the main thread and what is urgent go on while the next job waits", fun meanwhile/0},
        {"streams have turns there, too", fun streams/0},
        {"a stream that is to end, while it runs and while it waits", fun stream_ends/0},
        {"quit, and a stream that runs", fun stream_quit/0},
        {"what comes ahead of the reply", fun ahead/0},
        {"cancelled in Python code", fun cancel/0},
        {"cancelled in C: the answer comes when it returns", fun cancel_blocked/0},
        {"a call within a call from there", fun within/0},
        {"there is no memory for a thread", fun no_thread/0},
        {"quit: what runs is interrupted, and answered", fun quit/0},
        {"quit does not wait for what is stuck", fun quit_stuck/0},
        {"the input ends", fun ends/0}
    ]).

open(N) ->
    Port = raw:open(["--threads", integer_to_list(N)]),
    ok = raw:ask(Port, {exec, ?CODE}),
    Port.

call(Function, Args) -> {call, '__main__', Function, Args, #{}}.

recv(Port, N) -> [raw:recv(Port) || _ <- lists:seq(1, N)].

open_gate(N) -> {exec, ["gates[", integer_to_list(N), "].set()"]}.

name(Port) ->
    raw:send(Port, {name, call(name, [])}),
    {name, threaded} = raw:recv(Port),
    {name, {ok, Name}} = raw:recv(Port),
    Name.

off() ->
    [begin
         Port = raw:open(Args),
         ok = raw:ask(Port, {exec, ?CODE}),
         ?assertEqual({ok, <<"MainThread">>}, raw:ask(Port, call(name, []))),
         raw:close(Port)
     end || Args <- [[], ["--threads", "1"]]].

beside() ->
    Port = open(2),
    raw:send(Port, {1, call(wait, [1, one])}),
    raw:send(Port, {2, {eval, <<"name()">>, #{}}}),
    ?assertEqual([{1, threaded}, {2, threaded}], recv(Port, 2)),
    {2, {ok, <<"pyport-", _/binary>>}} = raw:recv(Port),
    raw:send(Port, {3, open_gate(1)}),
    ?assertEqual([{1, {ok, one}}, {3, ok}], lists:sort(recv(Port, 2))),
    raw:close(Port).

on_main() ->
    Port = open(2),
    ok = raw:ask(Port, {exec, <<"main = name()">>}),
    ok = raw:ask(Port, {context_open, 1}),
    raw:send(Port, {1, {eval, <<"__import__('threading').current_thread().name">>, #{}}, #{context => 1}}),
    ?assertEqual({1, {ok, <<"MainThread">>}}, raw:recv(Port)),
    raw:send(Port, {2, {multicall, [{'__main__', name, [], #{}}]}}),
    ?assertEqual([{2, {part, 0, {{ok, <<"MainThread">>}}}}, {2, ok}], recv(Port, 2)),
    raw:send(Port, {3, {keep, {eval, <<"main">>, #{}}}}),
    [{3, threaded}, {3, {kept, _}}] = recv(Port, 2),
    raw:send(Port, {4, {eval, <<"1">>, #{}}, #{capture => 1}}),
    ?assertMatch({4, {error, {badarg, _}}}, raw:recv(Port)),
    raw:close(Port).

order() ->
    Port = open(2),
    context(Port),
    raw:send(Port, {gate, {stream, {eval, <<"(g.set() for g in gates[1:2])">>, #{}}}, #{credit => 0, context => 9}}),
    [raw:send(Port, {N, call(wait, [1, N])}) || N <- lists:seq(1, 5)],
    ?assertEqual([{1, threaded}, {2, threaded}], recv(Port, 2)),
    raw:send(Port, {take_back, 3}),
    ?assertEqual({3, {error, not_started}}, raw:recv(Port)),
    raw:send(Port, {cancel, 4}),
    ?assertEqual({4, {error, cancelled}}, raw:recv(Port)),
    raw:send(Port, {take_back, 1}),
    none(Port),
    raw:send(Port, {more, gate, 2}),
    Frames = recv(Port, 6),
    ?assertEqual([threaded, {ok, 5}], [Said || {5, Said} <- Frames]),
    ?assertEqual([{1, {ok, 1}}, {2, {ok, 2}}], lists:sort([Frame || {N, _} = Frame <- Frames, N =:= 1 orelse N =:= 2])),
    raw:close(Port).

%% What uses it runs on the main thread, and sees the gates.
context(Port) ->
    ok = raw:ask(Port, {exec, <<"import builtins; builtins.gates = gates">>}),
    ok = raw:ask(Port, {context_open, 9}).

%% Nothing is said now.
none(Port) ->
    receive {Port, {data, Frame}} -> error({said, binary_to_term(Frame)}) after 50 -> ok end.

meanwhile() ->
    Port = open(2),
    context(Port),
    [raw:send(Port, {N, call(wait, [1, N])}) || N <- lists:seq(1, 3)],
    ?assertEqual([{1, threaded}, {2, threaded}], recv(Port, 2)),
    {ok, _} = raw:ask(Port, memory_stats),
    {ok, _} = raw:ask(Port, stack),
    raw:send(Port, {4, {stream, {eval, <<"range(2)">>, #{}}}, #{context => 9}}),
    none(Port),
    raw:send(Port, {take_back, 3}),
    ?assertEqual([{3, {error, not_started}}, {4, {chunk, [0, 1]}}, {4, ok}], recv(Port, 3)),
    raw:close(Port).

%% Each waits for the other, and neither for the main thread.
streams() ->
    Port = open(2),
    ok = raw:ask(Port, {exec, <<"two = threading.Barrier(2)\n"
                                "def meet():\n"
                                "    for n in range(3):\n"
                                "        two.wait(10)\n"
                                "        yield n">>}),
    [raw:send(Port, {N, {stream, call(meet, [])}, #{credit => 9, chunk => 1}}) || N <- [1, 2]],
    Frames = recv(Port, 10),
    [?assertEqual([threaded, {chunk, [0]}, {chunk, [1]}, {chunk, [2]}, ok], [Said || {Id, Said} <- Frames, Id =:= N])
     || N <- [1, 2]],
    raw:close(Port).

%% It says so when a thread is at it, and not while it just waits for one.
stream_ends() ->
    Port = open(2),
    ok = raw:ask(Port, {exec, <<"at_work = []\n"
                                "def gated():\n"
                                "    yield 0\n"
                                "    at_work.append(1)\n"
                                "    gates[3].wait()\n"
                                "    yield 1\n"
                                "def looping():\n"
                                "    yield 0\n"
                                "    at_work.append(2)\n"
                                "    loop()">>}),
    [begin
         [raw:send(Port, {Id, {stream, call(F, [])}, #{credit => 1}}) || {Id, F} <- [{1, gated}, {2, looping}, {3, gated}]],
         Opened = recv(Port, 6),
         [?assertEqual([threaded, {chunk, [0]}], [Said || {Id, Said} <- Opened, Id =:= N]) || N <- [1, 2, 3]],
         [raw:send(Port, {more, Id, 1}) || Id <- [1, 2]],
         fixture:wait_until(fun() -> raw:ask(Port, {exec, <<"assert sorted(at_work) == [1, 2]">>}) =:= ok end),
         raw:send(Port, {stop, 1}),
         ?assertEqual({1, threaded}, raw:recv(Port)),
         raw:send(Port, {stop, 3}),
         none(Port),
         raw:send(Port, {cancel, 2}),
         ?assertEqual([{2, threaded}, {2, {error, cancelled}}, {3, threaded}, {3, ok}],
                      lists:keysort(1, recv(Port, 4))),
         ok = raw:ask(Port, open_gate(3)),
         ?assertEqual([{1, {chunk, [1]}}, {1, threaded}, {1, ok}], recv(Port, 3)),
         ok = raw:ask(Port, {exec, <<"gates[3].clear()\nat_work.clear()">>})
     end || _ <- [once, again, again]],
    raw:close(Port).

stream_quit() ->
    Port = open(2),
    raw:send(Port, {1, {stream, {eval, <<"(loop() for _ in range(1))">>, #{}}}}),
    {1, threaded} = raw:recv(Port),
    none(Port),
    true = port_command(Port, term_to_binary(quit)),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

ahead() ->
    Port = open(2),
    raw:send(Port, {1, {eval, <<"print(name())">>, #{}}, #{capture => true, bill => true}}),
    ?assertMatch([{1, threaded}, {1, {output, <<"pyport-1\n">>}}, {1, {bill, #{time := _, gc_runs := 0}}}, {1, {ok, none}}],
                 recv(Port, 4)),
    raw:send(Port, {2, {eval, <<"print('again')">>, #{}}}),
    ?assertEqual([{2, threaded}, {2, {ok, none}}], recv(Port, 2)),
    raw:close(Port).

cancel() ->
    Port = open(2),
    [begin
         raw:send(Port, {1, call(loop, [])}),
         {1, threaded} = raw:recv(Port),
         raw:send(Port, {cancel, 1}),
         ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
         ?assertMatch(<<"pyport-", _/binary>>, name(Port))
     end || _ <- lists:seq(1, 20)],
    raw:close(Port).

cancel_blocked() ->
    Port = open(2),
    raw:send(Port, {1, {eval, <<"time.sleep(0.2)">>, #{}}}),
    {1, threaded} = raw:recv(Port),
    none(Port),
    raw:send(Port, {cancel, 1}),
    none(Port),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertMatch(<<"pyport-", _/binary>>, name(Port)),
    raw:close(Port).

within() ->
    Port = open(2),
    ok = raw:ask(Port, {listen, true, 0, true, true}),
    raw:send(Port, {1, {eval, <<"(name(), __import__('erlang').call('f'))">>, #{}}}),
    {1, threaded} = raw:recv(Port),
    {call, CallId, 1, 1, <<"f">>, [], _} = raw:recv(Port),
    raw:send(Port, {within, CallId, term_to_binary({2, call(name, [])})}),
    {2, threaded} = raw:recv(Port),
    {2, {ok, Name}} = raw:recv(Port),
    raw:send(Port, {reply, CallId, {ok, done}}),
    ?assertEqual({1, {ok, {Name, done}}}, raw:recv(Port)),
    raw:close(Port).

%% The main thread runs it, as if it were one of the others.
no_thread() ->
    ok = fixture:unless_sanitized(),
    Port = open(2),
    ok = raw:ask(Port, {exec, <<"import resource\n"
                                "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
                                "resource.setrlimit(resource.RLIMIT_AS, (used + 1_000_000, -1))">>}),
    ?assertEqual(<<"MainThread">>, name(Port)),
    ?assertEqual(<<"MainThread">>, name(Port)),
    raw:close(Port).

quit() ->
    Port = open(2),
    raw:send(Port, {1, call(loop, [])}),
    {1, threaded} = raw:recv(Port),
    true = port_command(Port, term_to_binary(quit)),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

quit_stuck() ->
    Port = open(2),
    raw:send(Port, {1, {eval, <<"time.sleep(60)">>, #{}}}),
    {1, threaded} = raw:recv(Port),
    none(Port),
    true = port_command(Port, term_to_binary(quit)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

ends() ->
    Port = open(2),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    raw:send(Port, {1, call(loop, [])}),
    {1, threaded} = raw:recv(Port),
    raw:close(Port),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).
