#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A process that has used exec stays with that worker, where its names are,
%% until the worker dies.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 3, init => <<"import misbehave, os, wedge">>, interrupt_grace => 100,
                 close_grace => 100},
    tap:run(fixture:with_app(Settings, [
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
        {"each pool has its own binding", fun each_pool/0},
        {"a pool that was stopped and started under the same name", fun stopped_and_started/0},
        [{["a timeout that ends the worker is told once: ", What], 60_000,
          fun() -> timeout_is_told_once(OutOfTime) end} || {What, OutOfTime} <- timeouts()],
        {"a timeout while the next call waits already", 60_000, fun waits_behind_timeout/0},
        {"the end of a worker that one's own timeout has spoilt is told once",
         fun spoilt_is_told_once/0},
        {"it is told to whoever was answered meanwhile", fun spoilt_is_told_late/0},
        {"the timeout of another process is told", 60_000, fun timeout_of_another/0},
        {"the timeout of what nobody hears of is told", 60_000, fun timeout_of_cast/0},
        {"unbind: any worker again", fun unbind/0},
        {"unbind of what is not bound, or wrong", fun unbind_nothing/0},
        {"unbind, then the old worker's death", fun unbind_then_death/0}
    ]) ++ [{"the application was stopped and started", 60_000, fun application_restarted/0}]).

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

%% ---------------------------------------------------------------------------
%% Told once

stopped_and_started() ->
    In = #{pool => p},
    {ok, _} = py:start_pool(p, #{size => 1}),
    ok = py:exec(<<"mine = 1">>, In),
    ok = py:stop_pool(p),
    ?assertEqual({error, {no_pool, p}}, py:eval(<<"mine">>, #{}, In)),
    {ok, _} = py:start_pool(p, #{size => 1}),
    ?assertEqual({error, {worker_exit, shutdown}}, py:exec(<<"mine = 2">>, In)),
    ?assertEqual(ok, py:exec(<<"mine = 2">>, In)),
    ?assertEqual({ok, 2}, py:eval(<<"mine">>, #{}, In)),
    ok = py:stop_pool(p).

application_restarted() ->
    {ok, _} = application:ensure_all_started(py),
    ok = py:exec(<<"mine = 1">>),
    ok = application:stop(py),
    {ok, _} = application:ensure_all_started(py),
    ?assertEqual({error, {worker_exit, shutdown}}, py:eval(<<"mine">>)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>)),
    ok = application:stop(py).

%% Each ends the worker, because nothing interrupts this code.
timeouts() ->
    Swallow = [wedge, swallow, [], #{}, 50],
    [{"a call", fun() -> apply(py, call, Swallow) end},
     {"exec", fun() -> py:exec(<<"wedge.swallow()">>, 50) end},
     {"await of a call with a limit", fun() -> py:await(apply(py, spawn_call, Swallow)) end},
     {"await with its own limit",
      fun() -> py:await(py:spawn_call(wedge, swallow, [], #{}, 300), 50) end},
     {"a stream's first items", fun() -> py:stream(wedge, swallow, [], #{}, 50) end},
     {"a stream's next items", fun stream_swallows/0}].

stream_swallows() ->
    {ok, Stream} = py:stream_open(<<"(n or wedge.swallow() for n in [1, 0])">>,
                                  #{chunk => 1, timeout => 200}),
    {ok, [1]} = py:stream_next(Stream),
    py:stream_next(Stream).

timeout_is_told_once(OutOfTime) ->
    ok = py:exec(<<"told_once = 1">>),
    OsPid = worker(),
    ?assertEqual({error, timeout}, OutOfTime()),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    ?assertEqual({ok, [0, 1]}, py:stream_eval(<<"iter(range(2))">>)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"told_once">>)),
    free().

%% It has not started, and runs elsewhere.
waits_behind_timeout() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = worker(),
    Ref = py:spawn_call(os, getpid, []),
    _ = py:await(Ref),
    ?assertEqual({error, timeout}, py:call(wedge, swallow, [], #{}, 50)),
    Later = py:spawn_call(os, getpid, []),
    {ok, Now} = py:eval(<<"os.getpid()">>),
    ?assertNotEqual(OsPid, Now),
    ?assertMatch({ok, Elsewhere} when Elsewhere =/= OsPid, py:await(Later)),
    free().

%% It was interrupted, and keeps a lock of Python's: it is replaced.
spoilt_is_told_once() ->
    OsPid = spoilt_home(),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>)),
    free().

spoilt_home() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = worker(),
    ?assertEqual({error, timeout}, py:call(locks, take_import_lock, [], #{}, 50)),
    OsPid.

%% A stream keeps the worker until both have been answered.
spoilt_is_told_late() ->
    {Stream, OsPid} = kept_by_stream(),
    ?assertEqual({ok, 1}, py:eval(<<"mine">>)),
    ok = py:stream_close(Stream),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    ?assertEqual({error, {worker_exit, restarted}}, py:eval(<<"mine">>)),
    free().

kept_by_stream() ->
    ok = py:exec(<<"mine = 1">>),
    {ok, Stream} = py:stream_open(<<"iter(range(9))">>, #{chunk => 1}),
    OsPid = worker(),
    ?assertEqual({error, timeout}, py:call(locks, take_import_lock, [], #{}, 50)),
    {Stream, OsPid}.

timeout_of_another() ->
    In = #{pool => one},
    {ok, _} = py:start_pool(one, #{size => 1, python_path => [fixture:python_path()],
                                   init => <<"import wedge">>, interrupt_grace => 100,
                                   close_grace => 100}),
    ok = py:exec(<<"mine = 1">>, In),
    Self = self(),
    spawn_link(fun() ->
        Self ! {other, py:call(wedge, swallow, [], #{}, In#{timeout => 50})}
    end),
    ?assertEqual({error, timeout}, receive {other, Result} -> Result end),
    ?assertEqual({error, {worker_exit, timeout}}, py:eval(<<"mine">>, #{}, In)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>, #{}, In)),
    ok = py:stop_pool(one).

timeout_of_cast() ->
    ok = py:exec(<<"cast_over = 1">>),
    OsPid = worker(),
    ok = py:cast(wedge, swallow, [], #{}, #{timeout => 50}),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    ?assertEqual({error, {worker_exit, timeout}}, py:eval(<<"cast_over">>)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"cast_over">>)).

%% ---------------------------------------------------------------------------
%% Unbinding

%% While one call is in the old worker, others run elsewhere.
unbind() ->
    whole(),
    ok = py:exec(<<"mine = 1">>),
    ?assertEqual(ok, py:unbind()),
    free().

%% Whether calls of this process go to more than one worker.
free() ->
    whole(),
    Held = fixture:hold(#{}),
    ?assertMatch({ok, _}, py:eval(<<"1">>, #{}, 5000)),
    {ok, _} = fixture:release(Held).

whole() ->
    fixture:wait_until(fun() ->
        [idle, idle, idle] =:= [State || #{state := State} <- fixture:workers()]
    end).

unbind_nothing() ->
    ?assertEqual(ok, py:unbind()),
    ?assertEqual(ok, py:unbind(nobody)),
    [?assertError(badarg, py:unbind(Wrong)) || Wrong <- [7, <<"default">>, #{pool => default}]].

unbind_then_death() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = worker(),
    ok = py:unbind(),
    fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> not lists:member(OsPid, fixture:os_pids()) end),
    whole(),
    ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>)).
