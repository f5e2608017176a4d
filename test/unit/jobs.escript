#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_jobs: what is sent when, which jobs the program may have started, and
%% what becomes of each when time is up, its caller is gone, or the worker ends.
%%
%% A job is named by its Id: its answer is to go to the same number.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

-define(MAX, 4).

main(_) ->
    tap:run([
        {"jobs are sent in order, and keep their body until they are answered", fun order/0},
        {"a window of jobs is sent, no more", fun window/0},
        {"a window of bytes is sent, and one larger job alone", fun bytes/0},
        {"a window that grows and shrinks", fun other_window/0},
        {"enough are answered to measure the window again", fun due/0},
        {"jobs behind the first are as those before them", fun behind/0},
        {"more than may wait are refused, with how many wait", fun full/0},
        [{"may have started: " ++ Name, fun() -> started(Kinds, Started) end}
         || {Name, Kinds, Started} <- starts()],
        {"the next job starts when the first is answered", fun next_starts/0},
        {"a reply goes to whoever waits", fun reply/0},
        {"a reply comes after what belongs to it", fun ahead/0},
        {"a reply that nobody knows", fun unknown/0},
        {"a stream's first chunk opens it", fun opened/0},
        {"a stream that ends before its first item", fun empty_stream/0},
        {"time is up: each job by its state", fun expire/0},
        {"time is up once", fun expire_once/0},
        {"the reply to a job that nobody waits for", fun unwanted/0},
        {"a chunk of a stream that nobody waits for", fun unwanted_chunk/0},
        {"the soonest deadline", fun soonest/0},
        [{"stuck: " ++ Name, fun() -> stuck(Jobs, Stuck) end} || {Name, Jobs, Stuck} <- suspects()],
        {"a stream that is to end has started, and is first", fun put_back/0},
        {"what a stream keeps from starting is given back, and nothing is over", fun given_back_by_stream/0},
        {"a caller is gone: each job by its state", fun leave/0},
        {"what is left has until its deadline, or the caller's", fun leave_until/0},
        {"far too many: what is behind goes elsewhere", fun far_too_many/0},
        {"a crowd goes apart: what waits goes elsewhere if it may", fun spread/0},
        {"busy: what may run elsewhere goes there", fun take_back/0},
        {"busy: the program is asked once for each job", fun take_back_once/0},
        {"used up: what names the worker is for its successor", fun hand_over/0},
        {"a job that is given back goes to the queue", fun given_back/0},
        {"a job that was started is not given back", fun not_given_back/0},
        {"death fails what has started, and only that", fun give_up/0},
        {"what is bound when a job is done", fun binds/0},
        {"what uses a context", fun uses/0},
        {"a context that nobody waits for is closed", fun unwanted_context/0},
        {"a request that answers to nobody waits, is sent, and is gone", fun own/0},
        {"what is running", fun running/0},
        {"within a call: it is sent at once, and runs on top", fun nested/0},
        {"within a call: whatever happens, it is no progress of the other", fun nested_ends/0},
        {"within a call: it may be too late for that", fun nested_late/0},
        {"within a call: it is neither given back nor given away", fun nested_stays/0},
        [{"load: " ++ Name, fun() -> load(Sizes, Load) end} || {Name, Sizes, Load} <- loads()]
    ]).

%% ---------------------------------------------------------------------------
%% Within a call

%% The second one runs within a call of the first; the third is behind that.
nest() ->
    {[1, 3], Sent} = send(waiting([(req(1))#req{what = outer, owner = self()}, req(3)])),
    Inner = (req(2))#req{what = inner, within = 300, bound = true, owner = none, deadline = 50,
                         body = py_secret:hide(<<104, 2, 119, 1, "x">>), size = 5},
    py_worker_jobs:nest(2, Inner, Sent).

nested() ->
    {[{send, Frame}], Jobs} = nest(),
    Request = iolist_to_binary(py_wire:request(2, 2, <<104, 2, 119, 1, "x">>)),
    ?assertEqual(iolist_to_binary([<<131, 104, 3, 119, 6, "within", 98, 300:32, 109, (byte_size(Request)):32>>,
                                   Request]), iolist_to_binary(Frame)),
    ?assertEqual(inner, py_worker_jobs:running(Jobs)),
    ?assertEqual(none, py_worker_jobs:owner(2, Jobs)),
    ?assertEqual(3, py_worker_jobs:count(Jobs)),
    ?assertEqual(50, py_worker_jobs:soonest(Jobs)),
    ?assertEqual({true, 2}, py_worker_jobs:stuck(50, Jobs)).

nested_ends() ->
    {_, Jobs} = nest(),
    {[{answer, 2, {reply, <<"two">>}}], Outer} = py_worker_jobs:reply(2, <<"two">>, Jobs),
    ?assertEqual(outer, py_worker_jobs:running(Outer)),
    ?assertEqual(self(), py_worker_jobs:owner(1, Outer)),
    ?assertMatch({[progress, {answer, 1, _}], _}, py_worker_jobs:reply(1, <<"one">>, Outer)),
    {[{answer, 2, {error, timeout}}], Late} = py_worker_jobs:expire(50, Jobs),
    ?assertMatch({[progress, {ended, 2}], _}, py_worker_jobs:reply(2, <<"late">>, Late)).

%% The program answers it after the job for which it came, and runs the next one by then.
nested_late() ->
    Failed = {error, {worker_exit, gone}},
    {_, Jobs} = nest(),
    {_, Late} = py_worker_jobs:reply(1, <<"one">>, Jobs),
    ?assertEqual([{answer, 2, Failed}, {answer, 3, Failed}], py_worker_jobs:give_up(Failed, dead, Late)),
    {_, Only} = py_worker_jobs:reply(3, <<"three">>, Late),
    {[], More} = push(req(4), Only),
    {[4], Next} = send(More),
    ?assertEqual([{answer, 2, Failed}, {answer, 4, Failed}], py_worker_jobs:give_up(Failed, dead, Next)).

nested_stays() ->
    {_, Jobs} = nest(),
    ?assertMatch({[{recall, [1, 3]}], _}, py_worker_jobs:take_back(Jobs)),
    Failed = {error, {worker_exit, gone}},
    ?assertEqual([{answer, 2, Failed}, {answer, 1, Failed}, {answer, 3, again}],
                 py_worker_jobs:give_up(Failed, dead, Jobs)).

%% ---------------------------------------------------------------------------

req(Id) ->
    #req{reply_to = Id, caller = self(), kind = job, arrival = 0, deadline = infinity,
         arity = 2, size = 1, body = <<"body">>}.

stream(Id) -> (req(Id))#req{kind = {stream, 10}}.
bound(Id) -> (req(Id))#req{bound = true}.
until(Deadline, Req) -> Req#req{deadline = Deadline}.
from(Caller, Req) -> Req#req{caller = Caller}.
sized(Size, Req) -> Req#req{size = Size}.

push(Req, Jobs) -> push(Req, 1_000, Jobs).

push(#req{reply_to = Id} = Req, Max, Jobs) ->
    py_worker_jobs:push(Id, Req, Max, Jobs).

%% These jobs wait.
waiting(Reqs) -> waiting(Reqs, new()).

waiting(Reqs, Jobs) ->
    lists:foldl(fun(Req, J) -> {[], Next} = push(Req, J), Next end, Jobs, Reqs).

%% Sends what may be sent: the Ids.
send(Jobs) ->
    case py_worker_jobs:next(Jobs) of
        {#job{id = Id}, Next} -> {Ids, Last} = send(Next), {[Id | Ids], Last};
        none -> {[], Jobs}
    end.

sent(Reqs) ->
    {_, Jobs} = send(waiting(Reqs)),
    Jobs.

frame(Id) -> frame(Id, {ok, Id}).

%% As the program writes it: the Id always takes four bytes.
frame(Id, Result) ->
    <<131, Bare/binary>> = term_to_binary(Result),
    <<131, 104, 2, 98, Id:32, Bare/binary>>.

replied(Id, Jobs) ->
    {_, Next} = py_worker_jobs:reply(Id, frame(Id), Jobs),
    Next.

%% The Ids of the jobs that a death would fail.
failed(Jobs) ->
    [Id || {answer, Id, failed} <- py_worker_jobs:give_up(failed, dead, Jobs)].

%% ---------------------------------------------------------------------------
%% On its way

order() ->
    ?assertMatch({[1, 2, 3], _}, send(waiting([req(1), req(2), req(3)]))),
    {#job{req = #req{body = <<"body">>}}, Jobs} = py_worker_jobs:next(waiting([req(1)])),
    {[_, {open, #job{req = Kept}, _, _}], _} =
        py_worker_jobs:reply(2, frame(2, {chunk, []}), sent([stream(2)])),
    ?assertEqual([], Kept#req.body),
    Sent = sent([req(1)]),
    ?assertEqual(<<"body">>, (py_worker_jobs:request(1, Sent))#req.body),
    {_, Answered} = py_worker_jobs:reply(1, frame(1, ok), Sent),
    ?assertEqual([], (py_worker_jobs:last(Answered))#req.body),
    ?assertEqual(none, py_worker_jobs:next(Jobs)).

window() ->
    {Ids, Jobs} = send(waiting([req(Id) || Id <- lists:seq(1, ?LEAST_WINDOW + 2)])),
    ?assertEqual(lists:seq(1, ?LEAST_WINDOW), Ids),
    ?assertMatch({[?LEAST_WINDOW + 1], _}, send(replied(1, Jobs))),
    ?assertEqual(?LEAST_WINDOW + 2, py_worker_jobs:count(Jobs)).

bytes() ->
    Half = ?WINDOW_BYTES div 2,
    ?assertMatch({[1, 2], _}, send(waiting([sized(Half, req(Id)) || Id <- [1, 2, 3]]))),
    {[1], Jobs} = send(waiting([sized(2 * ?WINDOW_BYTES, req(1)), req(2)])),
    ?assertMatch({[2], _}, send(replied(1, Jobs))).

other_window() ->
    Many = [req(Id) || Id <- lists:seq(1, 20)],
    {[], Wide} = py_worker_jobs:set_window({16, 16, 1000}, waiting(Many)),
    {Ids, Sent} = send(Wide),
    ?assertEqual(lists:seq(1, 16), Ids),
    {[], Narrow} = py_worker_jobs:set_window({?LEAST_WINDOW, 16, 1000}, replied(1, Sent)),
    ?assertEqual(none, py_worker_jobs:next(Narrow)),
    ?assertEqual({19, ?LEAST_WINDOW}, py_worker_jobs:load(0, Narrow)),
    Left = lists:foldl(fun replied/2, Narrow, lists:seq(2, 9)),
    ?assertMatch({[17], _}, send(Left)).

due() ->
    {[], Jobs} = py_worker_jobs:set_window({16, 16, 2}, new()),
    {_, Sent} = send(waiting([req(1), req(2)], Jobs)),
    {First, One} = py_worker_jobs:reply(1, frame(1), Sent),
    {Second, Two} = py_worker_jobs:reply(2, frame(2), One),
    ?assertEqual({false, true}, {lists:member(measure, First), lists:member(measure, Second)}),
    {_, Again} = send(waiting([req(3)], element(2, py_worker_jobs:set_window({16, 16, 4}, Two)))),
    ?assertEqual([progress, {answer, 3, {reply, frame(3)}}],
                 element(1, py_worker_jobs:reply(3, frame(3), Again))).

%% Each rule, of a job that has others before it and of one that has a stream.
behind() ->
    Three = fun() -> sent([stream(1), req(2), from(dead, req(3)), until(5, req(4))]) end,
    ?assertEqual([1, 2], failed(Three())),
    ?assertEqual([1, 3], failed(replied(2, Three()))),
    ?assertEqual([1, 2], failed(replied(4, Three()))),
    {[Printed], _} = py_worker_jobs:reply(3, frame(3), py_worker_jobs:ahead(3, <<"text">>, Three())),
    ?assertMatch({answer, 3, {reply, _, [<<"text">>]}}, Printed),
    {Cancels, Left} = py_worker_jobs:leave(dead, 0, 9, Three()),
    ?assertEqual([{send, py_wire:cancel(3)}], Cancels),
    ?assertMatch({[{ended, 3}], _}, py_worker_jobs:reply(3, frame(3), Left)),
    {Late, _} = py_worker_jobs:expire(5, Three()),
    ?assertEqual([{answer, 4, {error, timeout}}, {send, py_wire:cancel(4)}], Late),
    {Back, _} = py_worker_jobs:take_back(Three()),
    ?assertEqual([{recall, [1, 2, 3, 4]}], Back),
    ?assertEqual(unknown, py_worker_jobs:reply(9, frame(9), Three())),
    ?assertEqual([1, 2, 3, 4], lists:sort([Id || #req{reply_to = Id} <- py_worker_jobs:requests(Three())])).

full() ->
    Jobs = sent([req(Id) || Id <- lists:seq(1, ?LEAST_WINDOW + ?MAX)]),
    ?assertMatch({[{answer, 99, {error, {overloaded, ?MAX, ?MAX}}}], Jobs},
                 push(bound(99), ?MAX, Jobs)),
    Free = req(98),
    ?assertEqual({[{queue, Free}], Jobs}, push(Free, ?MAX, Jobs)),
    ?assertMatch({[], _}, push(req(99), ?MAX, replied(1, Jobs))).

%% ---------------------------------------------------------------------------
%% Started

starts() ->
    [{"nothing", [], []},
     {"the first of the jobs", [job, job, job], [1]},
     {"streams and the job after them", [stream, stream, job, job], [1, 2, 3]},
     {"streams alone", [stream, stream], [1, 2]},
     {"no stream behind a job", [job, stream], [1]}].

started(Kinds, Started) ->
    Reqs = [case Kind of job -> req(Id); stream -> stream(Id) end
            || {Id, Kind} <- lists:enumerate(Kinds)],
    ?assertEqual(Started, failed(sent(Reqs))).

next_starts() ->
    Jobs = sent([req(1), stream(2), req(3), req(4)]),
    ?assertEqual([2, 3], failed(replied(1, Jobs))),
    ?assertEqual([1], failed(replied(3, Jobs))).

reply() ->
    {Effects, Jobs} = py_worker_jobs:reply(1, frame(1), sent([req(1), req(2)])),
    ?assertEqual([progress, {answer, 1, {reply, frame(1)}}], Effects),
    ?assertEqual({1, 1}, {py_worker_jobs:count(Jobs), py_worker_jobs:calls(Jobs)}),
    {Behind, _} = py_worker_jobs:reply(2, frame(2), sent([req(1), req(2)])),
    ?assertEqual([{answer, 2, {reply, frame(2)}}], Behind).

ahead() ->
    Jobs = lists:foldl(fun(Frame, Acc) -> py_worker_jobs:ahead(1, Frame, Acc) end,
                       sent([req(1), req(2)]), [<<"printed">>, <<"bill">>]),
    {[progress, Answer], _} = py_worker_jobs:reply(1, frame(1), Jobs),
    ?assertEqual({answer, 1, {reply, frame(1), [<<"printed">>, <<"bill">>]}}, Answer).

unknown() ->
    ?assertEqual(unknown, py_worker_jobs:reply(7, frame(7), sent([req(1)]))),
    ?assertEqual(unknown, py_worker_jobs:reply(1, frame(1), waiting([req(1)]))).

opened() ->
    Chunk = frame(1, {chunk, [a, b]}),
    {Effects, Jobs} = py_worker_jobs:reply(1, Chunk, sent([stream(1)])),
    ?assertMatch([progress, {open, #job{id = 1}, Chunk, 2}], Effects),
    ?assertEqual({0, 0}, {py_worker_jobs:count(Jobs), py_worker_jobs:calls(Jobs)}).

empty_stream() ->
    Last = done(1),
    ?assertMatch({[progress, {answer, 1, {reply, Last}}], _},
                 py_worker_jobs:reply(1, Last, sent([stream(1)]))).

%% ---------------------------------------------------------------------------
%% Time

%% One has started, two is sent, nine waits; the others are in time.
expire() ->
    Reqs = [until(case lists:member(Id, [1, 2, 9]) of true -> 10; false -> 11 end, req(Id))
            || Id <- lists:seq(1, ?LEAST_WINDOW + 2)],
    {Effects, Jobs} = py_worker_jobs:expire(10, sent(Reqs)),
    ?assertEqual([{answer, 9, {error, timeout}}, {answer, 1, {error, timeout}},
                  {answer, 2, {error, timeout}}, {send, py_wire:cancel(2)}], Effects),
    ?assertEqual(?LEAST_WINDOW + 1, py_worker_jobs:count(Jobs)).

expire_once() ->
    {[_], Jobs} = py_worker_jobs:expire(10, sent([until(10, req(1))])),
    ?assertEqual({[], Jobs}, py_worker_jobs:expire(11, Jobs)),
    ?assertEqual([], py_worker_jobs:give_up(failed, dead, Jobs)).

unwanted() ->
    {_, Jobs} = py_worker_jobs:expire(10, sent([until(10, req(1))])),
    ?assertMatch({[progress, {ended, 1}], _}, py_worker_jobs:reply(1, frame(1), Jobs)).

unwanted_chunk() ->
    {_, Late} = py_worker_jobs:expire(10, sent([until(10, stream(1))])),
    {[progress], Jobs} = py_worker_jobs:reply(1, frame(1, {chunk, [a]}), Late),
    ?assertEqual({true, 1}, py_worker_jobs:stuck(10, Jobs)),
    ?assertMatch({[progress, {ended, 1}], _}, py_worker_jobs:reply(1, done(1), Jobs)).

soonest() ->
    ?assertEqual(infinity, py_worker_jobs:soonest(new())),
    Jobs = sent([until(30, req(1)), until(10, req(2)), until(20, req(3))]),
    ?assertEqual(10, py_worker_jobs:soonest(Jobs)),
    {_, Later} = py_worker_jobs:expire(10, Jobs),
    ?assertEqual(20, py_worker_jobs:soonest(Later)).

suspects() ->
    [{"nothing in time", [until(11, req(1))], false},
     {"the job that may be running", [until(10, req(1)), until(10, req(2))], {true, 1}},
     {"no job that has not started", [req(1), until(10, req(2))], false},
     {"a stream alone", [until(11, stream(1)), until(10, stream(2))], {true, 2}},
     {"no stream beside a job", [until(10, stream(1)), req(2)], false},
     {"the job beside a stream", [stream(1), until(10, req(2))], {true, 2}}].

stuck(Reqs, Stuck) ->
    ?assertEqual(Stuck, py_worker_jobs:stuck(10, sent(Reqs))).

%% It has not started, although it might have: so something else runs.
given_back_by_stream() ->
    {[_, {open, Job, _, _}], None} =
        py_worker_jobs:reply(1, frame(1, {chunk, [a]}), sent([stream(1)])),
    {_, Ending} = send(waiting([req(2)], py_worker_jobs:put_back(Job, 10, None))),
    ?assertEqual(false, py_worker_jobs:stuck(10, Ending)),
    {[{recall, [2]}], Asked} = py_worker_jobs:take_back(Ending),
    {Effects, Alone} = py_worker_jobs:reply(2, frame(2, {error, not_started}), Asked),
    ?assertMatch([{requeue, #req{reply_to = 2}}], Effects),
    ?assertEqual({true, 1}, py_worker_jobs:stuck(10, Alone)),
    {[{recall, [3]}], Last} = py_worker_jobs:take_back(sent([req(3)])),
    ?assertMatch({[progress, {requeue, _}], _},
                 py_worker_jobs:reply(3, frame(3, {error, not_started}), Last)).

put_back() ->
    {[_, {open, Job, _, _}], _} =
        py_worker_jobs:reply(1, frame(1, {chunk, [a]}), sent([stream(1)])),
    Jobs = py_worker_jobs:put_back(Job, 10, sent([req(2), req(3)])),
    ?assertEqual([2], failed(Jobs)),
    ?assertEqual({3, 10}, {py_worker_jobs:count(Jobs), py_worker_jobs:soonest(Jobs)}),
    ?assertEqual({true, 1}, py_worker_jobs:stuck(10, replied(3, replied(2, Jobs)))).

%% ---------------------------------------------------------------------------
%% Absence and the end

leave() ->
    Other = list_to_pid("<0.1.0>"),
    Waiting = waiting([from(Other, req(10)), req(11)],
                      sent([from(Other, req(1)), req(2), from(Other, req(3))]
                           ++ [req(Id) || Id <- lists:seq(4, ?LEAST_WINDOW)])),
    {Effects, Jobs} = py_worker_jobs:leave(Other, 0, 10, Waiting),
    ?assertEqual([{send, py_wire:cancel(1)}, {send, py_wire:cancel(3)}], Effects),
    ?assertEqual(?LEAST_WINDOW + 1, py_worker_jobs:count(Jobs)),
    ?assertEqual([], [Id || {answer, Id, _} <- py_worker_jobs:give_up(failed, dead, Jobs),
                            lists:member(Id, [1, 3, 10])]).

leave_until() ->
    [begin
         {_, Jobs} = py_worker_jobs:leave(self(), 0, 10, sent([until(Deadline, req(1))])),
         ?assertEqual(Until, py_worker_jobs:soonest(Jobs)),
         ?assertEqual({true, 1}, py_worker_jobs:stuck(Until, Jobs))
     end || {Deadline, Until} <- [{5, 5}, {20, 10}, {infinity, 10}]].

far_too_many() ->
    {[], Wide} = py_worker_jobs:set_window({16, 16, 1000}, new()),
    Reqs = [req(Id) || Id <- lists:seq(1, 14)] ++ [bound(15), req(16), req(17)],
    {_, Sent} = send(waiting(Reqs, Wide)),
    {Effects, Narrow} = py_worker_jobs:set_window({12, 15, 1000}, Sent),
    ?assertMatch([{requeue, #req{reply_to = 17}}, {recall, [13, 14, 16]}], Effects),
    ?assertEqual({[], Narrow}, py_worker_jobs:set_window({12, 15, 1000}, Narrow)),
    {Back, _} = py_worker_jobs:reply(14, frame(14, {error, not_started}), Narrow),
    ?assertMatch([{requeue, #req{reply_to = 14}}], Back).

spread() ->
    Full = sent([req(Id) || Id <- lists:seq(1, ?LEAST_WINDOW)]),
    {Effects, Jobs} = py_worker_jobs:spread(waiting([req(10), bound(11), req(12)], Full)),
    ?assertMatch([{requeue, #req{reply_to = 10}}, {requeue, #req{reply_to = 12}}], Effects),
    ?assertEqual(?LEAST_WINDOW + 1, py_worker_jobs:count(Jobs)).

take_back() ->
    Sent = sent([req(1), bound(2)] ++ [bound(Id) || Id <- lists:seq(3, ?LEAST_WINDOW)]),
    {Effects, Jobs} = py_worker_jobs:take_back(waiting([req(10), bound(11)], Sent)),
    ?assertMatch([{requeue, #req{reply_to = 10}}, {recall, [1]}], Effects),
    ?assertEqual(?LEAST_WINDOW + 1, py_worker_jobs:count(Jobs)).

take_back_once() ->
    {[{recall, [1, 2]}], Jobs} = py_worker_jobs:take_back(sent([req(1), req(2)])),
    ?assertEqual({[], Jobs}, py_worker_jobs:take_back(Jobs)).

hand_over() ->
    Named = fun(Id) -> (bound(Id))#req{named = true} end,
    Jobs = waiting([Named(10), bound(11)], sent([Named(1), bound(2) | [req(Id) || Id <- lists:seq(3, ?LEAST_WINDOW)]])),
    ?assertMatch({[], _}, py_worker_jobs:take_back(waiting([Named(10)], sent([Named(1)])))),
    {Effects, Left} = py_worker_jobs:hand_over(Jobs),
    ?assertMatch([{requeue, #req{reply_to = 10}} | _], Effects),
    ?assertEqual([1 | lists:seq(3, ?LEAST_WINDOW)],
                 lists:append([Ids || {recall, Ids} <- Effects])),
    ?assertEqual(?LEAST_WINDOW + 1, py_worker_jobs:count(Left)),
    ?assertEqual([true, true, false],
                 [py_worker_jobs:has_free(sent([Req])) || Req <- [req(1), Named(1), bound(1)]]).

given_back() ->
    {_, Jobs} = py_worker_jobs:take_back(sent([req(1), req(2)])),
    {Effects, Rest} = py_worker_jobs:reply(2, frame(2, {error, not_started}), Jobs),
    ?assertMatch([{requeue, #req{reply_to = 2}}], Effects),
    ?assertEqual({1, 0}, {py_worker_jobs:count(Rest), py_worker_jobs:calls(Rest)}).

not_given_back() ->
    {_, Jobs} = py_worker_jobs:take_back(sent([req(1), req(2)])),
    ?assertMatch({[progress, {answer, 1, {reply, _}}], _},
                 py_worker_jobs:reply(1, frame(1), Jobs)).

give_up() ->
    Jobs = waiting([req(10), bound(11)], sent([req(1), req(2), bound(3)])),
    ?assertEqual([{answer, 1, failed}, {answer, 2, again}, {answer, 3, failed},
                  {answer, 10, again}, {answer, 11, failed}],
                 py_worker_jobs:give_up(failed, dead, Jobs)).

loads() ->
    [{"nothing", [], {0, ?LEAST_WINDOW}},
     {"what is sent", [1, 1, 1], {3, ?LEAST_WINDOW}},
     {"full of bytes", [?WINDOW_BYTES], {1, 0}},
     {"full of jobs", lists:duplicate(?LEAST_WINDOW, 1), {?LEAST_WINDOW, ?LEAST_WINDOW}},
     {"more than a window", lists:duplicate(?LEAST_WINDOW + 3, 1), {?LEAST_WINDOW + 3, ?LEAST_WINDOW}},
     {"one that waits for room", [?WINDOW_BYTES - 1, 2], {2, 0}}].

load(Sizes, Load) ->
    Jobs = sent([sized(Size, req(Id)) || {Id, Size} <- lists:enumerate(Sizes)]),
    ?assertEqual(Load, py_worker_jobs:load(0, Jobs)),
    ?assertEqual(Sizes =:= [], py_worker_jobs:is_idle(Jobs)).

%% ---------------------------------------------------------------------------

%% A job rather than a stream, and nothing that only waits.
running() ->
    Named = fun(What, Req) -> Req#req{what = What} end,
    Running = fun(Reqs) -> {_, Jobs} = send(waiting(Reqs)), py_worker_jobs:running(Jobs) end,
    ?assertEqual(none, py_worker_jobs:running(waiting([Named(eval, req(1))]))),
    ?assertEqual(eval, Running([Named(eval, req(1)), Named(exec, req(2))])),
    ?assertEqual({m, f, 1}, Running([Named({m, f, 1}, stream(1))])),
    ?assertEqual(exec, Running([Named(eval, stream(1)), Named(exec, req(2))])).

%% As the program writes it, which has one way to write an atom.
done(Id) -> <<131, 104, 2, 98, Id:32, 119, 2, "ok">>.

%% Frame: what the program says to a job that binds this.
bound_by(Binds, Frame) ->
    {Effects, _} = py_worker_jobs:reply(1, Frame, sent([(req(1))#req{binds = Binds, owner = self()}])),
    [Bound || {bind, Bound} <- Effects].

binds() ->
    Error = frame(1, {error, {'ValueError', <<>>}}),
    ?assertEqual([], bound_by(false, done(1))),
    ?assertEqual([{home, self()}], bound_by(home, done(1))),
    ?assertEqual([{home, self()}], bound_by(home, Error)),
    ?assertEqual([{context, 7, self(), 50}], bound_by({context, 7, 50}, done(1))),
    ?assertEqual([], bound_by({context, 7, infinity}, Error)),
    ?assertEqual([{uses, 7, a}], bound_by({uses, 7, a}, Error)).

%% A stream that has only begun is a use, and so is what nobody waits for.
uses() ->
    Uses = fun(Req) -> Req#req{binds = {uses, 7, a}, deadline = 5} end,
    {Began, _} = py_worker_jobs:reply(1, frame(1, {chunk, [x]}), sent([Uses(stream(1))])),
    ?assertMatch([progress, {bind, {uses, 7, a}}, {open, _, _, 1}], Began),
    [begin
         {_, Late} = py_worker_jobs:expire(5, sent([Uses(Req)])),
         ?assertMatch({[progress, {ended, 1}, {bind, {uses, 7, a}}], _},
                      py_worker_jobs:reply(1, done(1), Late))
     end || Req <- [req(1), stream(1)]].

unwanted_context() ->
    Req = (req(1))#req{binds = {context, 7, infinity}, owner = self(), deadline = 5},
    {_, Late} = py_worker_jobs:expire(5, sent([Req])),
    {Effects, _} = py_worker_jobs:reply(1, done(1), Late),
    ?assert(lists:member({let_go, {context, 7, self()}}, Effects)).

own() ->
    Own = (py_worker_send:own({context_close, [7]}, 5))#req{arrival = 0},
    {[], Waiting} = py_worker_jobs:push(9, Own, 1_000, waiting([req(1)])),
    %% Nobody is told that its time is up, and it is not dropped.
    {[], Kept} = py_worker_jobs:expire(6, Waiting),
    {[1, 9], Sent} = send(Kept),
    ?assertEqual(11, py_worker_jobs:soonest(Sent)),
    {[], Later} = py_worker_jobs:expire(12, Sent),
    %% Once it has started, its time is not longer than it was meant to be.
    {[], Started} = py_worker_jobs:expire(17, replied(1, Later)),
    {[], Busy} = py_worker_jobs:take_back(Started),
    ?assertEqual({false, {true, 9}}, {py_worker_jobs:stuck(16, Busy), py_worker_jobs:stuck(17, Busy)}),
    ?assertEqual([], py_worker_jobs:give_up(failed, dead, Busy)),
    {Effects, Done} = py_worker_jobs:reply(9, done(9), Busy),
    ?assertEqual([progress, {ended, 9}], Effects),
    ?assertEqual({0, 0}, {py_worker_jobs:count(Done), py_worker_jobs:calls(Done) - 1}).

new() -> py_worker_jobs:new(#{concurrency => 100, threads => 1, interrupt_grace => 500}).
