#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_rest: a program is asked once, when it has had nothing to do for a
%% tick, and again only after something has happened.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"it is asked at the second tick without a request", fun second/0},
        {"while requests follow one another it is not asked", fun follow/0},
        {"once it has answered there is nothing to look at", fun known/0},
        {"one question at a time", fun one/0},
        {"a request while it answers: it is asked anew", fun meanwhile/0},
        {"a request ends the rest, once", fun moved/0},
        {"a stream that goes on ends it, too", fun running/0}
    ]).

%% What is done at each tick, with the ids of the last requests then.
ticks(Lasts, Rest) ->
    lists:mapfoldl(fun py_worker_rest:tick/2, Rest, Lasts).

asked(Last) ->
    {[wait, ask], Rest} = ticks([Last, Last], py_worker_rest:new()),
    Rest.

at_rest(Last) ->
    {true, Rest} = py_worker_rest:answered(Last, asked(Last)),
    Rest.

second() ->
    ?assertMatch({[wait, ask], _}, ticks([0, 0], py_worker_rest:new())),
    ?assert(is_integer(py_worker_rest:soonest(0, 0, py_worker_rest:new()))).

follow() ->
    {Done, _} = ticks([1, 2, 3, 4], py_worker_rest:new()),
    ?assertEqual([wait, wait, wait, wait], Done).

known() ->
    Rest = at_rest(7),
    ?assertEqual(infinity, py_worker_rest:soonest(7, 0, Rest)),
    ?assertMatch({[wait, wait, wait], _}, ticks([7, 7, 7], Rest)).

one() ->
    Rest = asked(7),
    ?assertEqual(infinity, py_worker_rest:soonest(7, 0, Rest)),
    ?assertEqual(infinity, py_worker_rest:soonest(8, 0, Rest)),
    ?assertMatch({[wait, wait, wait], _}, ticks([7, 8, 8], Rest)).

meanwhile() ->
    {false, Rest} = py_worker_rest:answered(8, asked(7)),
    ?assert(is_integer(py_worker_rest:soonest(8, 0, Rest))),
    ?assertMatch({[wait, ask], _}, ticks([8, 8], Rest)).

moved() ->
    Rest = at_rest(7),
    ?assertMatch({false, _}, py_worker_rest:moved(7, false, Rest)),
    {true, Roused} = py_worker_rest:moved(8, false, Rest),
    ?assertMatch({false, _}, py_worker_rest:moved(8, false, Roused)),
    ?assertMatch({[wait, ask], _}, ticks([8, 8], Roused)),
    ?assertMatch({false, _}, py_worker_rest:moved(7, false, py_worker_rest:new())).

running() ->
    {true, Roused} = py_worker_rest:moved(7, true, at_rest(7)),
    ?assertMatch({ask, _}, py_worker_rest:tick(7, Roused)).
