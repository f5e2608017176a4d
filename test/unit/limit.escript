#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_limit: what is to be thought of a worker's memory.
-mode(compile).

main(_) ->
    tap:run([
        table:rows("judge", fun py_pool_limit:judge/2, samples()),
        table:rows("children count", fun py_pool_limit:counts_children/1, limits()),
        table:rows("budget", fun py_pool_limit:budget/1, budgets())
    ]).

samples() ->
    Rss = #{rss => 100},
    Group = #{group => 100},
    Both = #{rss => 100, group => 200},
    [{"without a limit", [#{rss => 1 bsl 60}, #{}], far},
     {"with limits that were lifted",
      [#{rss => 1 bsl 60, group_rss => 1 bsl 60}, #{rss => infinity, group => infinity}], far},
     {"with limits of another kind", [#{rss => 1 bsl 60}, #{heap => 1}], far},
     {"half of it", [#{rss => 50}, Rss], far},
     {"more than half", [#{rss => 51}, Rss], near},
     {"all of it", [#{rss => 100}, Rss], near},
     {"more", [#{rss => 101}, Rss], {over, #{rss => 101, limit => 100}}},
     {"half, in a group", [#{rss => 1, group_rss => 50}, Group], far},
     {"more than half, in a group", [#{rss => 1, group_rss => 51}, Group], near},
     {"a group that may have more", [#{rss => 1, group_rss => 101}, Group], measure},
     {"a group that shares much", [#{rss => 1, group_rss => 1000, group => 100}, Group], near},
     {"a group that has more", [#{rss => 1, group_rss => 1000, group => 101}, Group],
      {over, #{rss => 1, group => 101, limit => 100}}},
     {"alone in its group", [#{rss => 101}, Group], far},
     {"both limits, near the first", [#{rss => 51, group_rss => 51}, Both], near},
     {"both limits, near the second", [#{rss => 1, group_rss => 101}, Both], near},
     {"both limits, above the first", [#{rss => 101, group_rss => 300}, Both],
      {over, #{rss => 101, limit => 100}}}].

limits() ->
    [{"where the group is limited", [#{group => 1}], true},
     {"where it was", [#{group => infinity}], false},
     {"nowhere else", [#{rss => 1, budget => 1}], false}].

budgets() ->
    [{"of no worker", [[]], none},
     {"of workers without one", [[#{rss => 1}, #{budget => infinity}]], none},
     {"of those that have one", [[#{}, #{budget => 7}, #{budget => 7}]], 7},
     {"the least", [[#{budget => 9}, #{budget => 7}]], 7}].
