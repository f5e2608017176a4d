#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Requests for several calls: what is known of the calls (py_multicall), and what becomes
%% of the request in a worker's hands (py_job, py_worker_jobs).
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").
-include("../../erl/include/py_worker_jobs.hrl").

main(_) ->
    tap:run([
        {"what the next one is called, and the last", fun next/0},
        {"a part that comes twice is heard once", fun twice/0},
        {"the request is what the program takes", fun op/0},
        {"results go to whoever waits, and count as calls", fun parts/0},
        {"what is given back goes to whoever waits, too", fun given_back/0},
        {"nobody waits: nobody hears, but it is progress", fun left/0},
        {"a part of something else, or of nothing", fun unknown/0},
        {"refused as a whole: no call counts", fun refused/0},
        {"behind others, and in any number", fun behind/0},
        {"it takes the places of all but one", fun load/0},
        {"more of them wait for bytes and for the window", fun window/0},
        {"the program is dead: what is behind the first had not started", fun dead/0},
        {"the worker ends beside a program that lives: all may have run", fun give_up/0},
        {"the worker has room for as many calls", fun use/0},
        {"the results in a part", fun results/0},
        {"a part that was kept", fun unsent/0}
    ]).

calls(Names) -> py_multicall:new([{call, m, Name, [1], #{}} || Name <- Names]).

heard(Part, Calls) ->
    {_, Left} = py_multicall:heard(Part, <<>>, Calls),
    Left.

next() ->
    Calls = calls([f, f, g, f]),
    ?assertEqual({4, {m, f, 1}}, {py_multicall:count(Calls), py_multicall:next(Calls)}),
    Names = fun(Counts) ->
        {Found, _} = lists:mapfoldl(fun(N, {From, C}) ->
            Left = heard({part, From, N}, C),
            {element(2, py_multicall:next(Left)), {From + N, Left}}
        end, {0, Calls}, Counts),
        Found
    end,
    ?assertEqual([f, g, f, f], Names([1, 1, 1, 1])),
    ?assertEqual([g, f], Names([2, 2])),
    ?assertEqual([f, f], Names([3, 1])),
    ?assertEqual([f], Names([4])),
    %% The third is the last if the fourth is given back, whichever is heard first.
    Three = heard({part, 0, 3}, Calls),
    ?assertEqual({m, g, 1}, py_multicall:next(heard({not_started, 1}, Three))),
    ?assertEqual({m, g, 1}, py_multicall:next(heard({part, 0, 3}, heard({not_started, 1}, Calls)))),
    ?assertEqual(1, py_multicall:count(none)).

twice() ->
    Calls = heard({part, 0, 2}, calls([f, g, h])),
    ?assertEqual({known, Calls}, py_multicall:heard({part, 0, 2}, <<"part">>, Calls)),
    ?assertEqual({known, Calls}, py_multicall:heard({part, 2, 2}, <<"too many">>, Calls)),
    ?assertMatch({{part, 1, <<"part">>}, _}, py_multicall:heard({part, 2, 1}, <<"part">>, Calls)).

op() ->
    ?assertEqual({multicall, [{m, f, [1], #{}}, {m, <<"g">>, [], #{a => 1}}]},
                 py_multicall:op([{call, m, f, [1], #{}}, {call, m, <<"g">>, [], #{a => 1}}])).

%% ---------------------------------------------------------------------------

req(Id) ->
    #req{reply_to = Id, caller = self(), kind = job, arrival = 0, deadline = infinity,
         arity = 2, size = 1, body = <<"body">>}.

many(Id, Names) ->
    Calls = calls(Names),
    (req(Id))#req{calls = Calls, what = py_multicall:next(Calls)}.

sent(Reqs) ->
    {_, Jobs} = send(lists:foldl(fun(#req{reply_to = Id} = Req, J) ->
        {[], Next} = py_worker_jobs:push(Id, Req, 0, J),
        Next
    end, py_worker_jobs:new(#{concurrency => 100, threads => 1, interrupt_grace => 500}), Reqs)),
    Jobs.

send(Jobs) ->
    case py_worker_jobs:next(Jobs) of
        {#job{id = Id}, Next} -> {Ids, Last} = send(Next), {[Id | Ids], Last};
        none -> {[], Jobs}
    end.

ok(Id) -> <<131, 104, 2, 98, Id:32, 119, 2, "ok">>.

parts() ->
    Jobs = sent([many(1, [f, g, h])]),
    ?assertEqual({m, f, 1}, py_worker_jobs:running(Jobs)),
    {Effects, Next} = py_worker_jobs:part(1, {part, 0, 2}, <<"two">>, Jobs),
    ?assertEqual([progress, {answer, 1, {part, 2, <<"two">>}}], Effects),
    ?assertEqual({2, {m, h, 1}}, {py_worker_jobs:calls(Next), py_worker_jobs:running(Next)}),
    {[progress], Next} = py_worker_jobs:part(1, {part, 0, 2}, <<"two">>, Next),
    {_, Last} = py_worker_jobs:part(1, {part, 2, 1}, <<"one">>, Next),
    {Final, Done} = py_worker_jobs:reply(1, ok(1), Last),
    ?assertEqual([progress, {answer, 1, {reply, ok(1)}}], Final),
    ?assertEqual({0, 3}, {py_worker_jobs:count(Done), py_worker_jobs:calls(Done)}),
    ?assertMatch(#req{what = {m, h, 1}}, py_worker_jobs:last(Done)).

given_back() ->
    Jobs = sent([many(1, [f, g, h])]),
    {[progress, {given_back, Back}, {answer, 1, {again, 2}}], Next} =
        py_worker_jobs:part(1, {not_started, 2}, <<>>, Jobs),
    ?assertEqual(2, py_multicall:count(Back#req.calls)),
    {[progress, {answer, 1, {part, 1, <<"one">>}}], Last} =
        py_worker_jobs:part(1, {part, 0, 1}, <<"one">>, Next),
    {_, Done} = py_worker_jobs:reply(1, ok(1), Last),
    ?assertEqual(1, py_worker_jobs:calls(Done)),
    %% As a whole, as any other.
    {[{recall, [1, 2]}], Recalled} = py_worker_jobs:take_back(sent([many(1, [f]), many(2, [f, g])])),
    NotStarted = <<131, 104, 2, 98, 2:32, 104, 2, 119, 5, "error", 119, 11, "not_started">>,
    ?assertMatch({[{requeue, #req{reply_to = 2}}], _}, py_worker_jobs:reply(2, NotStarted, Recalled)).

left() ->
    {_, Jobs} = py_worker_jobs:leave(self(), 0, infinity, sent([many(1, [f, g])])),
    {[progress], Next} = py_worker_jobs:part(1, {part, 0, 1}, <<"one">>, Jobs),
    ?assertMatch({[progress, {given_back, _}], _}, py_worker_jobs:part(1, {not_started, 1}, <<>>, Next)),
    ?assertEqual([], py_worker_jobs:give_up(failed, dead, Jobs)).

unknown() ->
    Jobs = sent([req(1)]),
    ?assertEqual({[], Jobs}, py_worker_jobs:part(1, {part, 0, 1}, <<>>, Jobs)),
    ?assertEqual({[], Jobs}, py_worker_jobs:part(9, {not_started, 1}, <<>>, Jobs)).

refused() ->
    Error = <<131, 104, 2, 98, 1:32, 104, 2, 119, 5, "error", 104, 2, 119, 6, "badarg", 109, 0:32>>,
    {[progress, {given_back, Back}, {answer, 1, {reply, Error}}], Jobs} =
        py_worker_jobs:reply(1, Error, sent([many(1, [f, g])])),
    ?assertEqual({2, 0}, {py_multicall:count(Back#req.calls), py_worker_jobs:calls(Jobs)}).

behind() ->
    Jobs = sent([req(1), many(2, [f, g]), many(3, [h])]),
    {[progress, {answer, 2, {part, 2, <<"two">>}}], Next} =
        py_worker_jobs:part(2, {part, 0, 2}, <<"two">>, Jobs),
    ?assertEqual(3, py_worker_jobs:count(Next)).

load() ->
    One = sent([many(1, [f, g])]),
    ?assertEqual({?LEAST_WINDOW - 1, ?LEAST_WINDOW}, py_worker_jobs:load(0, One)),
    {N, ?LEAST_WINDOW} = py_worker_jobs:load(0, sent([many(1, [f, g]), req(2)])),
    ?assertEqual(?LEAST_WINDOW, N),
    {_, Done} = py_worker_jobs:reply(1, ok(1), One),
    ?assertEqual({0, ?LEAST_WINDOW}, py_worker_jobs:load(0, Done)).

%% It had a place, so it is not refused.
window() ->
    Many = [many(Id, [f]) || Id <- lists:seq(1, ?LEAST_WINDOW + 2)],
    ?assertEqual(length(Many), py_worker_jobs:count(sent(Many))),
    Half = ?WINDOW_BYTES div 2,
    Three = sent([(many(Id, [f]))#req{size = Half} || Id <- [1, 2, 3]]),
    ?assertMatch({_, 0}, py_worker_jobs:load(0, Three)),
    {_, Two} = py_worker_jobs:reply(1, ok(1), Three),
    ?assertMatch({[3], _}, send(Two)).

dead() ->
    Jobs = sent([many(1, [f, g, h]), many(2, [f])]),
    {_, One} = py_worker_jobs:part(1, {part, 0, 1}, <<"one">>, Jobs),
    {[progress, {given_back, _}, {answer, 1, {again, 1}}], Dead} = py_worker_jobs:dead(One),
    ?assertEqual([{answer, 1, failed}, {answer, 2, again}], py_worker_jobs:give_up(failed, dead, Dead)),
    ?assertEqual({[], Dead}, py_worker_jobs:dead(Dead)),
    Other = sent([req(1)]),
    ?assertEqual({[], Other}, py_worker_jobs:dead(Other)).

give_up() ->
    Jobs = sent([many(1, [f, g, h]), many(2, [f, g])]),
    ?assertEqual([{answer, 1, failed}, {answer, 2, again}], py_worker_jobs:give_up(failed, dead, Jobs)),
    %% A program that is alive runs all that it has, but not what waits.
    {[], More} = py_worker_jobs:push(3, many(3, [f]), 0, Jobs),
    ?assertEqual([{answer, 1, failed}, {answer, 2, failed}, {answer, 3, again}],
                 py_worker_jobs:give_up(failed, alive, More)).

use() ->
    T = py_worker_tenure:new(#{recycle => #{calls => 5, jitter => 0}}, 0.0, 0),
    Two = many(1, [f, g]),
    ?assert(py_worker_tenure:has_use(many(1, [f, f, f, f, f]), T)),
    ?assertNot(py_worker_tenure:has_use(many(1, [f, f, f, f, f, f]), T)),
    ?assert(py_worker_tenure:has_use((many(1, [f, f, f, f, f, f]))#req{recycle = false}, T)),
    {_, T2} = py_worker_tenure:take(Two, T),
    {_, T4} = py_worker_tenure:take(Two, T2),
    ?assertNot(py_worker_tenure:has_use(Two, T4)),
    ?assert(py_worker_tenure:has_use(Two, py_worker_tenure:given_back(Two, T4))),
    ?assertMatch({[{replace, calls}], _}, py_worker_tenure:take(req(2), T4)).

%% ---------------------------------------------------------------------------

part(From, Results) ->
    <<131, 104, N, Bare/binary>> = term_to_binary(list_to_tuple(Results)),
    <<131, 104, 2, 98, 1:32, 104, 3, 119, 4, "part", 98, From:32, 105, N:32, Bare/binary>>.

results() ->
    Results = [{ok, 1}, ok, {error, {badarg, <<"no">>}}],
    ?assertEqual(Results, [binary_to_term(<<131, Bare/binary>>) || Bare <- py_multicall:results(part(0, Results))]).

%% It says one, whatever the program has kept.
unsent() ->
    Whole = part(5, [{ok, 1}, ok]),
    <<Head:22/binary, 2:32, Results/binary>> = Whole,
    ?assertEqual({1, Whole}, py_multicall:unsent(2, <<Head/binary, 1:32, Results/binary>>)),
    ?assertEqual(none, py_multicall:unsent(2, <<"something else">>)).
