%% SPDX-License-Identifier: Apache-2.0
%%
%% Whether a crowd of calls is better off together, on a few workers, or apart, on all
%% of a pool. Short calls are better off together: a few programs that are at work
%% already answer more of them than hundreds that take turns on the processors. Calls
%% that wait for something are not. Nobody can tell from outside which they are, so it
%% is tried, and the rates are compared. Pure.
%%
%%   apart ── many calls ──> together ── slower than apart ──> apart, for a pause
%%                                    ── after a while ──> apart, to compare again
%%
%% The pause doubles each time, so that what calls lose that wait is not much; and so
%% does the time after which it is compared again, for those that do not.
-module(py_pace).

-export([new/2, next/4, is_together/1]).
-export_type([pace/0]).

%% Calls a second from which on it is tried.
-define(MANY, 2_000).
%% How long the pause is (ms), and after how long it is compared again.
-define(LEAST_PAUSE, 100).
-define(MOST_PAUSE, 12_800).
-define(LEAST_STAY, 2_000).
-define(MOST_STAY, 64_000).
%% How often in a row they may be slower: the machine may have been busy with others.
-define(MOST_SLOW, 2).
%% The longest that is waited for those that were under way apart (ms).
-define(MOST_DRAIN, 500).

-record(pace, {
    few :: pos_integer(),               % workers that are to do all the work
    together = false :: boolean(),
    since :: integer(),                 % together; or from then on it may be tried
    judged = 0 :: integer(),            % from then on its rate counts
    apart = 0 :: non_neg_integer(),     % calls a second when they are apart, smoothed
    slow = 0 :: non_neg_integer(),      % looks in a row at which they were slower together
    pause = ?LEAST_PAUSE :: pos_integer(),
    stay = ?LEAST_STAY :: pos_integer()
}).

-opaque pace() :: #pace{}.

%% Times are monotonic (ms).
-spec new(Few :: pos_integer(), Now :: integer()) -> pace().
new(Few, Now) ->
    #pace{few = Few, since = Now + ?LEAST_PAUSE}.

-spec is_together(pace()) -> boolean().
is_together(#pace{together = Together}) ->
    Together.

%% So many calls a second have been answered lately, and so many are under way now.
-spec next(Rate :: non_neg_integer(), UnderWay :: non_neg_integer(), Now :: integer(), pace()) -> pace().
next(Rate, UnderWay, Now, #pace{together = false, apart = Apart} = P) ->
    try_it(UnderWay, Now, P#pace{apart = smooth(Apart, Rate)});
next(Rate, UnderWay, Now, #pace{together = true, few = Few, judged = Judged} = P)
  when UnderWay > Few, Now >= Judged ->
    judge(Rate, Now, P);
next(_, _, _, P) ->
    P.

smooth(0, Rate) -> Rate;
smooth(Before, Rate) -> (Before + Rate) div 2.

try_it(UnderWay, Now, #pace{since = Since, apart = Apart} = P) when Apart >= ?MANY, Now >= Since ->
    Drain = min(?MOST_DRAIN, UnderWay * 1000 div Apart),
    P#pace{together = true, since = Now, judged = Now + Drain, slow = 0};
try_it(_, _, P) ->
    P.

%% As many are under way as callers want, so this is all that workers can do.
judge(Rate, _, #pace{apart = Apart, slow = Slow} = P) when Rate * 3 < Apart * 2, Slow < ?MOST_SLOW ->
    P#pace{slow = Slow + 1};
judge(Rate, Now, #pace{apart = Apart, pause = Pause} = P) when Rate * 3 < Apart * 2 ->
    P#pace{together = false, since = Now + Pause, pause = min(2 * Pause, ?MOST_PAUSE),
           stay = ?LEAST_STAY};
judge(_, Now, #pace{since = Since, stay = Stay} = P) when Now - Since >= Stay ->
    P#pace{together = false, since = Now + ?LEAST_PAUSE, stay = min(2 * Stay, ?MOST_STAY),
           pause = ?LEAST_PAUSE};
judge(_, _, P) ->
    P#pace{slow = 0}.
