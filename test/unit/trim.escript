#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_trim: who is trimmed when, told as stories. A step is what is seen, at
%% which second, or what a trim gave back; behind it, whether that is a moment to
%% trim.
-mode(compile).

main(_) ->
    tap:run([table:rows("trim", fun story/2, [{What, [Policy, Steps], Due}
                                              || {What, Policy, Steps, Due} <- stories()])]).

-define(MB, 1_000_000).
-define(W, list_to_pid("<0.1000.0>")).

%% The seconds at which it was to be trimmed. A step is {Second, busy | idle, Rss
%% in MB} or {trimmed, Second, Before, After}.
story(Policy, Steps) ->
    {Due, _} = lists:foldl(fun step/2, {[], py_pool_trim:new(Policy)}, Steps),
    lists:reverse(Due).

step({trimmed, At, Before, After}, {Due, T}) ->
    {Due, py_pool_trim:trimmed(?W, Before * ?MB, After * ?MB, At * 1000, T)};
step({At, gone}, {Due, T}) ->
    {[], Next} = py_pool_trim:seen([], [], At * 1000, T),
    {Due, Next};
step({At, State, Rss}, {Due, T}) ->
    case py_pool_trim:seen([{?W, Rss * ?MB, State =:= idle}], [?W], At * 1000, T) of
        {[], Next} -> {Due, Next};
        {[_], Next} -> {[At | Due], Next}
    end.

stories() ->
    Growth = [{after_growth, 50 * ?MB}],
    [{"never", never, [{N, idle, 100 * N} || N <- lists:seq(1, 9)], []},
     {"no rule", [], [{N, idle, 100 * N} || N <- lists:seq(1, 9)], []},

     {"idle: once it has started", [idle], [{1, idle, 30}, {2, idle, 30}, {3, idle, 30}], [2]},
     {"idle: not between two calls", [idle], [{1, busy, 30}, {2, idle, 30}, {3, busy, 30}], []},
     {"idle: not again while it has not grown", [idle],
      [{1, idle, 30}, {2, idle, 30}, {trimmed, 2, 30, 20}, {3, idle, 20}, {9, idle, 20.9}], [2]},
     {"idle: again when it has worked", [idle],
      [{1, idle, 30}, {2, idle, 30}, {trimmed, 2, 30, 20}, {3, busy, 40}, {4, idle, 30},
       {5, idle, 30}], [2, 5]},
     {"idle: not again where nothing came of it", [idle],
      [{1, idle, 30}, {2, idle, 30}, {trimmed, 2, 30, 30}] ++ [{N, idle, 30} || N <- [3, 9, 900]],
      [2]},
     {"idle: what was given back meanwhile is noticed", [idle],
      [{1, idle, 30}, {2, idle, 30}, {trimmed, 2, 30, 29}, {3, idle, 10}, {4, idle, 20},
       {5, idle, 20}], [2, 4]},

     {"growth: under constant load", Growth, [{1, busy, 30}, {2, busy, 49}, {3, busy, 50}], [3]},
     {"growth: from what a trim has left", Growth,
      [{1, busy, 30}, {2, busy, 80}, {trimmed, 2, 80, 40}, {3, busy, 80}, {4, busy, 90}], [2, 4]},
     {"growth: from the least that it had since", Growth,
      [{1, busy, 30}, {2, busy, 80}, {trimmed, 2, 80, 40}, {3, busy, 20}, {4, busy, 70}], [2, 4]},
     {"growth: where a start takes much, one trim is enough", Growth,
      [{1, busy, 500}, {2, busy, 500}, {trimmed, 2, 500, 500}, {3, busy, 500}, {9, busy, 549},
       {10, busy, 550}], [2, 10]},
     {"growth: a trim amid a call is not the last", Growth,
      [{1, busy, 13}, {2, busy, 230}, {trimmed, 2, 230, 229}, {3, busy, 230}, {4, busy, 230},
       {trimmed, 4, 230, 14}, {9, busy, 60}], [2, 4]},
     {"growth: once a second at most", Growth,
      [{1, busy, 30}, {2, busy, 90}, {trimmed, 2, 90, 30}, {2.5, busy, 90}, {3, busy, 90}], [2, 3]},
     {"not while a trim is under way", Growth, [{1, busy, 30}, {2, busy, 90}, {9, busy, 200}], [2]},

     {"back-off: the pause doubles", Growth,
      [{0, busy, 60}, {1, busy, 60}, {trimmed, 1, 60, 50}
       | lists:append([[{N, busy, 100}, {trimmed, N, 100, 100}]
                       || N <- [2, 3, 4, 7, 8, 15, 16]])],
      [1, 2, 4, 8, 16]},
     {"back-off: ends with a trim that was worth it", Growth,
      [{0, busy, 60}, {1, busy, 60}, {trimmed, 1, 60, 50}, {2, busy, 100}, {trimmed, 2, 100, 100},
       {4, busy, 100}, {trimmed, 4, 100, 99}, {5, busy, 149}, {trimmed, 5, 149, 100},
       {6, busy, 150}],
      [1, 2, 4, 5, 6]},
     {"back-off: ten minutes at most", Growth,
      [{0, busy, 60}, {1, busy, 60}, {trimmed, 1, 60, 50}
       | lists:append([[{N, busy, 100}, {trimmed, N, 100, 100}]
                       || N <- [2, 10000, 20000, 30000, 40000, 50000, 60000, 70000, 80000, 90000,
                                100000, 110000, 110599, 110600]])],
      [1, 2, 10000, 20000, 30000, 40000, 50000, 60000, 70000, 80000, 90000, 100000, 110000, 110600]},

     {"every: however idle or busy", [{every, 5000}],
      [{1, busy, 30}, {5, busy, 30}, {6, busy, 30}, {trimmed, 6, 30, 20}, {7, idle, 30},
       {11, idle, 20}], [6, 11]},
     {"every: backs off, too", [{every, 5000}],
      [{1, busy, 30}, {6, busy, 30}, {trimmed, 6, 30, 30}, {11, busy, 30}, {16, busy, 30}],
      [6, 16]},

     {"another worker begins anew", [idle],
      [{1, idle, 30}, {2, idle, 30}, {trimmed, 2, 30, 30}, {3, gone}, {4, idle, 30},
       {5, idle, 30}], [2, 5]},
     {"the answer of one that is gone", [idle],
      [{1, idle, 30}, {2, gone}, {trimmed, 3, 30, 20}], []}].
