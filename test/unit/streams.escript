#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_streams: who gets which chunk, how much credit the program has, and
%% how streams end.
%%
%% A stream is named by its Id: the answer to its opening goes to the same
%% number, a pull's answer to the atom that pulls.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

%% Most items in a chunk; how long a stream that was closed may take to end (ms).
-define(CHUNK, 10).
-define(STOP_GRACE, 500).

main(_) ->
    tap:run([
        {"a stream opens with its first chunk", fun opens/0},
        {"a pull gets the chunk that is there, and credit goes out", fun pull/0},
        {"a pull waits for the next chunk", fun waits/0},
        {"chunks come in order", fun order/0},
        {"a second pull at a time is refused", fun busy/0},
        {"a pull of a stream that is not open", fun closed/0},
        {"the last word comes after the last chunk, and ends the stream", fun last_word/0},
        {"a frame that is no stream's", fun unknown/0},
        [{"credit: " ++ Name, fun() -> credit(Items, Bytes, Ahead) end}
         || {Name, Items, Bytes, Ahead} <- credits()],
        {"a stream without credit is not active", fun active/0},
        {"one whose items are awaited has no turns, and is no progress", fun awaited/0},
        {"how many are at work, whatever comes, and none in the end", fun counts/0},
        {"one that has turns on threads is no progress, and is cancelled", fun threaded/0},
        {"close: the program has a while to end it", fun close/0},
        {"a stream whose last word has come is not stopped", fun ended_already/0},
        {"a caller is gone, and its streams with it", fun leave/0},
        {"a stream that does not deliver in time ends at once", fun expire/0},
        {"the soonest deadline", fun soonest/0},
        {"the end: everybody who waits is answered", fun give_up/0}
    ]).

job(Id) -> job(Id, self()).

job(Id, Caller) ->
    #job{id = Id, state = {started, main}, deadline = infinity,
         req = #req{reply_to = Id, caller = Caller, kind = {stream, ?CHUNK}, arrival = 0,
                    deadline = infinity, arity = 3, size = 1, body = []}}.

request(Id) -> (job(Id))#job.req.

chunk(Id, Items) ->
    <<131, Bare/binary>> = term_to_binary({chunk, Items}),
    <<131, 104, 2, 98, Id:32, Bare/binary>>.

final(Id) -> <<131, 104, 2, 98, Id:32, 119, 2, "ok">>.

open(Id, Streams) -> open(job(Id), chunk(Id, [a]), 1, Streams).

open(Job, Frame, N, Streams) ->
    {[{answer, _, {opened, _}}], Next} = py_worker_streams:open(Job, Frame, N, Streams),
    Next.

opened(Ids) -> lists:foldl(fun open/2, py_worker_streams:new(), Ids).

pull(Id, Streams) -> py_worker_streams:pull(Id, puller, infinity, Streams).

answers(Effects) -> [{From, Answer} || {answer, From, Answer} <- Effects].

%% Pulls what has come already.
drained(Id, Streams) ->
    {[{answer, puller, {reply, _}} | _], Next} = pull(Id, Streams),
    Next.

opens() ->
    {Effects, Streams} = py_worker_streams:open(job(1), chunk(1, [a]), 1, py_worker_streams:new()),
    ?assertEqual([{answer, 1, {opened, 1}}], Effects),
    ?assertEqual({1, true, false}, {py_worker_streams:count(Streams),
                                    py_worker_streams:is_open(1, Streams),
                                    py_worker_streams:is_open(2, Streams)}),
    ?assertEqual([self()], py_worker_streams:callers(Streams)).

%% One of four items has come: three are owed, twenty shall be ahead.
pull() ->
    {Effects, _} = pull(1, opened([1])),
    ?assertEqual([{answer, puller, {reply, chunk(1, [a])}}, {send, py_wire:more(1, 17)}], Effects).

waits() ->
    Streams = drained(1, opened([1])),
    {[], Waiting} = pull(1, Streams),
    {Effects, _} = py_worker_streams:reply(1, chunk(1, [b]), Waiting),
    ?assertEqual([progress, {note, request(1)}, {answer, puller, {reply, chunk(1, [b])}}], Effects).

order() ->
    {[progress, {note, _}], Streams} = py_worker_streams:reply(1, chunk(1, [b]), opened([1])),
    {First, Rest} = pull(1, Streams),
    {Second, _} = pull(1, Rest),
    ?assertEqual([{puller, {reply, chunk(1, [Item])}} || Item <- [a, b]],
                 answers(First) ++ answers(Second)).

busy() ->
    {[], Waiting} = pull(1, drained(1, opened([1]))),
    ?assertEqual({[{answer, second, {error, busy}}], Waiting},
                 py_worker_streams:pull(1, second, infinity, Waiting)).

closed() ->
    ?assertMatch({[{answer, puller, {error, closed}}], _}, pull(2, opened([1]))).

last_word() ->
    {[progress, {note, _}], Ended} = py_worker_streams:reply(1, final(1), opened([1])),
    {Chunk, Rest} = pull(1, Ended),
    ?assertEqual([{answer, puller, {reply, chunk(1, [a])}}], Chunk),
    {Last, Gone} = pull(1, Rest),
    ?assertEqual([{answer, puller, {reply, final(1)}}], Last),
    ?assertEqual(0, py_worker_streams:count(Gone)).

unknown() ->
    ?assertEqual(unknown, py_worker_streams:reply(2, final(2), opened([1]))).

%% How much is ahead of the consumer once the first chunk of so many items and
%% bytes was pulled: two chunks, or 128 KiB if that is less; one item at least.
%% More goes out only if half of it is used up: three items are still owed.
credits() ->
    [{"small items", 1, 100, 2 * ?CHUNK},
     {"items of 16 KiB", 1, 16_384, 8},
     {"items of 32 KiB: half is still there", 1, 32_768, none},
     {"one large item", 1, 1_000_000, none}].

credit(N, Bytes, Ahead) ->
    Frame = binary:copy(<<0>>, Bytes),
    {Effects, _} = pull(1, open(job(1), Frame, N, py_worker_streams:new())),
    Owed = py_worker_streams:first_credit() - N,
    Sent = [{send, py_wire:more(1, Ahead - Owed)} || Ahead =/= none],
    ?assertEqual([{answer, puller, {reply, Frame}} | Sent], Effects).

threaded_job(Id) -> (job(Id))#job{state = {started, thread}}.

%% It is no progress of the main thread, and is cancelled as soon as it is late.
threaded() ->
    Streams = open(threaded_job(3), chunk(3, [a]), 1, opened([1, 2])),
    ?assertEqual({2, {2, 0, 1}}, {py_worker_streams:active(Streams), py_worker_streams:at_work(Streams)}),
    {[], Parked} = py_worker_streams:reply(3, chunk(3, [b, c, d]), Streams),
    ?assertEqual({2, 0, 0}, py_worker_streams:at_work(Parked)),
    Alone = open(threaded_job(3), chunk(3, [a]), 1, py_worker_streams:new()),
    ?assertEqual(none, py_worker_streams:running(Alone)),
    {[], Waiting} = py_worker_streams:pull(3, puller, 10, drained(3, Alone)),
    Cancel = py_wire:cancel(3),
    ?assertMatch({[{answer, puller, {error, timeout}}, {stop, #job{id = 3}, 10}, {send, Cancel}], _},
                 py_worker_streams:expire(10, Waiting)).

active() ->
    Streams = opened([1, 2]),
    ?assertEqual(2, py_worker_streams:active(Streams)),
    {_, Parked} = py_worker_streams:reply(1, chunk(1, [b, c, d]), Streams),
    ?assertEqual(1, py_worker_streams:active(Parked)).

awaited_job(Id) -> (job(Id))#job{state = {started, loop}}.

awaited() ->
    Streams = open(awaited_job(3), chunk(3, [a]), 1, opened([1, 2])),
    ?assertEqual({2, {2, 1, 0}}, {py_worker_streams:active(Streams), py_worker_streams:at_work(Streams)}),
    {[], Parked} = py_worker_streams:reply(3, chunk(3, [b, c, d]), Streams),
    ?assertEqual({2, 0, 0}, py_worker_streams:at_work(Parked)),
    %% It may have ended for want of memory.
    {[{note, Req}], Ended} = py_worker_streams:reply(3, final(3), Streams),
    ?assertEqual(request(3), Req),
    ?assertEqual({2, 0, 0}, py_worker_streams:at_work(Ended)),
    Alone = open(awaited_job(3), chunk(3, [a]), 1, py_worker_streams:new()),
    ?assertEqual(none, py_worker_streams:running(Alone)),
    ?assertEqual({0, 0, 0}, py_worker_streams:at_work(py_worker_streams:new())),
    %% The loop has a tick to hear of its end.
    ?assertMatch({[{stop, #job{id = 3}, 20 + ?STOP_GRACE}], _}, py_worker_streams:close(3, 10, Alone)),
    {[], Waiting} = py_worker_streams:pull(3, puller, 10, drained(3, Alone)),
    ?assertMatch({[{answer, puller, {error, timeout}}, {stop, #job{id = 3}, 20}], _},
                 py_worker_streams:expire(10, Waiting)).

%% Streams 1 and 2 have turns, 3 and 4 are awaited, 5 and 6 have turns on threads.
counts() ->
    [ended(lists:foldl(fun anything/2, py_worker_streams:new(), lists:seq(1, 30))) || _ <- lists:seq(1, 200)].

anything(_, Streams) ->
    Id = rand:uniform(6),
    Next = anything(rand:uniform(6), Id, py_worker_streams:is_open(Id, Streams), Streams),
    {Turns, Awaited, Threads} = py_worker_streams:at_work(Next),
    Open = [N || N <- lists:seq(1, 6), py_worker_streams:is_open(N, Next)],
    ?assert(lists:member(Turns, lists:seq(0, length(Open -- [3, 4, 5, 6])))),
    ?assert(lists:member(Awaited, lists:seq(0, length(Open -- [1, 2, 5, 6])))),
    ?assert(lists:member(Threads, lists:seq(0, length(Open -- [1, 2, 3, 4])))),
    Next.

anything(_, Id, false, Streams) when Id =< 2 -> open(Id, Streams);
anything(_, Id, false, Streams) when Id >= 5 -> open(threaded_job(Id), chunk(Id, [a]), 1, Streams);
anything(_, Id, false, Streams) -> open(awaited_job(Id), chunk(Id, [a]), 1, Streams);
anything(1, Id, true, Streams) -> element(2, py_worker_streams:close(Id, 0, Streams));
anything(2, Id, true, Streams) -> element(2, py_worker_streams:reply(Id, final(Id), Streams));
anything(3, Id, true, Streams) -> element(2, py_worker_streams:reply(Id, chunk(Id, [b, c, d]), Streams));
anything(_, Id, true, Streams) -> element(2, pull(Id, Streams)).

ended(Streams) ->
    {_, Ended} = py_worker_streams:leave(self(), 0, Streams),
    ?assertEqual({0, 0, 0}, py_worker_streams:at_work(Ended)).

close() ->
    {Effects, Streams} = py_worker_streams:close(1, 10, opened([1, 2])),
    ?assertMatch([{stop, #job{id = 1}, 10 + ?STOP_GRACE}], Effects),
    ?assertEqual({[], Streams}, py_worker_streams:close(1, 10, Streams)),
    ?assertEqual(1, py_worker_streams:count(Streams)).

%% However it is left: the program would not say a word about it any more.
ended_already() ->
    {[progress, {note, _}], Ended} = py_worker_streams:reply(1, final(1), opened([1])),
    Empty = py_worker_streams:close(1, 10, Ended),
    ?assertMatch({[], _}, Empty),
    ?assertEqual(Empty, py_worker_streams:leave(self(), 10, Ended)).

leave() ->
    Other = list_to_pid("<0.1.0>"),
    Streams = open(job(2, Other), chunk(2, [a]), 1, opened([1])),
    {Effects, Rest} = py_worker_streams:leave(Other, 10, Streams),
    ?assertMatch([{stop, #job{id = 2}, 10 + ?STOP_GRACE}], Effects),
    ?assertEqual([self()], py_worker_streams:callers(Rest)).

expire() ->
    {[], Waiting} = py_worker_streams:pull(1, puller, 10, drained(1, opened([1, 2]))),
    ?assertEqual({[], Waiting}, py_worker_streams:expire(9, Waiting)),
    {Effects, Rest} = py_worker_streams:expire(10, Waiting),
    ?assertMatch([{answer, puller, {error, timeout}}, {stop, #job{id = 1}, 10}], Effects),
    ?assertEqual({1, infinity}, {py_worker_streams:count(Rest), py_worker_streams:soonest(Rest)}).

soonest() ->
    Streams = drained(2, drained(1, opened([1, 2]))),
    {[], One} = py_worker_streams:pull(1, puller, 20, Streams),
    {[], Two} = py_worker_streams:pull(2, puller, 10, One),
    ?assertEqual(10, py_worker_streams:soonest(Two)),
    {_, Later} = py_worker_streams:expire(10, Two),
    ?assertEqual(20, py_worker_streams:soonest(Later)).

give_up() ->
    {[], Waiting} = pull(1, drained(1, opened([1, 2]))),
    ?assertEqual([{answer, puller, failed}], py_worker_streams:give_up(failed, Waiting)).
