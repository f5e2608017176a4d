#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_ladder: interrupt, then close; an answer in time ends it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(GRACE, 100).

main(_) ->
    tap:run([
        {"it begins with an interrupt", fun start/0},
        {"one request at a time is on it", fun one/0},
        {"the grace of the interrupt", fun grace/0},
        {"no grace at all", fun no_grace/0},
        {"an answer in time ends it", fun off/0},
        {"the answer to another request does not", fun off_other/0},
        {"once the port is closed there is no way back", fun no_way_back/0}
    ]).

new() -> py_worker_ladder:new(?GRACE).

started() ->
    {_, Ladder} = py_worker_ladder:start(7, 1_000, new()),
    Ladder.

closed() ->
    {[{rung, close}], Ladder} = py_worker_ladder:expire(1_000 + ?GRACE, started()),
    Ladder.

start() ->
    ?assertEqual(infinity, py_worker_ladder:soonest(new())),
    {Effects, Ladder} = py_worker_ladder:start(7, 1_000, new()),
    ?assertEqual([{rung, interrupt}, {send, py_wire:cancel(7)}], Effects),
    ?assertEqual(1_000 + ?GRACE, py_worker_ladder:soonest(Ladder)).

one() ->
    ?assertEqual({[], started()}, py_worker_ladder:start(8, 1_001, started())).

grace() ->
    ?assertEqual({[], started()}, py_worker_ladder:expire(999 + ?GRACE, started())),
    ?assertNot(py_worker_ladder:is_closing(started())),
    ?assert(py_worker_ladder:is_closing(closed())),
    ?assertEqual(infinity, py_worker_ladder:soonest(closed())).

no_grace() ->
    {_, Ladder} = py_worker_ladder:start(7, 1_000, py_worker_ladder:new(0)),
    ?assertMatch({[{rung, close}], _}, py_worker_ladder:expire(1_000, Ladder)).

off() ->
    ?assertEqual(new(), py_worker_ladder:off(7, started())).

off_other() ->
    ?assertEqual(started(), py_worker_ladder:off(8, started())).

no_way_back() ->
    ?assertEqual(closed(), py_worker_ladder:off(7, closed())),
    ?assertEqual({[], closed()}, py_worker_ladder:start(8, 2_000, closed())),
    ?assertEqual({[], closed()}, py_worker_ladder:expire(2_000, closed())).
