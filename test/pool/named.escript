#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Calls that name a worker (`pool => {Pool, Id}', `{Pool, all}') while it is
%% replaced: they have the one that takes its place, and none fails for that.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"a worker takes no more of them than of others", fun fresh/0},
        {"one in hand is waited for, however long", fun in_hand/0},
        {"what had been sent to a worker that must run nothing", fun used_up/0}
    ])).

%% Starts the pool `p'; the test stops it, but for one that fails.
start(Recycle, Options) ->
    _ = py:stop_pool(p, 0),
    {ok, _} = py:start_pool(p, maps:merge(#{size => 1, recycle => Recycle,
                                            python_path => [fixture:python_path()],
                                            init => <<"import os, glutton, wedge">>},
                                          Options)),
    #{pool => p}.

stop() -> ok = py:stop_pool(p).

pid(In) ->
    {ok, Pid} = py:call(os, getpid, [], #{}, In),
    Pid.

fresh() ->
    In = start(#{calls => 1}, #{size => 2}),
    One = [pid(In#{pool => {p, 1}}) || _ <- lists:seq(1, 6)],
    Each = [py:call(os, getpid, [], #{}, In#{pool => {p, all}}) || _ <- lists:seq(1, 3)],
    Refs = [py:spawn_call(os, getpid, [], #{}, In#{pool => {p, 2}}) || _ <- lists:seq(1, 6)],
    Pids = One ++ [Pid || {ok, [{1, {ok, A}}, {2, {ok, B}}]} <- Each, Pid <- [A, B]]
        ++ [Pid || Ref <- Refs, {ok, Pid} <- [py:await(Ref)]],
    ?assertEqual({18, 18}, {length(Pids), length(lists:usort(Pids))}),
    stop().

in_hand() ->
    In = start(#{calls => 1}, #{drain => 0}),
    ?assertEqual({ok, 7}, py:call(wedge, late, [7, 1.5], #{}, In#{pool => {p, 1}})),
    stop().

used_up() ->
    In = start(#{memory_errors => 1}, #{}),
    Held = fixture:hold(In),
    Named = In#{pool => {p, 1}},
    Refs = [py:spawn_call(glutton, Name, [], #{}, Named) || Name <- [too_much | lists:duplicate(5, has_met)]],
    fixture:wait_until(fun() -> [6] =:= [N - 1 || #{in_flight := N} <- fixture:workers(p)] end),
    {ok, _} = fixture:release(Held),
    [Met | Others] = [py:await(Ref) || Ref <- Refs],
    ?assertMatch({{error, {'MemoryError', _}}, [{ok, false}]}, {Met, lists:usort(Others)}),
    stop().
