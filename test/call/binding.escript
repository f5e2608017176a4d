#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A process that has used exec stays with that worker, where its names are,
%% until the worker dies.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 3, init => <<"import misbehave, os">>}, [
        {"names stay for the process that defined them", fun names_stay/0},
        {"all kinds of requests go where the names are", fun all_kinds/0},
        {"processes that never used exec are not bound", fun not_bound/0},
        {"two processes with the same name in different workers", fun two_processes/0},
        {"what exec raised after it began still binds", fun failed_exec/0},
        {"a bound process waits for its worker when it is busy", fun waits_for_its_worker/0},
        {"the worker's death is told once, then life goes on", fun death_is_told_once/0},
        {"the death is told at the next call, whichever it is", fun death_by_any_call/0},
        {"a death that another request has told is not told again", fun told_by_another/0},
        {"the death of a killed worker process is told once, too", fun killed_is_told_once/0},
        {"an old stream's end does not unbind", fun old_stream/0},
        {"a process that starts anew after a death is bound anew", fun bound_anew/0},
        {"each pool has its own binding", fun each_pool/0}
    ])).

worker() ->
    {ok, OsPid} = py:eval(<<"os.getpid()">>),
    OsPid.

names_stay() ->
    ok = py:exec(<<"import collections\nseen = collections.Counter()">>),
    [ok = py:exec(<<"seen['times'] += 1">>) || _ <- lists:seq(1, 20)],
    ?assertEqual({ok, 20}, py:eval(<<"seen['times']">>)),
    ?assertEqual(1, length(lists:usort([worker() || _ <- lists:seq(1, 20)]))).

all_kinds() ->
    ok = py:exec(<<"mine = 'here'\ndef get(): return mine\n"
                   "def send(to):\n    import erlang\n    erlang.send(to, mine)\n">>),
    ?assertEqual({ok, <<"here">>}, py:eval(<<"mine">>)),
    ?assertEqual({ok, <<"here">>}, py:call('__main__', get, [])),
    ?assertEqual({ok, <<"here">>}, py:await(py:spawn_call('__main__', get, []))),
    ?assertEqual({ok, [<<"here">>]}, py:stream_eval(<<"iter([mine])">>)),
    ok = py:cast('__main__', send, [self()]),
    receive <<"here">> -> ok after 30_000 -> error(nothing_came) end.

not_bound() ->
    {_, Results} = figure:within(500, fun() ->
        Refs = [py:spawn_call(misbehave, sleep_then, [0.2, N]) || N <- [1, 2, 3]],
        [py:await(Ref) || Ref <- Refs]
    end),
    ?assertEqual([{ok, 1}, {ok, 2}, {ok, 3}], Results).

two_processes() ->
    Self = self(),
    Play = fun(Name) -> fun() ->
        ok = py:exec(["me = '", Name, "'"]),
        Self ! {self(), defined},
        receive go -> ok end,
        Self ! {self(), py:eval(<<"(me, os.getpid())">>)}
    end end,
    Pids = [spawn_link(Play(Name)) || Name <- ["a", "b"]],
    [receive {Pid, defined} -> ok end || Pid <- Pids],
    [Pid ! go || Pid <- Pids],
    [{ok, {First, At1}}, {ok, {Second, At2}}] =
        [receive {Pid, Result} -> Result end || Pid <- Pids],
    %% In one worker the later definition wins; in two each has its own.
    ?assert(At1 =:= At2 orelse {First, Second} =:= {<<"a">>, <<"b">>}).

failed_exec() ->
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:exec(<<"half = 1\n1/0">>)),
    ?assertEqual({ok, 1}, py:eval(<<"half">>)).

waits_for_its_worker() ->
    ok = py:exec(<<"mine = 1">>),
    Ref = py:spawn_call(misbehave, sleep, [0.3]),
    timer:sleep(20),
    ?assertEqual({ok, 1}, py:eval(<<"mine">>)),
    %% What it waited for has been answered before.
    ?assertEqual({ok, 0.3}, py:await(Ref, 0)).

death_is_told_once() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = worker(),
    fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    timer:sleep(100),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:eval(<<"mine">>)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>)),
    ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>)).

death_by_any_call() ->
    [begin
         ok = py:exec(<<"mine = 1">>),
         ?assertMatch({error, {worker_exit, {signal, sigkill}}},
                      py:call(misbehave, kill_self, [9])),
         %% It was told with the answer of the call that died with the worker,
         %% or is told with the next one: once in either case.
         Told = [1 || {error, {worker_exit, _}} <- [Again() || _ <- [1, 2, 3]]],
         ?assert(length(Told) =< 1)
     end || Again <- [fun() -> py:call(math, sqrt, [4]) end,
                      fun() -> py:stream_eval(<<"iter([1])">>) end,
                      fun() -> py:exec(<<"again = 1">>) end]].

told_by_another() ->
    [begin
         ok = py:exec(<<"mine = 1">>),
         ?assertMatch({error, {worker_exit, {status, 3}}}, Dies()),
         ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>))
     end || Dies <- [fun() -> py:await(py:spawn_call(os, '_exit', [3])) end,
                     fun stream_dies/0]].

stream_dies() ->
    {ok, Stream} = py:stream_open(<<"(n if n < 2 else os._exit(3) for n in range(9))">>,
                                  #{chunk => 1}),
    stream_dies(Stream, {ok, []}).

stream_dies(Stream, {ok, _}) -> stream_dies(Stream, py:stream_next(Stream));
stream_dies(_, Result) -> Result.

killed_is_told_once() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = worker(),
    [Pid] = [P || #{pid := P, os_pid := O} <- fixture:workers(), O =:= OsPid],
    Ref = py:spawn_call(misbehave, sleep, [5]),
    timer:sleep(50),
    exit(Pid, kill),
    ?assertMatch({error, {worker_exit, _}}, py:await(Ref)),
    ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>)).

old_stream() ->
    In = #{pool => streamed},
    {ok, _} = py:start_pool(streamed, #{size => 3}),
    {ok, Stream} = py:stream_open(<<"range(9)">>, In#{chunk => 1}),
    ok = py:stop_pool(streamed, 0),
    {ok, _} = py:start_pool(streamed, #{size => 3}),
    ok = py:exec(<<"mine = 1">>, In),
    ?assertEqual({error, {worker_exit, shutdown}}, py:stream_next(Stream)),
    [?assertEqual({ok, 1}, py:eval(<<"mine">>, #{}, In)) || _ <- lists:seq(1, 9)],
    ok = py:stop_pool(streamed).

bound_anew() ->
    ok = py:exec(<<"mine = 1">>),
    {error, {worker_exit, _}} = py:call(misbehave, leave, [3]),
    _ = py:eval(<<"1">>),
    ok = py:exec(<<"mine = 2">>),
    ?assertEqual(lists:duplicate(10, {ok, 2}), [py:eval(<<"mine">>) || _ <- lists:seq(1, 10)]).

each_pool() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    ok = py:exec(<<"where = 'default'">>),
    ok = py:exec(<<"where = 'other'">>, #{pool => other}),
    ?assertEqual({ok, <<"default">>}, py:eval(<<"where">>)),
    ?assertEqual({ok, <<"other">>}, py:eval(<<"where">>, #{}, #{pool => other})),
    ok = py:stop_pool(other).
