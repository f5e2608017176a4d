%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's memory against its limits, from outside: `rss', what its process has
%% in memory, and `group', what it has together with the processes that it
%% started, shared pages divided (PSS). Pure.
%%
%% The kernel looks at every page of a process for its PSS, which takes
%% milliseconds. It is never more than the processes' rss together (`group_rss'),
%% so it is needed only where these are above the limit.
-module(py_pool_limit).

-export([judge/2, counts_children/1, budget/1]).
-export_type([limits/0, sample/0, excess/0]).

-type limits() :: #{rss => pos_integer() | infinity, group => pos_integer() | infinity,
                    budget => py_pool_budget:limit() | infinity, _ => _}.
-type sample() :: #{rss := non_neg_integer(), group_rss => non_neg_integer(),
                    group => non_neg_integer()}.
%% What it had, and the limit that it was above.
-type excess() :: #{rss := non_neg_integer(), group => non_neg_integer(), limit := pos_integer()}.

%% `near': above half of a limit, so it has to be looked at more often. `measure':
%% the group has to be measured to know more.
-spec judge(sample(), limits()) -> far | near | measure | {over, excess()}.
judge(#{rss := Rss}, #{rss := Limit}) when Rss > Limit ->
    {over, #{rss => Rss, limit => Limit}};
judge(#{rss := Rss, group := Pss}, #{group := Limit}) when Pss > Limit ->
    {over, #{rss => Rss, group => Pss, limit => Limit}};
judge(#{group_rss := Sum} = Sample, #{group := Limit})
  when Sum > Limit, not is_map_key(group, Sample) ->
    measure;
judge(Sample, Limits) ->
    case is_near(rss, Sample, rss, Limits) orelse is_near(group_rss, Sample, group, Limits) of
        true -> near;
        false -> far
    end.

is_near(Key, Sample, Name, Limits) ->
    case {Sample, Limits} of
        {#{Key := Bytes}, #{Name := Limit}} -> 2 * Bytes > Limit;
        _ -> false
    end.

%% Whether the processes that workers have started have to be found.
-spec counts_children(limits()) -> boolean().
counts_children(#{group := Limit}) -> is_integer(Limit);
counts_children(_) -> false.

%% The budget of a pool whose workers have these limits.
-spec budget([limits()]) -> py_pool_budget:limit() | none.
budget(Limits) ->
    case [Budget || #{budget := Budget} <- Limits, Budget =/= infinity] of
        [] -> none;
        Budgets -> lists:min(Budgets)
    end.
