%% SPDX-License-Identifier: Apache-2.0
%%
%% What is known about the memory of a worker since it was ready, whether or not it
%% can answer now; and what the workers that had its slot before have counted, so
%% that a pool's counters never go back. Pure.
-module(py_worker_memory).

-export([new/5, learn/4, of_worker/3, baseline/2, counted/1]).
-export_type([memory/0, numbers/0, counted/0]).

%% As the program says them: gc_stats, gc_pauses, gc_count, gc_threshold and, while
%% it traces, traced_memory_current and traced_memory_peak.
-type numbers() :: #{gc_stats := generations(), gc_pauses := generations(),
                     gc_count := tuple(), gc_threshold := tuple(), _ => _}.
-type generations() :: [#{binary() | atom() => non_neg_integer()}].
-type counted() :: #{gc_stats := generations(), gc_pauses := generations()}.

-record(memory, {
    worker :: pid(),
    since :: integer(),                     % when it was ready (ms)
    baseline :: non_neg_integer() | undefined,
    at :: integer(),                        % when the numbers were taken (ms)
    numbers :: numbers(),
    past :: counted()                       % by those who had the slot before
}).

-opaque memory() :: #memory{}.

%% A worker is ready. `Before' is what was known about its predecessor.
-spec new(pid(), Baseline :: non_neg_integer() | undefined, numbers(), Now :: integer(),
          Before :: memory() | none) -> memory().
new(Worker, Baseline, Numbers, Now, Before) ->
    Past = case Before of none -> zero(); #memory{} -> sum(Before) end,
    #memory{worker = Worker, since = Now, baseline = Baseline, at = Now, numbers = Numbers,
            past = Past}.

%% It has said its numbers. Older numbers that arrive later are dropped.
-spec learn(pid(), numbers(), Now :: integer(), memory() | none) -> memory() | none.
learn(Worker, Numbers, Now, #memory{worker = Worker, numbers = Known} = Memory) ->
    case collections(Numbers) >= collections(Known) of
        true -> Memory#memory{numbers = Numbers, at = max(Now, Memory#memory.at)};
        false -> Memory
    end;
learn(_, _, _, Memory) ->
    Memory.

collections(#{gc_stats := Generations}) ->
    lists:sum([N || #{<<"collections">> := N} <- Generations]).

%% What is known about this worker, with the age of its numbers.
-spec of_worker(pid(), Now :: integer(), memory() | none) -> map().
of_worker(Worker, Now, #memory{worker = Worker} = Memory) ->
    #memory{since = Since, baseline = Baseline, at = At, numbers = Numbers} = Memory,
    Known = Numbers#{uptime => Now - Since, age => max(0, Now - At)},
    case Baseline of
        undefined -> Known;
        _ -> Known#{baseline => Baseline}
    end;
of_worker(_, _, _) ->
    #{}.

%% What this worker had when it was ready; 0 if that is not known.
-spec baseline(pid(), memory() | none) -> non_neg_integer().
baseline(Worker, #memory{worker = Worker, baseline = Baseline}) when is_integer(Baseline) ->
    Baseline;
baseline(_, _) ->
    0.

%% What all workers have counted, those that have ended included.
-spec counted([memory()]) -> counted().
counted(Memories) ->
    lists:foldl(fun(Memory, Sum) -> add(sum(Memory), Sum) end, zero(), Memories).

sum(#memory{numbers = Numbers, past = Past}) ->
    add(maps:with([gc_stats, gc_pauses], Numbers), Past).

add(These, Those) ->
    maps:merge_with(fun(_, A, B) -> lists:zipwith(fun add_one/2, A, B) end, These, Those).

add_one(This, That) ->
    maps:merge_with(fun(longest, A, B) -> max(A, B);
                       (_, A, B) -> A + B
                    end, This, That).

zero() ->
    #{gc_stats => zeros([<<"collected">>, <<"collections">>, <<"uncollectable">>]),
      gc_pauses => zeros([count, total, longest])}.

zeros(Keys) ->
    lists:duplicate(3, maps:from_keys(Keys, 0)).
