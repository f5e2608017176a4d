%% SPDX-License-Identifier: Apache-2.0
%%
%% When the workers of a pool give back what malloc has free. Pure: it gets what is
%% seen of them, and says which of them to trim.
%%
%% A trim that gave back less than a hundredth was not worth its time: what malloc
%% has is in use, or in pieces that are smaller than a page. Then the pause until
%% the next one doubles, up to ten minutes.
-module(py_pool_trim).

-export([new/1, seen/4, trimmed/5]).
-export_type([trim/0, policy/0, rule/0, seen/0]).

%% A worker has fallen idle; has at least that many bytes more than after the last
%% trim that was worth it; has not been trimmed for that long (ms).
-type rule() :: idle | {after_growth, pos_integer()} | {every, pos_integer()}.
-type policy() :: never | [rule()].
-type seen() :: {Worker :: pid(), Rss :: non_neg_integer(), IsIdle :: boolean()}.

%% The shortest pause between two trims, and the longest one after trims that were
%% not worth it (ms).
-define(PAUSE, 1_000).
-define(LONGEST_PAUSE, 600_000).
%% What an idle worker must have grown by.
-define(LEAST, 1_000_000).
%% The part of its memory that makes a trim worth it.
-define(WORTH, 100).

-record(worker, {
    at :: integer(),                    % when it was trimmed last, or first seen (ms)
    first :: non_neg_integer(),         % what it had when it was first seen
    left = 0 :: non_neg_integer(),      % what it had after that, or less since then
    base = 0 :: non_neg_integer(),      % the same after the last that was worth it, or after its start
    idle = false :: boolean(),          % when it was seen last
    failures = 0 :: non_neg_integer(),  % trims in a row that were not worth it
    under_way = false :: boolean()
}).

-record(trim, {
    policy :: policy(),
    workers = #{} :: #{pid() => #worker{}}
}).

-opaque trim() :: #trim{}.

-spec new(policy()) -> trim().
new(Policy) ->
    #trim{policy = Policy}.

%% What is seen of some of the live workers now. Returns those that are to be
%% trimmed.
-spec seen([seen()], Live :: [pid()], Now :: integer(), trim()) -> {[pid()], trim()}.
seen(_, _, _, #trim{policy = never} = T) ->
    {[], T};
seen(Seen, Live, Now, #trim{workers = Workers} = T) ->
    lists:foldr(fun(One, {Due, Acc}) -> look(One, Now, Due, Acc) end,
                {[], T#trim{workers = maps:with(Live, Workers)}}, Seen).

look({Pid, Rss, IsIdle} = Seen, Now, Due, #trim{policy = Rules, workers = Workers} = T) ->
    #worker{left = Left, base = Base} = Known = known(Seen, Now, Workers),
    Worker = Known#worker{left = min(Left, Rss), base = min(Base, Rss)},
    IsDue = not Worker#worker.under_way
        andalso lists:any(fun(Rule) -> is_due(Rule, Seen, Now, Worker) end, Rules),
    Next = Worker#worker{idle = IsIdle, under_way = Worker#worker.under_way orelse IsDue},
    {[Pid || IsDue] ++ Due, T#trim{workers = Workers#{Pid => Next}}}.

%% One that is new may have much to give back from its start.
known({Pid, Rss, _}, Now, Workers) ->
    maps:get(Pid, Workers, #worker{at = Now, first = Rss}).

is_due(idle, {_, Rss, IsIdle}, Now, #worker{idle = WasIdle, left = Left} = Worker) ->
    IsIdle andalso WasIdle andalso Rss - Left >= ?LEAST andalso has_passed(?PAUSE, Now, Worker);
is_due({after_growth, Bytes}, {_, Rss, _}, Now, #worker{base = Base} = Worker) ->
    Rss - Base >= Bytes andalso has_passed(?PAUSE, Now, Worker);
is_due({every, Ms}, _, Now, Worker) ->
    has_passed(Ms, Now, Worker).

%% Whether it has been left alone for long enough.
has_passed(Pause, Now, #worker{at = At, failures = Failures}) ->
    Longest = max(Pause, ?LONGEST_PAUSE),
    Now - At >= min(Longest, Pause bsl min(Failures, 20)).

%% A worker has been trimmed, as far as that went.
-spec trimmed(pid(), Before :: non_neg_integer(), After :: non_neg_integer(),
              Now :: integer(), trim()) -> trim().
trimmed(Pid, Before, After, Now, #trim{workers = Workers} = T) ->
    case Workers of
        #{Pid := #worker{under_way = true} = Worker} ->
            Trimmed = result(Before, After, Worker#worker{at = Now, left = After, under_way = false}),
            T#trim{workers = Workers#{Pid := Trimmed}};
        #{} ->
            T
    end.

result(Before, After, Worker) when (Before - After) * ?WORTH >= Before ->
    Worker#worker{base = After, failures = 0};
%% What its start took is in use. What came since may be free once a call has ended.
result(_, After, #worker{base = 0, first = First} = Worker) ->
    Worker#worker{base = min(First, After), failures = 1};
result(_, _, #worker{failures = Failures} = Worker) ->
    Worker#worker{failures = Failures + 1}.
