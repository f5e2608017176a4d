#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_awaited and the jobs that are in it: they run beside the others, are cancelled when
%% their time is up or their caller is gone, and a loop that does not hear of that is found,
%% as are threads that do not stop.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

main(_) ->
    tap:run([
        {"the next job may start", fun next_starts/0},
        {"its reply goes to whoever waits, and is no progress of another", fun reply/0},
        {"what comes ahead of the reply", fun ahead/0},
        [{"load: " ++ Name, fun() ->
             ?assertEqual(Load, py_awaited:load(Own, Streams, some(N))) end}
         || {Name, Own, N, Streams, Load} <- loads()],
        {"time is up: it is cancelled, and whether it hears of that is looked at", fun expire/0},
        {"it hears of that in time", fun told/0},
        {"it is over in time", fun over/0},
        {"its caller is gone", fun leave/0},
        {"it was cancelled before it was awaited", fun cancelled_before/0},
        {"whoever wants to hears that it is awaited", fun aside/0},
        {"a stream whose items are awaited: opened, stopped, its last word", fun stream/0},
        {"a stream that is stopped, and its loop does not hear of that", fun stream_unheard/0},
        {"a stream that is out of time before its first item", fun stream_late/0},
        {"within a call: it is no progress of the job below", fun nested/0},
        {"death fails it", fun give_up/0},
        {"where the loop is", fun where/0},
        {"on a thread: it has started when the program says so", fun threaded/0},
        {"a stream on threads that is late: it ends when a thread is at it", fun ending_stream/0},
        {"a stream on threads that is closed", fun closed_stream/0},
        {"a stream on threads that is left", fun left_stream/0},
        {"all threads are at work: nothing more should come", fun full/0},
        {"a thread that does not stop is stuck, and after the grace another worker is wanted", fun stuck/0},
        {"half of the threads are stuck", fun half_stuck/0},
        {"what runs on top of a thread's job takes no room", fun within_thread/0},
        {"and if it does not stop, is as what is stuck", fun within_stuck/0},
        {"it was cancelled before it was on a thread", fun cancelled_before_thread/0},
        {"what a thread returns is awaited", fun from_thread/0}
    ]).

req(Id) ->
    #req{reply_to = Id, caller = self(), owner = self(), kind = job, arrival = 0, deadline = 100,
         arity = 2, size = 1, body = <<"body">>}.

options() -> #{concurrency => 10, threads => 4, interrupt_grace => 500}.

job(Id) -> #job{id = Id, req = req(Id), deadline = 100}.

some(N) ->
    lists:foldl(fun(Id, A) -> {[], Next} = py_awaited:add(loop, job(Id), 0, A), Next end,
                py_awaited:new(options()), lists:seq(1, N)).

%% {Name, the load without them, how many of them, how many streams, the load}; there may
%% be 10 of them.
loads() ->
    [{"none", {3, 8}, 0, 0, {3, 8}}, {"a few: as much room as before", {3, 8}, 2, 0, {5, 10}},
     {"many: less room", {3, 8}, 6, 0, {9, 10}}, {"as many as may be", {0, 8}, 10, 0, {10, 10}},
     {"more than may be", {0, 8}, 12, 0, {12, 10}}, {"it takes nothing anyway", {3, 0}, 2, 0, {5, 0}},
     {"streams count as much", {3, 8}, 2, 4, {9, 10}}, {"streams alone", {3, 8}, 0, 2, {5, 10}},
     {"as many streams as may be", {0, 8}, 0, 10, {10, 10}}].

%% The first of two that were sent is awaited.
awaiting() ->
    Pushed = lists:foldl(fun(Id, J) -> {[], Next} = py_worker_jobs:push(Id, req(Id), 4, J), Next end,
                         py_worker_jobs:new(options()), [1, 2]),
    {#job{id = 1}, One} = py_worker_jobs:next(Pushed),
    {#job{id = 2}, Two} = py_worker_jobs:next(One),
    {[progress], Jobs} = py_worker_jobs:aside(loop, 1, 0, Two),
    Jobs.

aside() ->
    Job = (job(1))#job{req = (req(1))#req{aside = 7}},
    {Effects, A} = py_awaited:add(loop, Job, 0, py_awaited:new(options())),
    ?assertEqual({[{answer, 7, aside}], {[], A}}, {Effects, py_awaited:expire(1, A)}).

next_starts() ->
    Jobs = awaiting(),
    ?assertEqual({2, 1}, {py_worker_jobs:count(Jobs), py_worker_jobs:awaited(Jobs)}),
    ?assertEqual([{answer, 1, gone}, {answer, 2, gone}], lists:sort(py_worker_jobs:give_up(gone, dead, Jobs))),
    {_, Alone} = py_worker_jobs:reply(2, <<"two">>, Jobs),
    ?assert(py_worker_jobs:is_idle(Alone)),
    ?assertEqual(1, py_worker_jobs:count(Alone)),
    ?assertEqual({1, 9}, py_worker_jobs:load(0, Alone)).

reply() ->
    {[{answer, 1, {reply, <<"one">>}}], Jobs} = py_worker_jobs:reply(1, <<"one">>, awaiting()),
    ?assertEqual(unknown, py_worker_jobs:reply(1, <<"again">>, Jobs)),
    ?assertEqual({1, 1}, {py_worker_jobs:count(Jobs), py_worker_jobs:calls(Jobs)}).

ahead() ->
    Jobs = py_worker_jobs:ahead(1, <<"bill">>, py_worker_jobs:ahead(1, <<"output">>, awaiting())),
    ?assertMatch({[{answer, 1, {reply, <<"one">>, [<<"output">>, <<"bill">>]}}], _},
                 py_worker_jobs:reply(1, <<"one">>, Jobs)).

late() ->
    {_, Alone} = py_worker_jobs:reply(2, <<"two">>, awaiting()),
    ?assertEqual({[], Alone}, py_worker_jobs:expire(99, Alone)),
    Cancel = py_wire:cancel(1),
    {[{answer, 1, {error, timeout}}, {send, Cancel}], Late} = py_worker_jobs:expire(100, Alone),
    ?assertEqual(110, py_worker_jobs:soonest(Late)),
    Late.

expire() ->
    {[{unheard, 1}], Unheard} = py_worker_jobs:expire(110, late()),
    {[{unheard, 1}], _} = py_worker_jobs:expire(120, Unheard),
    ?assert(py_worker_jobs:is_awaited(1, Unheard)),
    ?assertEqual(self(), py_worker_jobs:owner(1, Unheard)).

told() ->
    {[{ended, 1}], Told} = py_worker_jobs:aside(loop, 1, 105, late()),
    {[], Known} = py_worker_jobs:expire(1000, Told),
    ?assertEqual(infinity, py_worker_jobs:soonest(Known)),
    ?assertEqual(1, py_worker_jobs:count(Known)),
    {[{ended, 1}], Over} = py_worker_jobs:reply(1, <<"one">>, Known),
    ?assertEqual(0, py_worker_jobs:count(Over)),
    ?assertEqual({[], Over}, py_worker_jobs:aside(loop, 1, 0, Over)).

over() ->
    {[{ended, 1}], Over} = py_worker_jobs:reply(1, <<"one">>, late()),
    ?assertEqual(0, py_worker_jobs:count(Over)).

leave() ->
    {Effects, Left} = py_worker_jobs:leave(self(), 50, 1000, awaiting()),
    ?assert(lists:member({send, py_wire:cancel(1)}, Effects)),
    ?assertEqual(60, py_worker_jobs:soonest(Left)),
    ?assertEqual([], py_worker_jobs:give_up(gone, dead, Left)),
    {Again, _} = py_worker_jobs:expire(60, Left),
    ?assert(lists:member({unheard, 1}, Again)).

cancelled_before() ->
    {[], Pushed} = py_worker_jobs:push(1, req(1), 4, py_worker_jobs:new(options())),
    {_, Sent} = py_worker_jobs:next(Pushed),
    {_, Late} = py_worker_jobs:expire(100, Sent),
    Cancel = py_wire:cancel(1),
    ?assertMatch({[progress, {ended, 1}, {send, Cancel}], _}, py_worker_jobs:aside(loop, 1, 105, Late)).

nested() ->
    {[], Pushed} = py_worker_jobs:push(1, req(1), 4, py_worker_jobs:new(options())),
    {_, Sent} = py_worker_jobs:next(Pushed),
    {_, Jobs} = py_worker_jobs:nest(2, (req(2))#req{within = 300, body = py_secret:hide(<<>>)}, Sent),
    ?assertMatch({[], _}, py_worker_jobs:aside(loop, 2, 0, Jobs)).

give_up() ->
    Jobs = awaiting(),
    {[{recall, [2]}], Busy} = py_worker_jobs:take_back(Jobs),
    ?assertEqual([{answer, 1, gone}, {answer, 2, gone}], lists:sort(py_worker_jobs:give_up(gone, dead, Busy))),
    ?assert(py_worker_jobs:has_free(Jobs)),
    ?assertEqual([self(), self()], py_worker_jobs:callers(Jobs)).

chunk(Id) ->
    <<131, Bare/binary>> = term_to_binary({chunk, [a]}),
    <<131, 104, 2, 98, Id:32, Bare/binary>>.

final(Id) -> <<131, 104, 2, 98, Id:32, 119, 2, "ok">>.

awaiting_stream() ->
    Req = (req(1))#req{kind = {stream, 10}},
    {[], Pushed} = py_worker_jobs:push(1, Req, 4, py_worker_jobs:new(options())),
    {#job{id = 1}, Sent} = py_worker_jobs:next(Pushed),
    {[progress], Jobs} = py_worker_jobs:aside(loop, 1, 0, Sent),
    Jobs.

%% It is put back when it is to end, and what it still says is for nobody.
stopped_stream() ->
    {[{open, #job{id = 1, state = {started, loop}} = Job, _, 1}], Opened} =
        py_worker_jobs:reply(1, chunk(1), awaiting_stream()),
    ?assertEqual(0, py_worker_jobs:count(Opened)),
    py_worker_jobs:put_back(Job, 50, Opened).

stream() ->
    Stopped = stopped_stream(),
    ?assert(py_worker_jobs:is_idle(Stopped)),
    ?assertEqual({1, 50}, {py_worker_jobs:awaited(Stopped), py_worker_jobs:soonest(Stopped)}),
    {[], More} = py_worker_jobs:reply(1, chunk(1), Stopped),
    ?assertEqual(1, py_worker_jobs:awaited(More)),
    {[{ended, 1}], Told} = py_worker_jobs:aside(loop, 1, 20, More),
    {[], Late} = py_worker_jobs:expire(1000, Told),
    {[], Still} = py_worker_jobs:reply(1, chunk(1), Late),
    {[], _} = py_worker_jobs:expire(2000, Still),
    {[{ended, 1}], Over} = py_worker_jobs:reply(1, final(1), Still),
    ?assertEqual(0, py_worker_jobs:count(Over)).

stream_unheard() ->
    {[], Waits} = py_worker_jobs:expire(49, stopped_stream()),
    {[{unheard, 1}], Unheard} = py_worker_jobs:expire(50, Waits),
    ?assert(py_worker_jobs:is_awaited(1, Unheard)).

stream_late() ->
    Cancel = py_wire:cancel(1),
    {[{answer, 1, {error, timeout}}, {send, Cancel}], Late} = py_worker_jobs:expire(100, awaiting_stream()),
    {[], Crossed} = py_worker_jobs:reply(1, chunk(1), Late),
    ?assertEqual(1, py_worker_jobs:awaited(Crossed)),
    {[{ended, 1}], _} = py_worker_jobs:reply(1, final(1), Crossed).

where() ->
    Frame = fun(F) -> #{file => <<"a.py">>, line => 3, function => F, text => <<>>} end,
    Stacks = [#{thread => <<"MainThread">>, frames => [Frame(<<"main">>)]},
              #{thread => <<"asyncio">>, frames => [Frame(<<"outer">>), Frame(<<"inner">>)]}],
    ?assertEqual(<<"a.py, line 3, in inner">>, py_awaited:where(Stacks)),
    ?assertEqual(unknown, py_awaited:where([hd(Stacks)])).

%% ---------------------------------------------------------------------------
%% Threads

%% So many that may run aside were sent, and are on threads.
on(Sent, Threaded) ->
    Pushed = lists:foldl(fun(Id, J) -> {[], Next} = py_worker_jobs:push(Id, (req(Id))#req{threaded = true}, 4, J), Next end,
                         py_worker_jobs:new(options()), lists:seq(1, Sent)),
    All = lists:foldl(fun(_, J) -> {_, Next} = py_worker_jobs:next(J), Next end, Pushed, lists:seq(1, Sent)),
    lists:foldl(fun(Id, J) -> {[progress], Next} = py_worker_jobs:aside(thread, Id, 0, J), Next end,
                All, lists:seq(1, Threaded)).

answers(Jobs) -> lists:sort([{From, Answer} || {answer, From, Answer} <- py_worker_jobs:give_up(gone, dead, Jobs)]).

threaded() ->
    ?assertEqual([{1, again}, {2, again}], answers(on(2, 0))),
    Jobs = on(3, 1),
    ?assertEqual([{1, gone}, {2, again}, {3, again}], answers(Jobs)),
    ?assertEqual({1, 1, none}, {py_worker_jobs:threads(Jobs), py_worker_jobs:awaited(Jobs), py_worker_jobs:running(Jobs)}),
    ?assertEqual(false, py_worker_jobs:stuck(1000, Jobs)),
    {[progress], Two} = py_worker_jobs:aside(thread, 2, 0, Jobs),
    {[{answer, 1, {reply, <<"one">>}}], One} = py_worker_jobs:reply(1, <<"one">>, Two),
    ?assertMatch(#req{reply_to = 1}, py_worker_jobs:last(One)),     % and not what has started last
    {[{answer, 1, {reply, <<"one">>}}], Over} = py_worker_jobs:reply(1, <<"one">>, Jobs),
    ?assertEqual(0, py_worker_jobs:threads(Over)).

%% One whose first item is late, which is to end; and what the program has at last.
ending_stream() ->
    Job = (job(1))#job{req = (req(1))#req{kind = {stream, 9}, threaded = true}, deadline = 100},
    {[], A} = py_awaited:add(thread, Job, 0, py_awaited:new((options())#{threads => 2})),
    {[{answer, _, {error, timeout}}, {send, Cancel}], Late} = py_awaited:expire(100, A),
    ?assertEqual(py_wire:cancel(1), Cancel),
    ends(Late).

%% It waits for a thread as long as it takes. What is at it has a while, and is cancelled.
ends(A) ->
    ?assertEqual({1, 0}, {py_awaited:count(A), py_awaited:threads(A)}),
    ?assertEqual({1, 9}, py_awaited:load({0, 8}, 0, A)),
    {[], A} = py_awaited:expire(1_000_000, A),
    AtIt = py_awaited:at_end(1, 1000, A),
    {[], AtIt} = py_awaited:expire(1499, AtIt),
    {[{send, Cancel}], Cancelled} = py_awaited:expire(1500, AtIt),
    ?assertEqual({py_wire:cancel(1), 1}, {Cancel, py_awaited:threads(Cancelled)}),
    {[stuck], Stuck} = py_awaited:expire(1600, Cancelled),      % one of two
    ?assertEqual({0, 1}, {py_awaited:count(Stuck), py_awaited:threads(Stuck)}),
    {Job, Rest} = py_awaited:take(1, Stuck),
    ?assertEqual({0, 0}, {py_awaited:count(Rest), py_awaited:threads(Rest)}),
    Job.

%% It was open, and is closed; it may send another chunk before its last word.
closed_stream() ->
    Job = (job(1))#job{req = (req(1))#req{kind = {stream, 9}, threaded = true}, state = {started, thread}},
    New = py_awaited:new((options())#{threads => 2}),
    Closed = py_awaited:put_back(Job, 500, New),
    {Taken, Rest} = py_awaited:take(1, py_awaited:at_end(1, 0, Closed)),
    ends(py_awaited:put_back(Taken, 500, Rest)),
    ?assertEqual(New, py_awaited:at_end(1, 0, New)).

%% Its caller is gone.
left_stream() ->
    Job = (job(1))#job{req = (req(1))#req{kind = {stream, 9}, threaded = true, caller = self()}},
    {[], A} = py_awaited:add(thread, Job, 0, py_awaited:new((options())#{threads => 2})),
    {[{send, _}], Left} = py_awaited:leave(self(), 50, A),
    ends(Left).

full() ->
    ?assertMatch({3, Window} when Window > 3, py_worker_jobs:load(0, on(3, 3))),
    ?assertEqual({12, 20}, py_awaited:load({0, 8}, 0, on_threads(12))),
    {[], Both} = py_awaited:add(loop, job(99), 0, on_threads(12)),
    ?assertEqual({13, 21}, py_awaited:load({0, 8}, 0, Both)),
    Jobs = on(4, 4),
    ?assertEqual({4, 0}, py_worker_jobs:load(0, Jobs)),
    {_, Over} = py_worker_jobs:reply(1, <<"one">>, Jobs),
    ?assertMatch({3, Window} when Window > 3, py_worker_jobs:load(0, Over)).

%% More than there may be coroutines.
on_threads(N) ->
    lists:foldl(fun(Id, A) -> {[], Next} = py_awaited:add(thread, job(Id), 0, A), Next end,
                py_awaited:new((options())#{threads => 20}), lists:seq(1, N)).

%% Its time is up.
late_thread(N) ->
    {Effects, Late} = py_worker_jobs:expire(100, on(N, N)),
    ?assertEqual(lists:sort([{answer, I, {error, timeout}} || I <- lists:seq(1, N)]
                            ++ [{send, py_wire:cancel(I)} || I <- lists:seq(1, N)]), lists:sort(Effects)),
    ?assertEqual(200, py_worker_jobs:soonest(Late)),
    Late.

stuck() ->
    {[], Stuck} = py_worker_jobs:expire(200, late_thread(1)),
    ?assertEqual({0, 1, 600}, {py_worker_jobs:count(Stuck), py_worker_jobs:threads(Stuck), py_worker_jobs:soonest(Stuck)}),
    {[stuck], Known} = py_worker_jobs:expire(600, Stuck),
    ?assertEqual({[], infinity}, {element(1, py_worker_jobs:expire(10_000, Known)),
                                  py_worker_jobs:soonest(element(2, py_worker_jobs:expire(10_000, Known)))}),
    {[{ended, 1}], Over} = py_worker_jobs:reply(1, <<"one">>, Known),
    ?assertEqual({0, 0}, {py_worker_jobs:count(Over), py_worker_jobs:threads(Over)}).

%% It is on a thread that is at work already.
within_thread() ->
    {_, Nested} = py_worker_jobs:nest(9, (req(9))#req{within = 300, body = py_secret:hide(<<>>)}, on(2, 2)),
    {[], Jobs} = py_worker_jobs:aside(thread, 9, 0, Nested),
    ?assert(py_worker_jobs:is_idle(Jobs)),
    ?assertEqual({2, 2, 2}, {py_worker_jobs:count(Jobs), py_worker_jobs:awaited(Jobs), py_worker_jobs:threads(Jobs)}),
    ?assertEqual(py_worker_jobs:load(0, on(2, 2)), py_worker_jobs:load(0, Jobs)),
    {[{answer, 9, {reply, <<"nine">>}}], Two} = py_worker_jobs:reply(9, <<"nine">>, Jobs),
    ?assertEqual({2, 2}, {py_worker_jobs:count(Two), py_worker_jobs:threads(Two)}).

within_stuck() ->
    {_, Nested} = py_worker_jobs:nest(9, (req(9))#req{within = 300, body = py_secret:hide(<<>>), deadline = 50}, on(2, 2)),
    {[], Jobs} = py_worker_jobs:aside(thread, 9, 0, Nested),
    {[{answer, 9, {error, timeout}}, Cancel], Late} = py_worker_jobs:expire(50, Jobs),
    ?assertEqual({{send, py_wire:cancel(9)}, false}, {Cancel, py_worker_jobs:stuck(90, Late)}),
    {Effects, Stuck} = py_worker_jobs:expire(550, Late),
    ?assert(lists:member(stuck, Effects)),
    {[{ended, 9}], _} = py_worker_jobs:reply(9, <<"nine">>, Stuck).

half_stuck() ->
    {[stuck], Half} = py_worker_jobs:expire(200, late_thread(2)),
    ?assertEqual({0, 2}, {py_worker_jobs:count(Half), py_worker_jobs:threads(Half)}).

%% The program has heard of that, or will: it is not told again.
cancelled_before_thread() ->
    {Effects, Late} = py_worker_jobs:expire(100, on(1, 0)),
    ?assert(lists:member({send, py_wire:cancel(1)}, Effects)),
    {[progress, {ended, 1}], Jobs} = py_worker_jobs:aside(thread, 1, 101, Late),
    {[], Stuck} = py_worker_jobs:expire(201, Jobs),
    ?assertEqual(0, py_worker_jobs:count(Stuck)).

from_thread() ->
    {[], Jobs} = py_worker_jobs:aside(loop, 1, 50, on(1, 1)),
    ?assertEqual({0, 1}, {py_worker_jobs:threads(Jobs), py_worker_jobs:awaited(Jobs)}),
    {_, Late} = py_worker_jobs:expire(100, Jobs),
    {[{unheard, 1}], _} = py_worker_jobs:expire(110, Late),
    Cancelled = late_thread(1),
    {[{ended, 1}, {send, _}], Again} = py_worker_jobs:aside(loop, 1, 150, Cancelled),
    ?assertEqual(0, py_worker_jobs:threads(Again)).
