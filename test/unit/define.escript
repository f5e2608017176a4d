#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_define: definitions run one after another, when a worker is live.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(A, {exec, <<"a">>}).
-define(B, {exec, <<"b">>}).

main(_) ->
    tap:run([
        {"nothing to do", fun nothing/0},
        {"one that succeeds is kept for later workers", fun succeeds/0},
        {"one that fails is not", fun fails/0},
        {"the second waits for the first", fun in_order/0},
        {"none runs while no worker is live", fun no_worker/0},
        {"one that still waits at its deadline", fun late/0},
        {"a deadline that comes while it runs, or afterwards", fun not_late/0},
        {"one without a deadline", fun no_deadline/0}
    ]).

nothing() ->
    D = py_pool_define:new(),
    ?assertEqual({D, []}, py_pool_define:next(true, D)),
    ?assertNot(py_pool_define:is_running(D)).

succeeds() ->
    From = from(),
    {D, [{late_at, 500, From}]} = py_pool_define:add(From, ?A, 500, py_pool_define:new()),
    {Running, [{run, ?A, 500}]} = py_pool_define:next(true, D),
    ?assert(py_pool_define:is_running(Running)),
    {Done, Effects} = py_pool_define:done(ok, Running),
    ?assertEqual([{append, ?A}, {reply, From, ok}], Effects),
    ?assertEqual(py_pool_define:new(), Done).

fails() ->
    From = from(),
    {D, _} = py_pool_define:add(From, ?A, 500, py_pool_define:new()),
    {Running, _} = py_pool_define:next(true, D),
    {_, Effects} = py_pool_define:done({error, timeout}, Running),
    ?assertEqual([{reply, From, {error, timeout}}], Effects).

in_order() ->
    {D, _} = py_pool_define:add(from(), ?A, 500, py_pool_define:new()),
    {First, [{run, ?A, 500}]} = py_pool_define:next(true, D),
    {Two, [{late_at, 400, _}]} = py_pool_define:add(from(), ?B, 400, First),
    ?assertEqual({Two, []}, py_pool_define:next(true, Two)),
    {Free, _} = py_pool_define:done(ok, Two),
    ?assertMatch({_, [{run, ?B, 400}]}, py_pool_define:next(true, Free)).

no_worker() ->
    {D, _} = py_pool_define:add(from(), ?A, 500, py_pool_define:new()),
    ?assertEqual({D, []}, py_pool_define:next(false, D)),
    ?assertMatch({_, [{run, ?A, 500}]}, py_pool_define:next(true, D)).

late() ->
    {From, Other} = {from(), from()},
    {D1, _} = py_pool_define:add(From, ?A, 500, py_pool_define:new()),
    {D2, _} = py_pool_define:add(Other, ?B, 600, D1),
    {Left, Effects} = py_pool_define:late(From, {error, why}, D2),
    ?assertEqual([{reply, From, {error, why}}], Effects),
    ?assertMatch({_, [{run, ?B, 600}]}, py_pool_define:next(true, Left)).

not_late() ->
    From = from(),
    {D, _} = py_pool_define:add(From, ?A, 500, py_pool_define:new()),
    {Running, _} = py_pool_define:next(true, D),
    ?assertEqual({Running, []}, py_pool_define:late(From, {error, why}, Running)),
    {Done, _} = py_pool_define:done(ok, Running),
    ?assertEqual({Done, []}, py_pool_define:late(From, {error, why}, Done)).

no_deadline() ->
    {D, []} = py_pool_define:add(from(), ?A, infinity, py_pool_define:new()),
    ?assertMatch({_, [{run, ?A, infinity}]}, py_pool_define:next(true, D)).

from() -> {self(), make_ref()}.
