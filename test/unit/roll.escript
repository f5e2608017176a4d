#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_roll: workers are replaced one after another.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"one after another, then the answer", fun all/0},
        {"no worker to replace", fun none/0},
        {"nothing happens while nobody wants it", fun idle/0},
        {"the next one waits until the successor is ready", fun waits/0},
        {"a second wish is refused, and the first goes on", fun twice/0},
        {"a worker that has died meanwhile is left out", fun died/0},
        [fails(Row) || Row <- failures()]
    ]).

all() ->
    From = from(),
    {R1, [{replace, 1}]} = py_pool_roll:begin_with(From, [1, 2], py_pool_roll:new()),
    {R2, [{replace, 2}]} = py_pool_roll:next(false, [1, 2], R1),
    {R3, Effects} = py_pool_roll:next(false, [1, 2], R2),
    ?assertEqual([{reply, From, ok}], Effects),
    ?assertEqual(py_pool_roll:new(), R3).

none() ->
    From = from(),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]},
                 py_pool_roll:begin_with(From, [], py_pool_roll:new())).

idle() ->
    [?assertEqual({py_pool_roll:new(), []}, py_pool_roll:next(Is, [1], py_pool_roll:new()))
     || Is <- [true, false]].

waits() ->
    {R, _} = py_pool_roll:begin_with(from(), [1, 2], py_pool_roll:new()),
    ?assertEqual({R, []}, py_pool_roll:next(true, [1, 2], R)).

twice() ->
    Second = from(),
    {R, _} = py_pool_roll:begin_with(from(), [1, 2], py_pool_roll:new()),
    ?assertEqual({R, [{reply, Second, {error, restarting}}]},
                 py_pool_roll:begin_with(Second, [1, 2], R)),
    ?assertMatch({_, [{replace, 2}]}, py_pool_roll:next(false, [1, 2], R)).

died() ->
    {R1, _} = py_pool_roll:begin_with(from(), [1, 2, 3], py_pool_roll:new()),
    {R2, []} = py_pool_roll:next(false, [1, 3], R1),
    ?assertMatch({_, [{replace, 3}]}, py_pool_roll:next(false, [1, 2, 3], R2)).

%% {how a successor ended, what the one who waits hears}
failures() ->
    [{{shutdown, {python_start, <<"no">>}}, {python_start, <<"no">>}},
     {{shutdown, {worker_exit, {signal, sigkill}}}, {worker_exit, {signal, sigkill}}},
     {killed, {worker_exit, killed}}].

fails({Ended, Reason}) ->
    {io_lib:format("a successor that cannot start: ~p", [Ended]), fun() ->
        From = from(),
        {R, _} = py_pool_roll:begin_with(From, [1, 2], py_pool_roll:new()),
        ?assertEqual({py_pool_roll:new(), [{reply, From, {error, Reason}}]},
                     py_pool_roll:failed(Ended, R))
    end}.

from() -> {self(), make_ref()}.
