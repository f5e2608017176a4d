#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% One direction of a channel: who gets which message, who waits, who is answered.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(table:rows("a queue of two", fun run/1, rows())).

%% What each step answers.
run(Steps) ->
    {Answers, _} = lists:mapfoldl(fun step/2, py_channel_queue:new(2), Steps),
    Answers.

step({send, Who, Message}, Q) -> py_channel_queue:send(Who, Message, Q);
step({recv, Who}, Q) -> py_channel_queue:recv(Who, Q);
step({leave, Who}, Q) -> {[], py_channel_queue:leave(Who, Q)};
step({close, Why}, Q) -> py_channel_queue:close(Why, Q);
step(is_empty, Q) -> {py_channel_queue:is_empty(Q), Q}.

%% {What, the steps, their answers}
rows() ->
    Full = [{send, a, 1}, {send, b, 2}, {send, c, 3}],
    [{What, [Steps], Answers}
     || {What, Steps, Answers} <-
            [{"in order", [{send, a, 1}, {send, a, 2}, {recv, b}, {recv, b}],
              [[{a, ok}], [{a, ok}], [{b, {ok, 1}}], [{b, {ok, 2}}]]},
             {"to whoever waits, the first first", [{recv, b}, {recv, c}, {send, a, 1}, {send, a, 2}],
              [[], [], [{b, {ok, 1}}, {a, ok}], [{c, {ok, 2}}, {a, ok}]]},
             {"who finds no room waits for it", Full ++ [{recv, d}, {recv, d}, {recv, d}],
              [[{a, ok}], [{b, ok}], [], [{d, {ok, 1}}, {c, ok}], [{d, {ok, 2}}], [{d, {ok, 3}}]]},
             {"a sender that leaves has sent nothing", Full ++ [{leave, c}, {recv, d}, {recv, d}, {recv, d}],
              [[{a, ok}], [{b, ok}], [], [], [{d, {ok, 1}}], [{d, {ok, 2}}], []]},
             {"a receiver that leaves gets nothing", [{recv, b}, {leave, b}, {send, a, 1}, {recv, c}],
              [[], [], [{a, ok}], [{c, {ok, 1}}]]},
             {"closed, who waits hears it", [{recv, b}, {close, closed}, {send, a, 1}, {recv, b}],
              [[], [{b, {error, closed}}], [{a, {error, closed}}], [{b, {error, closed}}]]},
             {"closed, what has a place can be had", Full ++ [{close, closed}, {recv, d}, is_empty, {recv, d}, is_empty, {recv, d}],
              [[{a, ok}], [{b, ok}], [], [{c, {error, closed}}], [{d, {ok, 1}}], false, [{d, {ok, 2}}], true,
               [{d, {error, closed}}]]},
             {"closed once", [{close, {worker_exit, why}}, {close, closed}, {recv, a}],
              [[], [], [{a, {error, {worker_exit, why}}}]]}]].
