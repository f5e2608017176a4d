#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem:history: of a pool, of a worker, of each; of one that grows; and from its
%% start again for a successor.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(LIMIT, 2_000_000_000).

main(_) ->
    Settings = #{size => 2, memory => #{rss => ?LIMIT}, init => <<"import hoard">>},
    tap:run(fixture:with_app(Settings, [
        {"each target", fun targets/0},
        {"what is wrong", fun wrong/0},
        {"a worker that grows, and when it reaches its limit", fun grows/0},
        {"the last second only", fun last/0},
        {"while the worker is stopped", fun stopped/0},
        {"a successor begins anew", fun successor/0}
    ])).

targets() ->
    await_samples(2),
    {ok, #{workers := [#{id := 1}, #{id := 2}], slope := Slope}} = py_mem:history(default),
    ?assert(is_integer(Slope)),
    {ok, #{id := 2, os_pid := OsPid, samples := Samples, limit := ?LIMIT}} =
        py_mem:history({default, 2}),
    ?assertEqual(lists:reverse(lists:sort(Samples)), Samples),
    fixture:wait_until(fun() ->
        {ok, #{samples := Now}} = py_mem:history({default, 2}),
        fixture:proc_kb(OsPid, "VmRSS") * 1024 =:= element(2, lists:last(Now))
    end),
    {ok, [{1, {ok, #{id := 1}}}, {2, {ok, #{id := 2}}}]} = py_mem:history({default, all}, #{}).

await_samples(N) ->
    fixture:wait_until(fun() ->
        {ok, #{samples := Samples}} = py_mem:history({default, 1}),
        length(Samples) >= N
    end).

wrong() ->
    ?assertEqual({error, {no_pool, nobody}}, py_mem:history(nobody)),
    ?assertEqual({error, {no_worker, {default, 3}}}, py_mem:history({default, 3})),
    [?assertError(badarg, py_mem:history(default, Options))
     || Options <- [#{last => -1}, #{least => 1}, 7]],
    ?assertError(badarg, py_mem:history("default")).

grows() ->
    Ref = py:spawn_call(hoard, slowly, [400_000_000], #{}, #{timeout => 60_000}),
    fixture:wait_until(fun() ->
        {ok, #{workers := Workers}} = py_mem:history(default),
        [] =/= [Left || #{slope := Slope, samples := Samples, reaches_limit_in := Left} <- Workers,
                        Slope > 5_000_000, length(Samples) > 3, Left > 0]
    end),
    {ok, _} = py:await(Ref).

last() ->
    {ok, #{samples := All}} = py_mem:history({default, 1}, #{last => infinity}),
    {ok, #{samples := Last}} = py_mem:history({default, 1}, #{last => 1500}),
    ?assert(length(Last) < length(All)),
    [?assert(Ago =< 1500) || {Ago, _} <- Last].

stopped() ->
    [OsPid | _] = fixture:os_pids(),
    _ = fixture:kill("STOP", OsPid),
    {ok, #{samples := Before}} = py_mem:history({default, 1}),
    await_samples(length(Before) + 1),
    _ = fixture:kill("CONT", OsPid).

successor() ->
    {ok, #{samples := Before, os_pid := Old}} = py_mem:history({default, 1}),
    ok = py:restart_workers(),
    {ok, #{samples := After, os_pid := New}} = py_mem:history({default, 1}),
    ?assert(Old =/= New andalso length(After) < length(Before)).
