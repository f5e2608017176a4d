#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_tenure: how long a worker serves.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

main(_) ->
    tap:run([
        table:rows("jittered", fun py_worker_tenure:jittered/3, jitters()),
        [used(Row) || Row <- uses()],
        {"without a number, calls are not counted", fun uncounted/0},
        {"a call that was given back does not count", fun given_back/0},
        {"a call that does not count", fun free/0},
        [closes(Row) || Row <- closings()],
        {"memory_errors counts down", fun memory_errors/0},
        {"a call that does not count may run out of memory", fun free_memory_error/0},
        {"one that is used up may run out of memory, too", fun used_up_then/0},
        {"patience is the pool's, or until the worker is old", fun patience/0},
        table:rows("may_end", fun may_end/4, ends()),
        {"bound processes keep one that is recycled", fun homes/0}
    ]).

new(Recycle) -> new(Recycle, #{}).

new(Recycle, Memory) ->
    py_worker_tenure:new(#{recycle => Recycle, memory => Memory}, 0.0, 0).

req() -> #req{caller = self(), kind = job, arrival = 0, deadline = infinity, arity = 2, size = 0,
              body = []}.

take(T) -> py_worker_tenure:take(req(), T).

%% {what, [limit, the pool's `recycle', chance], what it comes to}
jitters() ->
    [{"no limit", [infinity, #{}, 0.99], infinity},
     {"one is one", [1, #{}, 0.99], 1},
     {"ten are ten", [10, #{}, 0.99], 10},
     {"no luck", [100, #{}, 0.0], 100},
     {"some luck", [100, #{}, 0.5], 95},
     {"none is wanted", [100, #{jitter => 0}, 0.99], 100},
     {"much is wanted", [100, #{jitter => 100}, 0.99], 1}].

%% {`calls', what is said before the first call, and by each one}
uses() ->
    [{1, [prepare], [[{replace, calls}], []]},
     {2, [], [[prepare], [{replace, calls}], []]},
     {3, [], [[], [prepare], [{replace, calls}]]},
     {20, [], lists:duplicate(16, []) ++ [[prepare], [], [], [{replace, calls}]]}].

used({Calls, First, Each}) ->
    {io_lib:format("of ~b calls", [Calls]), fun() ->
        {Said, T} = py_worker_tenure:use(new(#{calls => Calls})),
        ?assertEqual(First, Said),
        {Found, Last} = lists:mapfoldl(fun(_, Acc) -> take(Acc) end, T, Each),
        ?assertEqual(Each, Found),
        ?assertEqual(Calls > length(Each), py_worker_tenure:is_open(Last))
    end}.

uncounted() ->
    {[], T} = take(new(#{})),
    ?assertEqual({[], T}, py_worker_tenure:use(T)),
    ?assert(py_worker_tenure:is_open(T)).

given_back() ->
    {[], T} = take(new(#{calls => 3})),
    {[], T1} = take(py_worker_tenure:given_back(req(), T)),
    {[prepare], T2} = take(T1),
    {[], T3} = take(py_worker_tenure:given_back(req(), T2)),
    ?assertMatch({[{replace, calls}], _}, take(T3)).

free() ->
    Free = (req())#req{recycle = false},
    {[], T} = py_worker_tenure:take(Free, new(#{calls => 1})),
    ?assert(py_worker_tenure:holds(T)),
    ?assert(py_worker_tenure:is_open(py_worker_tenure:given_back(Free, T))),
    ?assertMatch({[{replace, calls}], _}, take(T)).

%% {what happens, why the worker is closed}
closings() ->
    [{"spoilt", fun py_worker_tenure:spoil/1, spoilt},
     {"a heap that is nearly full", fun(T) -> py_worker_tenure:ran_out(heap, true, none, T) end, heap},
     {"a MemoryError", fun(T) -> py_worker_tenure:ran_out(memory_error, true, req(), T) end,
      memory_errors}].

closes({What, Happens, Why}) ->
    {["closes: ", What], fun() ->
        {Said, T} = Happens(new(#{}, #{heap => 1})),
        ?assertEqual([{replace, Why}], Said),
        ?assertNot(py_worker_tenure:is_open(T)),
        ?assertEqual({[], T}, Happens(T)),
        ?assertMatch({[], _}, take(T))
    end}.

ran_out(T) -> py_worker_tenure:ran_out(memory_error, true, req(), T).

memory_errors() ->
    {[], T1} = ran_out(new(#{memory_errors => 3})),
    {[], T2} = ran_out(T1),
    ?assertMatch({[{replace, memory_errors}], _}, ran_out(T2)),
    ?assertMatch({[{replace, memory_errors}], _}, ran_out(new(#{}))),
    ?assertMatch({[], _}, py_worker_tenure:ran_out(memory_error, false, req(), new(#{}))).

free_memory_error() ->
    T = new(#{memory_errors => 1}),
    ?assertEqual({[], T}, py_worker_tenure:ran_out(memory_error, true, (req())#req{recycle = false}, T)).

used_up_then() ->
    {_, T} = take(new(#{calls => 1, memory_errors => 1})),
    ?assertMatch({[{replace, memory_errors}], _}, ran_out(T)).

patience() ->
    ?assertEqual(1000, py_worker_tenure:patience(recycled, 1000, 50, new(#{}))),
    ?assertEqual(4950, py_worker_tenure:patience(recycled, 1000, 50, new(#{age => 5000}))),
    ?assertEqual(1000, py_worker_tenure:patience(recycled, 1000, 6000, new(#{age => 5000}))).

may_end(Why, Abandoned, Done, Free) ->
    Retired = py_worker_tenure:retire(Why, new(#{})),
    T = case Abandoned of true -> py_worker_tenure:abandon(Retired); false -> Retired end,
    py_worker_tenure:may_end(Done, Free, T).

%% {what, [why another has its slot, whether time is up, whether it has nothing in hand,
%% or nothing that is free], whether it ends}
ends() ->
    [{"restarted, at work", [restarted, false, false, true], false},
     {"restarted, done", [restarted, false, true, true], {true, restarted}},
     {"restarted, time is up", [restarted, true, false, false], {true, restarted}},
     {"recycled, at work", [recycled, false, false, true], false},
     {"recycled, done", [recycled, false, true, true], {true, recycled}},
     {"recycled, time is up, a call", [recycled, true, false, false], false},
     {"recycled, time is up, a stream", [recycled, true, false, true], {true, recycled}}].

homes() ->
    T = py_worker_tenure:retire(recycled, py_worker_tenure:bind(self(), new(#{}))),
    ?assertEqual([self()], py_worker_tenure:homes(T)),
    ?assertEqual(false, py_worker_tenure:may_end(true, true, T)),
    ?assertEqual({true, recycled},
                 py_worker_tenure:may_end(true, true, py_worker_tenure:let_go(self(), T))),
    ?assertEqual({true, recycled},
                 py_worker_tenure:may_end(false, true, py_worker_tenure:abandon(T))),
    ?assertEqual(false, py_worker_tenure:may_end(true, true, new(#{}))).
