#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_time: timeouts and deadlines.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% The longest that `receive' waits (ms).
-define(LONGEST, 16#ffffffff).

main(_) ->
    tap:run([
        [{io_lib:format("deadline of ~p from ~p on", [Timeout, Then]),
          fun() -> ?assertEqual(Deadline, py_time:deadline(Timeout, Then)) end}
         || {Timeout, Then, Deadline} <- deadlines()],
        [{io_lib:format("earliest of ~p", [Deadlines]),
          fun() -> ?assertEqual(Earliest, py_time:earliest(Deadlines)) end}
         || {Deadlines, Earliest} <- earliest()],
        {"a deadline that begins now", fun from_now/0},
        {"what is left", fun left/0}
    ]).

deadlines() ->
    [{0, 5, 5}, {10, 5, 15}, {10, -50, -40}, {infinity, 5, infinity}].

earliest() ->
    [{[], infinity}, {[infinity], infinity}, {[3, infinity, -2], -2}].

from_now() ->
    Before = py_time:now_ms(),
    Deadline = py_time:deadline(1_000),
    ?assert(Deadline >= Before + 1_000),
    ?assert(Deadline =< py_time:now_ms() + 1_000),
    ?assertEqual(infinity, py_time:deadline(infinity)).

left() ->
    Now = py_time:now_ms(),
    ?assertEqual(infinity, py_time:left(infinity)),
    ?assertEqual(0, py_time:left(Now - 1)),
    ?assertEqual(?LONGEST, py_time:left(Now + 1_000 * ?LONGEST)),
    Left = py_time:left(Now + 60_000),
    ?assert(Left > 0),
    ?assert(Left =< 60_000).
