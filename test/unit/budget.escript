#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_budget: what is allowed, and what is done step by step when there is
%% more.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(A, {1, list_to_pid("<0.1.0>"), 101}).
-define(B, {2, list_to_pid("<0.2.0>"), 102}).

main(_) ->
    tap:run([
        table:rows("allowed", fun py_pool_budget:allowed/4, places()),
        [{Name, fun() -> story(Rounds) end} || {Name, Rounds} <- stories()]
    ]).

%% {Limit, the places, PSI, used, allowed}
places() ->
    Machine = #{size => 1000, left => 900},
    Cgroup = #{size => 400, left => 300},
    Full = #{size => 1000, left => 10},
    [{"bytes", [100, [Machine], unknown, 50], 100},
     {"more than there is", [2000, [Machine], unknown, 500], 1000},
     {"a part of the machine", [{percent, 50}, [Machine], unknown, 50], 500},
     {"a part of the lowest cgroup", [{percent, 50}, [Machine, Cgroup], unknown, 50], 200},
     {"where nothing is known", [100, [], unknown, 50], 100},
     {"a part of what nobody knows", [{percent, 50}, [], unknown, 50], 1 bsl 62},
     {"what others have left is less", [{percent, 80}, [#{size => 1000, left => 120}], unknown, 50],
      150},
     {"nothing is left: it has too much already", [500, [Full], unknown, 50], 40},
     {"nothing is left in a cgroup", [500, [Machine, #{size => 400, left => 0}], unknown, 50], 42},
     {"processes wait for memory", [100, [Machine], {ok, 10.0}, 50], 80},
     {"hardly any do", [100, [Machine], {ok, 9.99}, 50], 100}].

%% ---------------------------------------------------------------------------

%% Rounds of {what is seen | relieved, the effects}; 100 are allowed.
story(Rounds) ->
    lists:foldl(fun round/2, {1, py_pool_budget:new()}, Rounds).

round(relieved, {N, Budget}) ->
    {N + 1, py_pool_budget:relieved(Budget)};
round({Seen, Expected}, {N, Budget}) ->
    {Effects, Next} = py_pool_budget:observe(Seen, Budget),
    ?assertEqual({N, Expected}, {N, Effects}),
    {N + 1, Next}.

seen(Used, Workers) ->
    #{used => Used, allowed => 100,
      workers => [#{worker => Worker, uss => Uss, idle => State =:= idle}
                  || {Worker, Uss, State} <- Workers]}.

%% B is the fattest.
both(Used, StateA, StateB) ->
    seen(Used, [{?A, 40, StateA}, {?B, 60, StateB}]).

times(N, Round) ->
    lists:duplicate(N, Round).

stories() ->
    Idle = both(120, idle, idle),
    Busy = both(120, busy, busy),
    Calm = both(50, busy, busy),
    Near = both(98, busy, busy),
    Pressure = [{Idle, [pressure, {relieve, [?A, ?B]}]}, relieved],
    Refusing = [{Busy, [pressure]}, {seen(120, []), [refuse]}],
    [{"nothing, below it", times(3, {Calm, []})},
     {"nothing, at it", [{both(100, idle, idle), []}]},
     {"idle workers are relieved first", Pressure ++ [{Calm, [calm]}, {Calm, []}]},
     {"only the idle ones",
      [{both(120, busy, idle), [pressure, {relieve, [?B]}]}]},
     {"nothing is decided meanwhile",
      [{Idle, [pressure, {relieve, [?A, ?B]}]}, {Idle, []}, {Calm, []}, relieved, {Calm, [calm]}]},
     {"hardly below is not calm", Pressure ++ [{Near, []}, {Near, []}, {Calm, [calm]}]},
     {"then the fattest is spared", Pressure ++ [{Busy, [{spare, ?B}]}, {Calm, [{use, ?B}, calm]}]},
     {"the fattest is by its own pages",
      [{Busy, [pressure]}, {seen(120, [{?A, 61, busy}, {?B, 60, busy}]), [{spare, ?A}]}]},
     {"once it is idle, it is relieved",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}, {Busy, []},
       {both(120, busy, idle), [{relieve, [?B]}]}, {Busy, []}, relieved,
       {Calm, [{use, ?B}, calm]}]},
     {"if that was of no use, the other one, and then no call",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}, {both(120, busy, idle), [{relieve, [?B]}]}, relieved,
       {both(120, busy, idle), [{use, ?B}, {spare, ?A}]},
       {both(120, idle, busy), [{relieve, [?A]}]}, relieved,
       {both(120, idle, busy), [{use, ?A}, refuse]}]},
     {"its last calls have three rounds",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}] ++ times(3, {Busy, []})
          ++ [{Busy, [{use, ?B}, {spare, ?A}]}]},
     {"memory that grows meanwhile is not waited for",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}] ++ times(3, {both(130, busy, busy), []})
          ++ [{both(130, busy, busy), [{use, ?B}, refuse]}]},
     {"one that is gone is not woken",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}, {seen(120, [{?A, 40, busy}]), [{spare, ?A}]}]},
     {"its successor is not spared in its place",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]},
       {seen(120, [{?A, 40, busy}, {setelement(3, ?B, 103), 70, busy}]), [{spare, ?A}]}]},
     {"while calls are refused, this is said in each round",
      Refusing ++ [{Busy, [refuse]}, {Near, [refuse]}, {Calm, [admit, calm]}, {Calm, []}]},
     {"and idle workers are relieved every eleventh round",
      Refusing ++ times(10, {Idle, [refuse]})
          ++ [{Idle, [refuse, {relieve, [?A, ?B]}]}, {Idle, []}, relieved, {Idle, [refuse]}]},
     {"a pool of one",
      [{seen(120, [{?A, 110, busy}]), [pressure]}, {seen(120, [{?A, 110, busy}]), [{spare, ?A}]},
       {seen(120, [{?A, 110, idle}]), [{relieve, [?A]}]}, relieved,
       {seen(120, [{?A, 110, idle}]), [{use, ?A}, refuse]}, {Calm, [admit, calm]}]},
     {"after calm, every worker may be spared again",
      [{Busy, [pressure]}, {Busy, [{spare, ?B}]}, {Calm, [{use, ?B}, calm]},
       {Busy, [pressure]}, {Busy, [{spare, ?B}]}]}].
