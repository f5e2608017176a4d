#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Many thousand callers that wait in a pool's queue: each is answered when
%% its time is up, and their deaths and the pool's end are not slow either.
%% Timers of so many processes are late by themselves, so they are measured alone
%% first, in the same run. The deadlines of a hundred thousand in four seconds leave a
%% machine with two CPUs no time for anything else, so by default there is a
%% quarter of them: CALLERS=100000 is for a machine that does nothing else.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(CALLERS, list_to_integer(os:getenv("CALLERS", "25000"))).
%% Their time limits (ms) are spread from the first to the last.
-define(FIRST, 5_000).
-define(SPREAD, 4_000).
%% How much later than a timer alone an answer may be (ms): half of the time,
%% nearly always, and ever.
-define(LATE, 20).
-define(LATE_RARELY, 60).
-define(LATE_ONCE, 200).
%% How long their deaths or the end of the pool may keep it (ms).
-define(AT_ONCE, 5_000).

main(_) ->
    Settings = #{size => 1, max_queue => 2 * ?CALLERS, init => <<"import wedge">>},
    tap:run(fixture:with_app(Settings, [
        {"deadlines of callers that wait", 120_000, fun deadlines/0},
        {"they die", 120_000, fun deaths/0},
        {"a pool stops in which they wait", 120_000, fun stops/0},
        {"a pool that stops waits for one on its way to a worker", fun on_the_way/0},
        {"and not for one that has died there", fun died_there/0}
    ])).

limit(N) ->
    ?FIRST + N rem ?SPREAD.

%% ---------------------------------------------------------------------------
%% Lateness

deadlines() ->
    tap:note("~b callers", [?CALLERS]),
    Alone = measure(fun timer:sleep/1),
    figure:show("timers alone are late by", late(ok, Alone)),
    Held = fixture:hold(#{}),
    ok = machine:start(),
    {Took, Results} = figure:timed(fun() ->
        measure(fun(Limit) -> py:eval(<<"1">>, #{}, Limit) end)
    end),
    {Late, Excuse} = {late({error, timeout}, Results), machine:excuse(Took)},
    figure:show("late by", Late),
    {ok, _} = fixture:release(Held),
    [?assert(figure:percentile(Percent, Late) =<
                 figure:percentile(Percent, late(ok, Alone)) + More + Excuse)
     || {Percent, More} <- [{50, ?LATE}, {99, ?LATE_RARELY}, {100, ?LATE_ONCE}]].

late(Expected, Results) ->
    {Late, Answers} = lists:unzip(Results),
    ?assertEqual([Expected], lists:usort(Answers)),
    Late.

%% How late each of the waits was, and what it returned.
measure(Wait) ->
    Self = self(),
    Ref = make_ref(),
    [spawn_link(fun() ->
        {Ms, Result} = figure:timed(fun() -> Wait(limit(N)) end),
        Self ! {Ref, {Ms - limit(N), Result}}
     end) || N <- lists:seq(1, ?CALLERS)],
    answers(Ref).

answers(Ref) ->
    [receive {Ref, Answer} -> Answer end || _ <- lists:seq(1, ?CALLERS)].

%% ---------------------------------------------------------------------------
%% All at once

deaths() ->
    Held = fixture:hold(#{}),
    {Pids, _} = waiters(default),
    {Ms, ok} = figure:within(?AT_ONCE, fun() ->
        [exit(Pid, kill) || Pid <- Pids],
        fixture:wait_until(fun() -> waiting(default) =:= 0 end)
    end),
    tap:note("nobody waits after ~.1f ms", [Ms]),
    {ok, _} = fixture:release(Held),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

stops() ->
    {ok, _} = py:start_pool(p, #{size => 1, max_queue => 2 * ?CALLERS,
                                 python_path => [fixture:python_path()],
                                 init => <<"import wedge">>}),
    Held = fixture:hold(#{pool => p}),
    {_, Ref} = waiters(p),
    {Ms, Results} = figure:within(?AT_ONCE, fun() ->
        ok = py:stop_pool(p, 0),
        answers(Ref)
    end),
    tap:note("everybody has heard after ~.1f ms", [Ms]),
    ?assertEqual([{error, {stopping, p}}], lists:usort(Results)),
    ?assertEqual({error, {worker_exit, shutdown}}, fixture:release(Held)).

%% A pool that does not know that its queue has sent nobody.
sent() ->
    {ok, _} = py:start_pool(p, #{size => 1}),
    {ok, 1} = py:eval(<<"1">>, #{}, #{pool => p}),
    {ok, Pool} = py_pool_board:find(p),
    ok = py_pool_load:sent(Pool),
    Pool.

on_the_way() ->
    Pool = sent(),
    Self = self(),
    spawn_link(fun() -> Self ! {stopped, py:stop_pool(p, 60_000)} end),
    fixture:wait_until(fun() -> py_pool_load:is_stopping(Pool) end),
    timer:sleep(100),
    ?assertMatch([_], fixture:os_pids(p)),
    ok = py_pool_load:arrived(Pool),
    ?assertEqual(ok, receive {stopped, Result} -> Result end).

died_there() ->
    _ = sent(),
    {_, Stopped} = figure:within(?AT_ONCE, fun() -> py:stop_pool(p, 60_000) end),
    ?assertEqual(ok, Stopped).

%% Processes that wait in the pool's queue when this returns.
waiters(Pool) ->
    Self = self(),
    Ref = make_ref(),
    In = #{pool => Pool, timeout => infinity},
    Pids = [spawn(fun() -> Self ! {Ref, py:eval(<<"1">>, #{}, In)} end)
            || _ <- lists:seq(1, ?CALLERS)],
    fixture:wait_until(fun() -> waiting(Pool) =:= ?CALLERS end),
    {Pids, Ref}.

waiting(Pool) ->
    #{queue := #{waiting := Waiting}} = py:info(Pool),
    Waiting.
