#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Tracing begins and ends beside jobs, statistics and collections, and no worker
%% dies of it (python/cpython issue 128679). SECONDS is for how long.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(SECONDS, "10").

main(_) ->
    Init = <<"import wedge, tracemalloc\nfrom time import perf_counter">>,
    tap:run(fixture:with_app(#{size => 1, init => Init}, [
        {"tracing beside statistics, collections and jobs", infinity, fun beside/0},
        {"the clerk is no thread of Python's that anybody sees", fun unseen/0}
    ])).

beside() ->
    [#{os_pid := Before}] = fixture:workers(),
    Until = py_time:now_ms() + 1000 * list_to_integer(os:getenv("SECONDS", ?SECONDS)),
    Loops = [fun job/0, fun job/0, fun trace/0, fun trace/0, fun stats/0, fun stats/0, fun stats/0],
    Done = [Pid || Loop <- Loops, {Pid, _} <- [spawn_monitor(fun() -> until(Until, Loop, 0) end)]],
    Ends = [receive {'DOWN', _, process, Pid, End} -> End end || Pid <- Done],
    ?assertEqual([], [End || End <- Ends, element(1, End) =/= done]),
    tap:note("how often each: ~p", [[N || {done, N} <- Ends]]),
    ?assertMatch([#{os_pid := Before, restarts := 0}], fixture:workers()).

until(End, Loop, N) ->
    case py_time:now_ms() < End of
        true -> Loop(), until(End, Loop, N + 1);
        false -> exit({done, N})
    end.

%% Longer than a tick, so the others are answered by the clerk; and tracing begins
%% and ends while the clerk waits for the GIL.
job() ->
    Code = <<"[tracemalloc.stop() for _ in iter(perf_counter, 0)"
             " if tracemalloc.start() or perf_counter() < end or 1 // 0]">>,
    {error, {'ZeroDivisionError', _}} =
        py:eval(<<"(lambda end: ", Code/binary, ")(perf_counter() + 0.05)">>).

trace() ->
    ok = py:tracemalloc_start(3),
    ok = py:tracemalloc_stop().

stats() ->
    {ok, _} = py:memory_stats(),
    {ok, _} = py:gc(0).

%% Not to Python code, and not in a stack of a worker that is busy.
unseen() ->
    Held = fixture:hold(#{}),
    {ok, [#{thread := <<"MainThread">>}]} = fixture:stack(1),
    {ok, _} = fixture:release(Held),
    {ok, 1} = py:eval(<<"len(__import__('sys')._current_frames())">>),
    {ok, 1} = py:eval(<<"len(__import__('threading').enumerate())">>).
