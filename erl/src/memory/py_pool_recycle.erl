%% SPDX-License-Identifier: Apache-2.0
%%
%% Which workers of a pool are to be replaced, because of what they have in memory
%% now, of what they have grown by since they were ready, or of their time (the pool
%% option `recycle'). Fed with what the sampler sees. Pure.
%%
%%   below ── over rss or growth ──> giving back ── still over ──> asked for
%%     ^                                  │
%%     └───────────── enough ─────────────┘
%%
%% What a worker itself has to know exactly, how many calls it takes and how often
%% it has run out of memory, is in py_worker_tenure.
-module(py_pool_recycle).

-export([new/3, seen/3, gave_back/4, ends/3, ended/4, forget/2, counts/1]).
-export_type([recycle/0, seen/0, reason/0, counts/0, effect/0]).

%% Once it has given back, a worker that is over its limit again within this time
%% (ms) has not given back enough.
-define(RELIEF, 10_000).
%% A worker that was to be replaced and is still there is asked for again (ms).
-define(PATIENCE, 60_000).
%% How many workers of each slot may reach a limit in an hour before the log says that
%% the limit is too low, and up to where they count as near to it (percent).
-define(HOUR, 3_600_000).
-define(MANY, 6).
-define(NEAR, 125).

-record(worker, {
    pid :: pid(),
    since :: integer(),                     % when it was first seen
    calls = -1 :: integer(),                % as it was seen last
    quiet = 0 :: integer(),                 % since when it has had nothing to do
    gave_back = never :: never | under_way | integer(),
    asked = never :: never | integer()
}).

-record(recycle, {
    limits :: #{atom() => non_neg_integer()},
    size :: pos_integer(),
    workers = #{} :: #{Slot :: pos_integer() => #worker{}},
    reasons = #{} :: #{pid() => reason()},  % of those that are to end
    counts = #{} :: counts(),
    peaks = [] :: [{integer(), rss | growth, non_neg_integer()}],   % latest first
    said = [] :: [term()]                   % warnings, each once
}).

-opaque recycle() :: #recycle{}.

-type reason() :: rss | growth | age | idle | calls | threads | memory_errors | heap.
-type counts() :: #{reason() => pos_integer()}.

%% A live worker: its memory in bytes, how many calls it has answered, whether it has
%% something to do, and something during which it must not be recycled.
-type seen() :: #{slot := pos_integer(), worker := pid(), rss := non_neg_integer(),
                  baseline := non_neg_integer(), calls := non_neg_integer(),
                  idle := boolean(), held := boolean()}.

-type effect() ::
    %% It collects and trims, then gave_back/4 is called.
    {give_back, Slot :: pos_integer(), pid()}
    %% It is to be replaced.
    | {recycle, Slot :: pos_integer(), pid()}
    %% A limit is of no use, because a worker that is ready has more than that.
    | {useless, rss, Limit :: pos_integer(), Baseline :: non_neg_integer()}
    %% Workers come to a limit often, and not far beyond it.
    | {too_low, rss | growth, Limit :: pos_integer(), Times :: pos_integer(),
       Proposed :: pos_integer()}.

%% With these limits, for a pool of that size; Counts were recycled before.
-spec new(#{atom() => non_neg_integer()}, Size :: pos_integer(), counts()) -> recycle().
new(Limits, Size, Counts) ->
    #recycle{limits = Limits, size = Size, counts = Counts}.

%% ---------------------------------------------------------------------------
%% What is seen

-spec seen([seen()], Now :: integer(), recycle()) -> {[effect()], recycle()}.
seen(_, _, #recycle{limits = Limits} = R) when map_size(Limits) =:= 0 ->
    {[], R};
seen(Seen, Now, R) ->
    {Effects, Next} = lists:mapfoldl(fun(One, Acc) -> look(One, Now, Acc) end, R, Seen),
    {lists:append(Effects), Next}.

look(#{slot := Slot} = Seen, Now, #recycle{workers = Workers} = R) ->
    {Said, Warned} = useless(Seen, R),
    {Effects, Next} = judge(Seen, Now, known(Seen, Now, maps:get(Slot, Workers, none)), Warned),
    {Said ++ Effects, Next}.

known(#{worker := Pid, calls := Calls, idle := true}, _,
      #worker{pid = Pid, calls = Calls} = W) -> W;
known(#{worker := Pid, calls := Calls}, Now, #worker{pid = Pid} = W) ->
    W#worker{calls = Calls, quiet = Now};
known(#{worker := Pid, calls := Calls}, Now, _) ->
    #worker{pid = Pid, since = Now, calls = Calls, quiet = Now}.

judge(#{slot := Slot, worker := Pid} = Seen, Now, #worker{gave_back = Back} = W, R) ->
    case over(Seen, Now, W, R) of
        none ->
            {[], put_worker(Slot, W, R)};
        _ when Back =:= under_way ->
            {[], put_worker(Slot, W, R)};
        Why when (Why =:= rss orelse Why =:= growth),
                 (Back =:= never orelse Now - Back > ?RELIEF) ->
            {[{give_back, Slot, Pid}], put_worker(Slot, W#worker{gave_back = under_way}, R)};
        Why ->
            ask(Slot, Why, Now, W, R)
    end.

ask(Slot, Why, Now, #worker{pid = Pid, asked = Asked} = W, R)
  when Asked =:= never; Now - Asked >= ?PATIENCE ->
    {[{recycle, Slot, Pid}], ends(Pid, Why, put_worker(Slot, W#worker{asked = Now}, R))};
ask(Slot, _, _, W, R) ->
    {[], put_worker(Slot, W, R)}.

put_worker(Slot, W, #recycle{workers = Workers} = R) ->
    R#recycle{workers = Workers#{Slot => W}}.

%% It has given back what it could, and this is what it has now.
-spec gave_back(Slot :: pos_integer(), seen() | gone, Now :: integer(), recycle()) ->
          {[effect()], recycle()}.
gave_back(Slot, Seen, Now, #recycle{workers = Workers} = R) ->
    case {Seen, Workers} of
        {#{worker := Pid}, #{Slot := #worker{pid = Pid} = W}} ->
            look(Seen, Now, put_worker(Slot, W#worker{gave_back = Now}, R));
        _ ->
            {[], R}
    end.

%% ---------------------------------------------------------------------------
%% Limits

%% The first limit that it is over.
over(#{held := true}, _, _, _) ->
    none;
over(#{calls := Calls} = Seen, Now, W, #recycle{limits = Limits}) ->
    case Calls >= maps:get(min_calls, Limits, 0) of
        true -> first([Name || Name <- [rss, growth, age, idle],
                               Limit <- [maps:get(Name, Limits, none)], Limit =/= none,
                               is_over(Name, Limit, Seen, Now, W, Limits)]);
        false -> none
    end.

first([]) -> none;
first([Name | _]) -> Name.

is_over(rss, Limit, #{rss := Rss, baseline := Baseline}, _, _, _) ->
    Rss > Limit andalso Limit > Baseline;
is_over(growth, Limit, #{rss := Rss, baseline := Baseline}, _, _, _) ->
    Rss - Baseline > Limit;
is_over(age, Limit, _, Now, #worker{since = Since} = W, Limits) ->
    Now - Since >= lowered(Limit, W, Limits);
is_over(idle, Limit, #{idle := Idle, calls := Calls}, Now, #worker{quiet = Quiet} = W, Limits) ->
    Idle andalso Calls > 0 andalso Now - Quiet >= lowered(Limit, W, Limits).

%% Each worker has a random number of its own, and keeps it.
lowered(Limit, #worker{pid = Pid}, Limits) ->
    py_worker_tenure:jittered(Limit, Limits, erlang:phash2(Pid, 1000) / 1000).

%% A worker would be over such a limit at once, again and again.
useless(#{baseline := Baseline}, #recycle{limits = #{rss := Limit}, said = Said} = R)
  when Limit =< Baseline ->
    case lists:member(useless, Said) of
        true -> {[], R};
        false -> {[{useless, rss, Limit, Baseline}], R#recycle{said = [useless | Said]}}
    end;
useless(_, R) ->
    {[], R}.

%% ---------------------------------------------------------------------------
%% What comes of it

%% This worker is to end, for this reason.
-spec ends(pid(), reason(), recycle()) -> recycle().
ends(Pid, Why, #recycle{reasons = Reasons} = R) ->
    R#recycle{reasons = Reasons#{Pid => Why}}.

%% Another worker has its slot. Why, and what is to be said about it; `Had' is what
%% it had in memory, above its baseline if its growth was the reason.
-spec ended(pid(), Had :: #{rss := non_neg_integer(), growth := integer()}, Now :: integer(),
            recycle()) -> {reason() | none, [effect()], recycle()}.
ended(Pid, Had, Now, #recycle{reasons = Reasons, counts = Counts} = R) ->
    case maps:take(Pid, Reasons) of
        {Why, Rest} ->
            Counted = maps:update_with(Why, fun(N) -> N + 1 end, 1, Counts),
            {Effects, Next} = peak(Why, Had, Now, R#recycle{reasons = Rest, counts = Counted}),
            {Why, Effects, Next};
        error ->
            {none, [], R}
    end.

peak(Why, Had, Now, #recycle{limits = Limits, peaks = Peaks, size = Size} = R)
  when Why =:= rss; Why =:= growth ->
    #{Why := Peak} = Had,
    Recent = [P || {At, _, _} = P <- lists:sublist(Peaks, ?MANY * Size), Now - At < ?HOUR],
    too_low(Why, maps:get(Why, Limits), R#recycle{peaks = [{Now, Why, Peak} | Recent]});
peak(_, _, _, R) ->
    {[], R}.

too_low(Why, Limit, #recycle{peaks = Peaks, size = Size, said = Said} = R) ->
    Near = [Peak || {_, Reason, Peak} <- Peaks, Reason =:= Why, Peak * 100 =< Limit * ?NEAR],
    case length(Near) > ?MANY * Size andalso not lists:member({too_low, Why}, Said) of
        true ->
            {[{too_low, Why, Limit, length(Near), proposed(lists:max(Near))}],
             R#recycle{said = [{too_low, Why} | Said]}};
        false ->
            {[], R}
    end.

%% Half as much again, in whole MiB.
proposed(Peak) ->
    (Peak * 3 div 2 + 16#fffff) band bnot 16#fffff.

%% A worker has died, or was forgotten.
-spec forget(pid(), recycle()) -> recycle().
forget(Pid, #recycle{reasons = Reasons} = R) ->
    R#recycle{reasons = maps:remove(Pid, Reasons)}.

%% How many workers were recycled for each reason.
-spec counts(recycle()) -> counts().
counts(#recycle{counts = Counts}) ->
    Counts.
