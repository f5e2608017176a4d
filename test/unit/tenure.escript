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
        {"bound processes keep one that is recycled", fun homes/0},
        {"contexts keep one that is recycled", fun contexts/0},
        {"handles keep one that is recycled", fun handles/0},
        {"who owns contexts", fun owners/0},
        {"how many contexts there are, and may be", fun room/0},
        {"a context that is not used for too long", fun idle/0},
        {"other contexts are never idle", fun not_idle/0},
        {"the death of an owner closes all that it has", fun owner_dies/0},
        {"an owner of both contexts and handles", fun owner_of_both/0},
        {"who was to tell an owner of a handle", fun maker_dies/0},
        {"what nobody waits for any more", fun unwanted/0}
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

%% Binds it; nothing is to be done then.
bind(Bound, T) ->
    {[], Next} = py_worker_tenure:bind(Bound, T),
    Next.

let_go(Leaving, T) -> let_go(Leaving, false, T).

%% Used: whether something in hand uses the context.
let_go(Leaving, Used, T) -> py_worker_tenure:let_go(Leaving, fun(_) -> Used end, T).

homes() ->
    keeps({home, self()}, {home, self()}, []).

contexts() ->
    keeps({context, 7, self(), infinity}, {context, 7, self()}, [{close, {context_close, [7]}}]).

handles() ->
    keeps({handle, 7, self(), self()}, {handle, 7, self()}, [{close, {release, [7]}}]).

%% It is kept until what is bound is let go, which the program is told of these.
keeps(Bound, Leaving, Partings) ->
    T = py_worker_tenure:retire(recycled, bind(Bound, new(#{}))),
    ?assertEqual([self()], py_worker_tenure:owners(T)),
    ?assertEqual(false, py_worker_tenure:may_end(true, true, T)),
    [begin
         {Done, Free} = let_go(How, T),
         ?assertEqual(Partings, Done),
         ?assertEqual([], py_worker_tenure:owners(Free)),
         ?assertEqual({true, recycled}, py_worker_tenure:may_end(true, true, Free))
     end || How <- [Leaving, {dead, self(), killed}]],
    ?assertEqual({true, recycled},
                 py_worker_tenure:may_end(false, true, py_worker_tenure:abandon(T))),
    ?assertEqual(false, py_worker_tenure:may_end(true, true, new(#{}))).

context(Id, Owner) -> {context, Id, Owner, infinity}.

bound(All) -> lists:foldl(fun bind/2, new(#{}), All).

owners() ->
    T = bound([context(1, a), context(2, a), context(3, b), {home, c}]),
    ?assertEqual([a, b, c], lists:sort(py_worker_tenure:owners(T))),
    {[{close, {context_close, [1]}}], One} = let_go({context, 1, a}, T),
    ?assertEqual([a, b, c], lists:sort(py_worker_tenure:owners(One))),
    ?assertEqual([true, false, false, false, false],
                 [py_worker_tenure:is_context(Id, Owner, One) || {Id, Owner} <- [{2, a}, {1, a}, {2, b}, {3, c}, {3, nix}]]),
    {[{close, {context_close, [2]}}], None} = let_go({context, 2, a}, One),
    ?assertEqual([b, c], lists:sort(py_worker_tenure:owners(None))),
    %% Even what is not known here may be open in the program.
    ?assertEqual({[{close, {context_close, [9]}}], None}, let_go({context, 9, a}, None)).

%% Unbinding is not death.
owner_dies() ->
    T = bound([context(1, a), context(2, a), context(3, b), {home, a}]),
    {[], Unbound} = let_go({home, a}, T),
    ?assertEqual([a, b], lists:sort(py_worker_tenure:owners(Unbound))),
    {Closed, Left} = let_go({dead, a, killed}, T),
    [{close, {context_close, Ids}}] = Closed,
    ?assertEqual([1, 2], lists:sort(Ids)),
    ?assertEqual([b], py_worker_tenure:owners(Left)),
    ?assertEqual({[], Left}, let_go({dead, a, killed}, Left)),
    %% Many go together, but not in any number.
    {Many, _} = let_go({dead, a, killed}, bound([context(Id, a) || Id <- lists:seq(1, 2_500)])),
    ?assertEqual([1_000, 1_000, 500], [length(Some) || {close, {context_close, Some}} <- Many]),
    ?assertEqual(lists:seq(1, 2_500), lists:sort(lists:append([Some || {close, {_, Some}} <- Many]))).

%% A handle and a context may have the same number.
owner_of_both() ->
    Count = fun(T) -> {py_worker_tenure:contexts(T), py_worker_tenure:handles(T)} end,
    T = bound([context(1, a), {handle, 1, a, a}, {handle, 2, a, a}, {handle, 3, b, b}]),
    ?assertEqual({1, 3}, Count(T)),
    {[{close, {release, [1]}}], One} = let_go({handle, 1, a}, T),
    ?assertEqual({1, 2}, Count(One)),
    {Closed, Left} = let_go({dead, a, killed}, One),
    ?assertEqual([{close, {context_close, [1]}}, {close, {release, [2]}}], Closed),
    ?assertEqual({{0, 1}, [b]}, {Count(Left), py_worker_tenure:owners(Left)}),
    {_, Again} = let_go({handle, 1, a}, Left),
    ?assertEqual({0, 1}, Count(Again)).

%% If it ends in any other way than by itself, it may not have told anybody.
maker_dies() ->
    T = bound([{handle, 1, a, b}, {handle, 2, a, c}, {handle, 3, a, d}]),
    ?assertEqual([a, b, c, d], lists:sort(py_worker_tenure:owners(T))),
    {[], Told} = let_go({dead, b, normal}, T),
    ?assertEqual({3, [a, c, d]}, {py_worker_tenure:handles(Told), lists:sort(py_worker_tenure:owners(Told))}),
    {[{close, {release, [2]}}], Untold} = let_go({dead, c, cancelled}, Told),
    ?assertEqual({2, [a, d]}, {py_worker_tenure:handles(Untold), lists:sort(py_worker_tenure:owners(Untold))}),
    %% It was released by then.
    {[{close, {release, [3]}}], Released} = let_go({handle, 3, a}, Untold),
    ?assertEqual({[], Released}, let_go({dead, d, killed}, Released)),
    ?assertEqual([{close, {release, [1]}}], element(1, let_go({dead, a, normal}, Released))).

unwanted() ->
    Req = (req())#req{owner = a},
    Number = 1 bsl 63 + 7,
    Kept = <<131, 104, 2, 98, 1:32, 104, 2, 119, 4, "kept", 110, 8, 0, Number:64/little>>,
    {Number, Reply} = py_wire:kept(Kept, {default, self()}, self()),
    Released = {let_go, {handle, Number, a}},
    Uses = {uses, 7, a},
    [?assertEqual({Binds, Effects}, {Binds, py_worker_tenure:unwanted(Req#req{binds = Binds}, Frame)})
     || {Binds, Frame, Effects} <- [{false, Reply, [Released]}, {Uses, Reply, [{bind, Uses}, Released]},
                                    {{handle, Uses}, Reply, [{bind, Uses}, Released]}, {{handle, false}, Reply, [Released]},
                                    {false, term_to_binary({1, ok}), []}, {home, term_to_binary({1, ok}), []},
                                    {{context, 7, infinity}, term_to_binary({1, ok}), [{let_go, {context, 7, a}}]}]].

room() ->
    T = py_worker_tenure:new(#{recycle => #{}, contexts => 3, handles => 2}, 0.0, 0),
    Room = fun(Kind, N, To) -> py_worker_tenure:room(Kind, fun() -> N end, To) end,
    Bind = fun(Id, To) -> bind(context(Id, a), To) end,
    ?assertEqual([true, true, {full, contexts, 3}], [Room(context, N, T) || N <- [0, 2, 3]]),
    Full = Bind(3, Bind(2, Bind(1, T))),
    ?assertEqual({3, {full, contexts, 3}}, {py_worker_tenure:contexts(Full), Room(context, 0, Full)}),
    {_, Two} = let_go({context, 2, a}, Full),
    {_, Same} = let_go({context, 2, a}, Two),
    ?assertEqual({2, true, {full, contexts, 3}},
                 {py_worker_tenure:contexts(Same), Room(context, 0, Same), Room(context, 1, Same)}),
    Both = bind({handle, 1, a, a}, Same),
    ?assertEqual([true, {full, handles, 2}], [Room(handle, N, Both) || N <- [0, 1]]),
    {_, None} = let_go({dead, a, killed}, Both),
    ?assertEqual({0, 0}, {py_worker_tenure:contexts(None), py_worker_tenure:handles(None)}),
    [?assertEqual(true, Room(Kind, 1_000_000, new(#{}))) || Kind <- [context, handle]].

%% It is asked again each time, until it was not used for so long.
idle() ->
    Idle = {idle, 7, a},
    Later = [{later, 50, Idle}],
    {Later, T} = py_worker_tenure:bind({context, 7, a, 50}, new(#{})),
    ?assertMatch({[{close, {context_close, [7]}}], _}, let_go(Idle, T)),
    {Later, Using} = let_go(Idle, true, T),
    {Later, Used} = let_go(Idle, Using),
    ?assertEqual({[{close, {context_close, [7]}}], {[], new(#{})}}, {element(1, let_go(Idle, Used)),
                                                  let_go(Idle, element(2, let_go(Idle, Used)))}),
    Again = bind({uses, 7, a}, Used),
    {Later, Unused} = let_go(Idle, Again),
    ?assertMatch({[{close, {context_close, [7]}}], _}, let_go(Idle, Unused)).

%% What is closed, has no such limit, or never was.
not_idle() ->
    T = bound([context(7, a)]),
    [?assertEqual({Idle, {[], T}}, {Idle, let_go(Idle, T)}) || Idle <- [{idle, 7, a}, {idle, 8, a}, {idle, 7, b}]],
    [?assertEqual(T, bind({uses, Id, a}, T)) || Id <- [7, 8]].
