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
        {"a worker that has begun to start", fun starting/0},
        {"a worker that dies while its successor is under way", fun dies_live/0},
        {"nothing happens while nobody wants it", fun idle/0},
        {"the next one waits until the successor is ready", fun waits/0},
        {"a second wish is refused, and the first goes on", fun twice/0},
        {"a worker that has died meanwhile is left out", fun died/0},
        {"a spoilt worker is replaced, and nobody is told", fun spoilt/0},
        {"a spoilt worker comes before those of a restart", fun spoilt_first/0},
        {"a spoilt worker whose successor is under way", fun spoilt_replaced/0},
        {"a restart begins while a spoilt worker is replaced", fun restart_behind_spoilt/0},
        {"one slot's worker alone", fun one/0},
        {"one whose worker has died meanwhile", fun one_died/0},
        {"one slot, while spoilt workers are replaced", fun one_behind_spoilt/0},
        {"a spoilt worker ends when its successor cannot start", fun spoilt_fails/0},
        {"a worker over a limit comes when the others are done", fun wanted/0},
        {"a worker over a limit whose successor is under way", fun wanted_twice/0},
        {"a restart replaces what was started before it, too", fun restart_replaced/0},
        {"a successor that is somebody else's does not matter", fun not_mine/0},
        [fails(Row) || Row <- failures()]
    ]).

all() ->
    From = from(),
    {R1, [{replace, 1, restarted}]} = py_pool_roll:begin_with(From, [1, 2], phases([], [1, 2]), py_pool_roll:new()),
    {R2, [{replace, 2, restarted}]} = py_pool_roll:next(phases([], [1, 2]), R1),
    {R3, Effects} = py_pool_roll:next(phases([], [1, 2]), R2),
    ?assertEqual([{reply, From, ok}], Effects),
    ?assertEqual(py_pool_roll:new(), R3).

%% Their slots get workers anyway: those are waited for.
none() ->
    From = from(),
    {R1, []} = py_pool_roll:begin_with(From, [1, 2], phases([], []), py_pool_roll:new()),
    ?assertEqual({R1, []}, py_pool_roll:next(phases([], [2]), R1)),
    ?assertEqual({R1, []}, py_pool_roll:next((phases([], [2]))#{1 := starting}, R1)),
    ?assertEqual({R1, []}, py_pool_roll:died(2, killed, phases([], []), R1)),
    ?assertEqual({R1, []}, py_pool_roll:failed(2, killed, phases([], []), R1)),
    {R2, []} = py_pool_roll:next(phases([], [1]), R1),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1, 2]), R2)),
    ?assertEqual({py_pool_roll:new(), [{reply, From, {error, {python_start, <<"no">>}}}]},
                 py_pool_roll:died(1, {shutdown, {python_start, <<"no">>}}, phases([], []), R1)).

%% It may have read old code.
starting() ->
    From = from(),
    Starting = (phases([], []))#{1 := starting},
    {R1, []} = py_pool_roll:begin_with(From, [1], Starting, py_pool_roll:new()),
    ?assertEqual({R1, []}, py_pool_roll:next(Starting, R1)),
    {R2, [{replace, 1, restarted}]} = py_pool_roll:next(phases([], [1]), R1),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1]), R2)),
    {R3, []} = py_pool_roll:died(1, killed, phases([], []), R1),
    ?assertEqual({R3, []}, py_pool_roll:next(Starting, R3)),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1]), R3)),
    ?assertEqual({py_pool_roll:new(), [{reply, From, {error, {worker_exit, killed}}}]},
                 py_pool_roll:died(1, killed, phases([], []), R3)).

%% Its slot is filled anyway, and its successor is awaited.
dies_live() ->
    {R, [{replace, 1, restarted}]} = py_pool_roll:begin_with(from(), [1], phases([], [1]), py_pool_roll:new()),
    ?assertEqual({R, []}, py_pool_roll:died(1, killed, phases([1], []), R)).

idle() ->
    [?assertEqual({py_pool_roll:new(), []}, py_pool_roll:next(phases(Slots, [1]), py_pool_roll:new()))
     || Slots <- [[1], []]].

waits() ->
    {R, _} = py_pool_roll:begin_with(from(), [1, 2], phases([], [1, 2]), py_pool_roll:new()),
    ?assertEqual({R, []}, py_pool_roll:next(phases([1], [1, 2]), R)).

twice() ->
    Second = from(),
    {R, _} = py_pool_roll:begin_with(from(), [1, 2], phases([], [1, 2]), py_pool_roll:new()),
    ?assertEqual({R, [{reply, Second, {error, restarting}}]},
                 py_pool_roll:begin_with(Second, [1, 2], phases([], [1, 2]), R)),
    ?assertMatch({_, [{replace, 2, restarted}]}, py_pool_roll:next(phases([], [1, 2]), R)).

died() ->
    {R1, _} = py_pool_roll:begin_with(from(), [1, 2, 3], phases([], [1, 2, 3]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:next(phases([], [1, 3]), R1),
    ?assertMatch({_, [{replace, 3, restarted}]}, py_pool_roll:next(phases([], [1, 2, 3]), R2)).

spoilt() ->
    {R1, [{replace, 2, restarted}]} = py_pool_roll:hurry(2, self(), restarted, phases([], [1, 2]), py_pool_roll:new()),
    ?assertEqual({R1, []}, py_pool_roll:next(phases([2], [1, 2]), R1)),
    ?assertEqual({py_pool_roll:new(), []}, py_pool_roll:next(phases([], [1, 2]), R1)).

spoilt_first() ->
    From = from(),
    {R1, [{replace, 1, restarted}]} = py_pool_roll:begin_with(From, [1, 2, 3], phases([], [1, 2, 3]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:hurry(3, self(), restarted, phases([1], [1, 2, 3]), R1),
    {R3, [{replace, 3, restarted}]} = py_pool_roll:next(phases([], [1, 2, 3]), R2),
    {R4, [{replace, 2, restarted}]} = py_pool_roll:next(phases([], [1, 2, 3]), R3),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]},
                 py_pool_roll:next(phases([], [1, 2, 3]), R4)).

spoilt_replaced() ->
    From = from(),
    {R1, [{replace, 1, restarted}]} = py_pool_roll:begin_with(From, [1], phases([], [1]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:hurry(1, self(), restarted, phases([1], [1]), R1),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1]), R2)),
    ?assertEqual({py_pool_roll:new(), [{reply, From, {error, no}}, {retire, self(), restarted}]},
                 py_pool_roll:failed(1, {shutdown, no}, phases([], [1]), R2)).

restart_behind_spoilt() ->
    From = from(),
    {R1, [{replace, 2, restarted}]} = py_pool_roll:hurry(2, self(), restarted, phases([], [1, 2]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:begin_with(From, [1, 2], phases([2], [1, 2]), R1),
    {R3, [{replace, 1, restarted}]} = py_pool_roll:next(phases([], [1, 2]), R2),
    {R4, [{replace, 2, restarted}]} = py_pool_roll:next(phases([], [1, 2]), R3),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1, 2]), R4)).

one() ->
    From = from(),
    {R, [{replace, 2, restarted}]} = py_pool_roll:begin_with(From, [2], phases([], [1, 2]), py_pool_roll:new()),
    ?assertEqual({R, []}, py_pool_roll:next(phases([2], [1, 2]), R)),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1, 2]), R)).

one_died() ->
    From = from(),
    {R, []} = py_pool_roll:begin_with(From, [2], phases([], [1]), py_pool_roll:new()),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1, 2]), R)).

%% Two are spoilt: the second one's turn is still to come.
one_behind_spoilt() ->
    From = from(),
    {R1, [{replace, 2, restarted}]} = py_pool_roll:hurry(2, self(), restarted, phases([], [1, 2, 3]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:hurry(3, self(), restarted, phases([2], [1, 2, 3]), R1),
    {R3, []} = py_pool_roll:begin_with(From, [1], phases([2], [1, 2, 3]), R2),
    {R4, [{replace, 3, restarted}]} = py_pool_roll:next(phases([], [1, 2, 3]), R3),
    {R5, [{replace, 1, restarted}]} = py_pool_roll:next(phases([], [1, 2, 3]), R4),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]},
                 py_pool_roll:next(phases([], [1, 2, 3]), R5)).

spoilt_fails() ->
    {R, [{replace, 1, restarted}]} = py_pool_roll:hurry(1, self(), restarted, phases([], [1]), py_pool_roll:new()),
    ?assertEqual({py_pool_roll:new(), [{retire, self(), restarted}]},
                 py_pool_roll:failed(1, {shutdown, {python_start, <<"no">>}}, phases([], [1]), R)).

wanted() ->
    {R1, [{replace, 1, restarted}]} =
        py_pool_roll:begin_with(from(), [1, 2, 3], phases([], [1, 2, 3]), py_pool_roll:new()),
    {R2, []} = py_pool_roll:want(3, phases([1], [1, 2, 3]), R1),
    {R3, []} = py_pool_roll:want(1, phases([2], [1, 2, 3]), wanted_by(2)),
    {_, [{replace, 1, recycled}]} = py_pool_roll:next(phases([], [1, 2, 3]), R3),
    {_, [{replace, 2, restarted}]} = py_pool_roll:next(phases([], [1, 2, 3]), R2).

wanted_by(Slot) ->
    {R, [{replace, Slot, recycled}]} = py_pool_roll:want(Slot, phases([], [Slot]), py_pool_roll:new()),
    R.

wanted_twice() ->
    R = wanted_by(2),
    ?assertEqual({R, []}, py_pool_roll:want(2, phases([2], [1, 2]), R)),
    {R1, []} = py_pool_roll:want(1, phases([2], [1, 2]), R),
    ?assertEqual({R1, []}, py_pool_roll:want(1, phases([2], [1, 2]), R1)),
    %% One that was used up meanwhile has its successor.
    {R2, []} = py_pool_roll:next(phases([1], [1, 2]), R1),
    ?assertEqual({py_pool_roll:new(), []}, py_pool_roll:next(phases([], [1, 2]), R2)).

restart_replaced() ->
    From = from(),
    {R1, []} = py_pool_roll:begin_with(From, [1], phases([1], [1]), py_pool_roll:new()),
    {R2, [{replace, 1, restarted}]} = py_pool_roll:next(phases([], [1]), R1),
    ?assertEqual({py_pool_roll:new(), [{reply, From, ok}]}, py_pool_roll:next(phases([], [1]), R2)),
    %% If it cannot start, that is not the restart's.
    ?assertMatch({_, [{replace, 1, restarted}]}, py_pool_roll:failed(1, {shutdown, no}, phases([], [1]), R1)).

not_mine() ->
    R = wanted_by(2),
    ?assertEqual({R, []}, py_pool_roll:failed(1, {shutdown, no}, phases([2], [2]), R)),
    ?assertEqual({py_pool_roll:new(), []}, py_pool_roll:failed(2, {shutdown, no}, phases([], [2]), R)).

%% {how a successor ended, what the one who waits hears}
failures() ->
    [{{shutdown, {python_start, <<"no">>}}, {python_start, <<"no">>}},
     {{shutdown, {worker_exit, {signal, sigkill}}}, {worker_exit, {signal, sigkill}}},
     {killed, {worker_exit, killed}}].

fails({Ended, Reason}) ->
    {io_lib:format("a successor that cannot start: ~p", [Ended]), fun() ->
        From = from(),
        {R, _} = py_pool_roll:begin_with(From, [1, 2], phases([], [1, 2]), py_pool_roll:new()),
        ?assertEqual({py_pool_roll:new(), [{reply, From, {error, Reason}}]},
                     py_pool_roll:failed(1, Ended, phases([], [1, 2]), R))
    end}.

from() -> {self(), make_ref()}.

%% Of slots 1 to 3: some have a successor under way, some are live, the others down.
phases(Replaced, Live) ->
    Phases = maps:merge(maps:from_keys([1, 2, 3], down), maps:from_keys(Live, live)),
    maps:merge(Phases, maps:from_keys(Replaced, replaced)).
