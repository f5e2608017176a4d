#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_queue: who waits in which order, whose patience ends when, and who is
%% refused. The pool has no processes: this script stands for its worker, and the
%% callers are processes that do nothing but wait for their answers.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

-define(FOREVER, 600_000).

main(_) ->
    tap:run([
        {"where there is room, nobody waits", in_pool(0, fun room/1)},
        {"places are given in the order of arrival", in_pool(0, fun order/1)},
        {"what comes back from a worker has its old place", in_pool(?LEAST_WINDOW, fun old_place/1)},
        {"no more get a place than there is room for", in_pool(?LEAST_WINDOW - 2, fun some/1)},
        {"more than may wait are refused, with how many wait", in_pool(?LEAST_WINDOW, fun full/1)},
        {"what comes back is not refused", in_pool(?LEAST_WINDOW, fun returned/1)},
        {"who asks again waits once", in_pool(?LEAST_WINDOW, fun again/1)},
        {"who comes too late is out of time", in_pool(?LEAST_WINDOW, fun late/1)},
        {"the soonest deadline is first, whoever came first", in_pool(?LEAST_WINDOW, fun deadlines/1)},
        {"if no worker can start, they are told why", in_pool(?LEAST_WINDOW, fun broken/1)},
        {"the queue's patience is no deadline", in_pool(?LEAST_WINDOW, fun patience/1)},
        {"a timer that is out of date says nothing", in_pool(?LEAST_WINDOW, fun old_timer/1)},
        {"one of several timers with the same end", in_pool(?LEAST_WINDOW, fun same_end/1)},
        {"the dead keep no place", in_pool(?LEAST_WINDOW, fun dead/1)},
        {"the death of somebody who had a place already", in_pool(0, fun dead_later/1)},
        {"the death of somebody else", in_pool(?LEAST_WINDOW, fun stranger/1)}
    ]).

%% A pool with one worker, this process, which has so much to do.
in_pool(Load, Test) ->
    fun() ->
        Pool = py_pool_board:new(unit, #{size => 1, timeout => 1, concurrency => 100, max_frame => 1024, max_queue => 3,
                                         interrupt_grace => 1, close_grace => 1, drain => 1}),
        ok = py_pool_board:join(Pool, 1, self(), undefined),
        ok = py_pool_load:set(Pool, 1, {Load, ?LEAST_WINDOW}),
        try Test(Pool) after py_pool_board:delete(unit) end
    end.

queue(Pool) ->
    py_pool_queue:new(Pool, 3, ?FOREVER).

now_ms() ->
    erlang:monotonic_time(millisecond).

caller() ->
    spawn_link(fun() -> receive stop -> ok end end).

%% A request that came as the Nth; the answer to it comes here.
req(N) ->
    req(N, caller(), infinity).

req(N, Caller, Deadline) ->
    #req{reply_to = alias(), caller = Caller, kind = job, arrival = N, deadline = Deadline,
         arity = 2, size = 1, body = []}.

enter(Reqs, Queue) ->
    lists:foldl(fun py_pool_queue:enter/2, Queue, Reqs).

answers(Reqs) ->
    [answer(Req) || Req <- Reqs].

answer(#req{reply_to = ReplyTo}) ->
    receive {ReplyTo, Answer} -> Answer after 0 -> none end.

%% The worker has room for so many: who has a place, in order?
granted(Room, Pool, Reqs, Queue) ->
    ok = py_pool_load:set(Pool, 1, {?LEAST_WINDOW - Room, ?LEAST_WINDOW}),
    Next = py_pool_queue:grant(Queue),
    {[Req#req.arrival || Req <- Reqs, answer(Req) =:= {sent, self()}], Next}.

%% ---------------------------------------------------------------------------
%% Order

room(Pool) ->
    Req = req(1),
    Queue = enter([Req], queue(Pool)),
    ?assertEqual({sent, self()}, answer(Req)),
    ?assertEqual(0, py_pool_queue:waiting(Queue)),
    ?assertNot(py_pool_load:has_waiting(Pool)).

order(Pool) ->
    ok = py_pool_load:set(Pool, 1, {?LEAST_WINDOW, ?LEAST_WINDOW}),
    Reqs = [req(N) || N <- [2, 1, 3]],
    Queue = enter(Reqs, queue(Pool)),
    ?assert(py_pool_load:has_waiting(Pool)),
    {First, Q1} = granted(1, Pool, Reqs, Queue),
    {Second, Q2} = granted(1, Pool, Reqs, Q1),
    {Third, Q3} = granted(1, Pool, Reqs, Q2),
    ?assertEqual([[1], [2], [3]], [First, Second, Third]),
    ?assertEqual(0, py_pool_queue:waiting(Q3)),
    ?assertNot(py_pool_load:has_waiting(Pool)).

old_place(Pool) ->
    Reqs = [req(5), req(6), (req(1))#req{returned = true}],
    ?assertMatch({[1], _}, granted(1, Pool, Reqs, enter(Reqs, queue(Pool)))).

some(Pool) ->
    Reqs = [req(N) || N <- [1, 2, 3]],
    Queue = enter(Reqs, queue(Pool)),
    ?assertEqual([{sent, self()}, {sent, self()}, none], answers(Reqs)),
    ?assertEqual(1, py_pool_queue:waiting(Queue)).

%% ---------------------------------------------------------------------------
%% Who may wait

full(Pool) ->
    Reqs = [req(N) || N <- [1, 2, 3, 4]],
    Queue = enter(Reqs, queue(Pool)),
    ?assertEqual([none, none, none, {error, {overloaded, 3, 3}}], answers(Reqs)),
    ?assertEqual(3, py_pool_queue:waiting(Queue)).

returned(Pool) ->
    Reqs = [req(N) || N <- [1, 2, 3]] ++ [(req(4))#req{returned = true}],
    Queue = enter(Reqs, queue(Pool)),
    ?assertEqual([none, none, none, none], answers(Reqs)),
    ?assertEqual(4, py_pool_queue:waiting(Queue)).

%% Its worker is gone; it may come back with another reference.
again(Pool) ->
    Caller = caller(),
    Reqs = [req(1, Caller, infinity), (req(1, Caller, infinity))#req{returned = true}],
    Queue = enter(Reqs, queue(Pool)),
    ?assertEqual(1, py_pool_queue:waiting(Queue)),
    _ = granted(?LEAST_WINDOW, Pool, [], Queue),
    ?assertEqual([none, {sent, self()}], answers(Reqs)).

late(Pool) ->
    Req = req(1, caller(), now_ms() - 1),
    ?assertEqual(0, py_pool_queue:waiting(enter([Req], queue(Pool)))),
    ?assertEqual({error, timeout}, answer(Req)).

%% ---------------------------------------------------------------------------
%% Time

%% Waits for the timer that is armed: nothing else says which one that is.
timed_out(Queue) ->
    receive {timeout, Timer, waited} -> py_pool_queue:timed_out(Timer, Queue) end.

deadlines(Pool) ->
    Now = now_ms(),
    Reqs = [req(1, caller(), Now + ?FOREVER), req(2, caller(), Now + 90), req(3, caller(), Now + 30)],
    Q1 = timed_out(enter(Reqs, queue(Pool))),
    ?assertEqual({error, timeout}, answer(lists:last(Reqs))),
    Q2 = case py_pool_queue:waiting(Q1) of
             2 -> timed_out(Q1);
             1 -> Q1        % the machine was late
         end,
    ?assertEqual([none, {error, timeout}, none], answers(Reqs)),
    ?assertEqual(1, py_pool_queue:waiting(Q2)).

broken(Pool) ->
    Why = {error, {python_start, <<"no">>}},
    Broken = py_pool_queue:broken(Why, queue(Pool)),
    ?assertEqual(Why, py_pool_queue:out_of_time(Broken)),
    Late = req(1, caller(), now_ms() - 1),
    ?assertEqual(0, py_pool_queue:waiting(enter([Late], Broken))),
    Reqs = [req(N) || N <- [1, 2, 3, 4]],
    Full = enter(Reqs, Broken),
    ?assertEqual([Why, none, none, none, Why], answers([Late | Reqs])),
    Whole = py_pool_queue:broken(none, Full),
    ?assertEqual({error, timeout}, py_pool_queue:out_of_time(Whole)),
    More = req(5),
    _ = enter([More], Whole),
    ?assertEqual({error, {overloaded, 3, 3}}, answer(More)).

patience(Pool) ->
    Reqs = [req(1), req(2)],
    Q1 = enter(Reqs, py_pool_queue:new(Pool, 3, 20)),
    Q2 = timed_out(Q1),
    case py_pool_queue:waiting(Q2) of
        0 -> ok;
        1 -> ?assertEqual(0, py_pool_queue:waiting(timed_out(Q2)))
    end,
    [?assertMatch({error, {overloaded, _, 3}}, Answer) || Answer <- answers(Reqs)].

old_timer(Pool) ->
    Req = req(1, caller(), now_ms() + ?FOREVER),
    Queue = enter([Req], queue(Pool)),
    ?assertEqual(1, py_pool_queue:waiting(py_pool_queue:timed_out(make_ref(), Queue))),
    ?assertEqual(none, answer(Req)).

same_end(Pool) ->
    Until = now_ms() + 20,
    Reqs = [req(1, caller(), Until), req(1, caller(), Until)],
    ?assertEqual(0, py_pool_queue:waiting(timed_out(enter(Reqs, queue(Pool))))),
    ?assertEqual([{error, timeout}, {error, timeout}], answers(Reqs)).

%% ---------------------------------------------------------------------------
%% Death

dead(Pool) ->
    Reqs = [#req{caller = First}, _] = [req(1), req(2)],
    {gone, Queue} = py_pool_queue:gone(First, enter(Reqs, queue(Pool))),
    ?assertEqual(1, py_pool_queue:waiting(Queue)),
    ?assertMatch({[2], _}, granted(?LEAST_WINDOW, Pool, Reqs, Queue)).

dead_later(Pool) ->
    #req{caller = Caller} = Req = req(1),
    Queue = enter([Req], queue(Pool)),
    ?assertEqual({sent, self()}, answer(Req)),
    {gone, Rest} = py_pool_queue:gone(Caller, Queue),
    ?assertEqual(0, py_pool_queue:waiting(Rest)),
    ?assertEqual(unknown, py_pool_queue:gone(Caller, Rest)).

stranger(Pool) ->
    ?assertEqual(unknown, py_pool_queue:gone(self(), enter([req(1)], queue(Pool)))).
