%% SPDX-License-Identifier: Apache-2.0
%%
%% Pure. What is made of many numbers: percentiles, and nothing else. A mean would show what
%% the machine did at its worst moment.
-module(bench_figures).

-export([median/1, percentile/2, spread/1]).
-export_type([spread/0]).

%% The median, and the quartiles around it.
-type spread() :: #{low := number(), median := number(), high := number()}.

-spec median([number(), ...]) -> number().
median(Numbers) ->
    percentile(50, Numbers).

%% The smallest of the numbers that at least this many percent of them do not exceed.
-spec percentile(1..100, [number(), ...]) -> number().
percentile(Percent, Numbers) ->
    lists:nth((length(Numbers) * Percent + 99) div 100, lists:sort(Numbers)).

-spec spread([number(), ...]) -> spread().
spread(Numbers) ->
    #{low => percentile(25, Numbers), median => median(Numbers),
      high => percentile(75, Numbers)}.
