#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_urgent: 16 are with the program, the others wait their turn; one
%% that is out of time keeps its place until the program has answered.
%%
%% A request is named by its Id: its answer is to go to the same number.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

%% How many the program may have.
-define(MOST, 16).

main(_) ->
    tap:run([
        {"each is sent as it comes", fun order/0},
        {"no more than 16 are sent", fun most/0},
        {"an answer makes room for the next", fun room/0},
        {"more than may wait are refused, with how many wait", fun full/0},
        {"an answer is its request's, once", fun answered/0},
        {"what waits and is out of time is never sent", fun late_waiting/0},
        {"what was sent and is out of time keeps its place", fun late_sent/0},
        {"who is in time stays", fun in_time/0},
        {"the soonest deadline", fun soonest/0},
        {"how many somebody waits for", fun count/0},
        {"the end: everybody who waits is answered", fun give_up/0}
    ]).

%% The deadline is the Id.
push(Id, Max, U) ->
    py_worker_urgent:push(Id, #req{reply_to = Id, caller = self(), kind = urgent, arrival = 0,
                                   deadline = Id, arity = 2, size = 1, body = py_secret:hide(<<"b">>)}, Max, U).

%% Pushes requests 1 to N: the frames that are sent.
pushed(N) ->
    lists:foldl(fun(Id, {Effects, U}) ->
                    {More, Next} = push(Id, N, U),
                    {Effects ++ More, Next}
                end, {[], py_worker_urgent:new()}, lists:seq(1, N)).

state(N) ->
    {_, U} = pushed(N),
    U.

send(Id) -> {send, py_wire:request(Id, 2, <<"b">>)}.

order() ->
    ?assertMatch({[_, _, _], _}, pushed(3)),
    ?assertEqual([send(1), send(2), send(3)], element(1, pushed(3))).

most() ->
    ?assertEqual([send(Id) || Id <- lists:seq(1, ?MOST)], element(1, pushed(?MOST + 5))).

room() ->
    {Effects, _} = py_worker_urgent:reply(7, <<"frame">>, state(?MOST + 5)),
    ?assertEqual([{answer, 7, {reply, <<"frame">>}}, send(?MOST + 1)], Effects).

full() ->
    U = state(?MOST + 5),
    ?assertEqual({[{answer, 99, {error, {overloaded, 5, 5}}}], U}, push(99, 5, U)),
    ?assertMatch({[], _}, push(99, 6, U)).

answered() ->
    {Effects, Rest} = py_worker_urgent:reply(2, <<"frame">>, state(2)),
    ?assertEqual([{answer, 2, {reply, <<"frame">>}}], Effects),
    ?assertEqual(unknown, py_worker_urgent:reply(2, <<"frame">>, Rest)),
    ?assertEqual(unknown, py_worker_urgent:reply(3, <<"frame">>, Rest)).

late_waiting() ->
    Late = ?MOST + 1,
    {Effects, U} = py_worker_urgent:expire(Late, state(?MOST + 2)),
    ?assertEqual([{answer, Id, {error, timeout}} || Id <- lists:seq(1, Late)], lists:sort(Effects)),
    ?assertEqual([send(?MOST + 2)], element(1, py_worker_urgent:reply(1, <<"frame">>, U))).

late_sent() ->
    {[{answer, 1, {error, timeout}}], U} = py_worker_urgent:expire(1, state(?MOST + 1)),
    ?assertEqual({[], U}, py_worker_urgent:expire(1, U)),
    ?assertMatch({[], _}, push(99, 99, U)),
    ?assertEqual([send(?MOST + 1)], element(1, py_worker_urgent:reply(1, <<"frame">>, U))).

in_time() ->
    U = state(2),
    ?assertEqual({[], U}, py_worker_urgent:expire(0, U)).

count() ->
    ?assertEqual(0, py_worker_urgent:count(py_worker_urgent:new())),
    U = state(?MOST + 2),
    ?assertEqual(?MOST + 2, py_worker_urgent:count(U)),
    {_, Late} = py_worker_urgent:expire(1, U),
    ?assertEqual(?MOST + 1, py_worker_urgent:count(Late)).

soonest() ->
    ?assertEqual(infinity, py_worker_urgent:soonest(py_worker_urgent:new())),
    U = state(?MOST + 1),
    ?assertEqual(1, py_worker_urgent:soonest(U)),
    {_, Later} = py_worker_urgent:expire(?MOST, U),
    ?assertEqual(?MOST + 1, py_worker_urgent:soonest(Later)).

give_up() ->
    {_, U} = py_worker_urgent:expire(1, state(?MOST + 1)),
    ?assertEqual([{answer, Id, failed} || Id <- lists:seq(2, ?MOST + 1)],
                 lists:sort(py_worker_urgent:give_up(failed, U))).
