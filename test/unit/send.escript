#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_send: a program that answers fast has more, one that is slow or has
%% rested the least; and what may be sent goes in one frame, as far as it has room.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

main(_) ->
    tap:run([
        {"at first it takes the least", fun first/0},
        table:rows("from one tick to the next", fun window/2, windows()),
        {"each tick is by itself", fun ticks/0},
        {"between two ticks it becomes wider, each time twice as many were answered", fun widen/0},
        {"between two ticks it does not become narrower", fun not_narrower/0},
        {"after a rest it begins to measure", fun rested/0},
        {"what is asked back", fun recall/0},
        table:rows("sent", fun frames/3, sent())
    ]).

new() ->
    py_worker_send:new(#{features => [quit, batch]}, 65536).

first() ->
    {Windows, _} = py_worker_send:tick(10, 10, new()),
    ?assertEqual({?LEAST_WINDOW, 2 * ?LEAST_WINDOW, 26}, Windows).

windows() ->
    [{What, [Ms, Answered], Windows} || {What, Ms, Answered, Windows} <-
        [{"nothing is answered", 10, 0, {?LEAST_WINDOW, 2 * ?LEAST_WINDOW}},
         {"slow calls", 10, 5, {?LEAST_WINDOW, 2 * ?LEAST_WINDOW}},
         {"what it answers in five milliseconds, and in twenty", 10, 400, {200, 800}},
         {"no more than the most", 10, 1_000_000, {?MOST_WINDOW, 2_000_000}},
         {"after a rest", 60_000, 500, {?LEAST_WINDOW, 2 * ?LEAST_WINDOW}},
         {"no time at all", 0, 20, {100, 400}}]].

window(Ms, Answered) ->
    {_, Window} = py_worker_send:tick(1000, 50, new()),
    {{Size, Far, Due}, _} = py_worker_send:tick(1000 + Ms, 50 + Answered, Window),
    ?assertEqual(50 + Answered + 16, Due),
    {Size, Far}.

ticks() ->
    {_, One} = py_worker_send:widen(0, 0, new()),
    {{200, _, _}, Two} = py_worker_send:tick(10, 400, One),
    ?assertMatch({{?LEAST_WINDOW, _, _}, _}, py_worker_send:tick(20, 400, Two)).

%% What is too many is only looked at by the tick.
widen() ->
    {{?LEAST_WINDOW, _, 16}, New} = py_worker_send:tick(0, 0, new()),
    {{?LEAST_WINDOW, ?MOST_WINDOW, 32}, Begun} = py_worker_send:widen(100, 16, New),
    {{80, ?MOST_WINDOW, 48}, Once} = py_worker_send:widen(100, 32, Begun),
    {{160, ?MOST_WINDOW, 80}, Twice} = py_worker_send:widen(101, 48, Once),
    {{160, ?MOST_WINDOW, 144}, Thrice} = py_worker_send:widen(102, 80, Twice),
    ?assertMatch({{120, 480, 272}, _}, py_worker_send:tick(110, 256, Thrice)).

not_narrower() ->
    {_, New} = py_worker_send:widen(0, 0, new()),
    {{200, _, _}, Wide} = py_worker_send:tick(10, 400, New),
    ?assertMatch({{200, ?MOST_WINDOW, 432}, _}, py_worker_send:widen(15, 416, Wide)).

rested() ->
    {_, New} = py_worker_send:widen(0, 0, new()),
    {{200, _, _}, Wide} = py_worker_send:tick(10, 400, New),
    {{?LEAST_WINDOW, _, 416}, Rests} = py_worker_send:tick(20, 400, Wide),
    {{?LEAST_WINDOW, _, 432}, Begun} = py_worker_send:widen(60_000, 416, Rests),
    ?assertMatch({{80, _, 448}, _}, py_worker_send:widen(60_001, 432, Begun)).

%% The program takes it apart as it does many requests.
recall() ->
    ?assertEqual([py_wire:take_back(1)], py_worker_send:recall([1], new())),
    [Frame] = py_worker_send:recall([1, 2], new()),
    ?assertEqual([{take_back, 1}, {take_back, 2}],
                 [binary_to_term(Part) || Part <- binary_to_term(iolist_to_binary(Frame))]),
    Lone = py_worker_send:new(#{}, 65536),
    ?assertEqual([py_wire:take_back(Id) || Id <- [1, 2]], py_worker_send:recall([1, 2], Lone)).

%% ---------------------------------------------------------------------------

%% {What, whether batches are taken, max_frame, sizes of the jobs, Ids of each frame}
sent() ->
    Part = py_wire:part_size(100),
    Head = py_wire:batch_head(),
    Three = [100, 100, 100],
    [{What, [Batches, MaxFrame, Sizes], Frames} || {What, Batches, MaxFrame, Sizes, Frames} <-
        [{"nothing", true, 65536, [], []},
         {"a lone one has no list", true, 65536, [100], [1]},
         {"what has piled up, in order", true, 65536, Three, [[1, 2, 3]]},
         {"to a program that takes no batches", false, 65536, Three, [1, 2, 3]},
         {"as much as there is room for", true, Head + 3 * Part, Three, [[1, 2, 3]]},
         {"not one byte more", true, Head + 3 * Part - 1, Three, [[1, 2], 3]},
         {"a large one by itself", true, 1000, [2000, 100, 100], [1, [2, 3]]},
         {"behind others, too", true, 1000, [100, 100, 2000], [[1, 2], 3]},
         {"no more than the window", true, 65536, lists:duplicate(?LEAST_WINDOW + 1, 10),
          [lists:seq(1, ?LEAST_WINDOW)]}]].

frames(Batches, MaxFrame, Sizes) ->
    Jobs = lists:foldl(fun push/2, py_worker_jobs:new(#{concurrency => 100, threads => 1, interrupt_grace => 500}), lists:enumerate(Sizes)),
    frames(Jobs, py_worker_send:new(#{features => [batch || Batches]}, MaxFrame)).

push({Id, Size}, Jobs) ->
    Body = iolist_to_binary([<<119, 2, "op">>, binary:copy(<<0>>, Size - 4)]),
    Req = #req{reply_to = Id, caller = self(), kind = job, arrival = 0, deadline = infinity,
               arity = 2, size = Size, body = py_secret:hide(Body)},
    {[], Next} = py_worker_jobs:push(Id, Req, 100, Jobs),
    Next.

%% The Ids in each frame, of a list if it is one.
frames(Jobs, Send) ->
    case py_worker_send:next(Jobs, Send) of
        {Frame, Sent} -> [ids(iolist_to_binary(Frame)) | frames(Sent, Send)];
        none -> []
    end.

ids(<<131, 104, 2, 98, Id:32, _/binary>>) -> Id;
ids(Batch) -> [ids(Part) || Part <- binary_to_term(Batch)].
