%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc Python's memory, for who investigates it.
%%
%% What is for every day is in {@link py}: `memory_stats', `gc', `trim',
%% `tracemalloc_start'. The functions here take the same targets: a pool, one of
%% its workers as `{Pool, Id}', or `{Pool, all}', which gives each worker's answer
%% by itself: `{ok, [{Id, Answer}]}'. Settings of a pool hold for its workers to
%% come, too; those of `{Pool, Id}' and `{Pool, all}' end with the worker.
%% `docs/memory.md' says when they help.
-module(py_mem).

-export([gc_threshold/1, gc_threshold/2, gc_freeze/1, gc_enable/1, gc_disable/1]).
-export([reset_peak/1, history/1, history/2]).
-export_type([threshold/0]).

%% What has to pile up in each generation before it is collected; 0 in the first
%% place: nothing is collected by itself.
-type threshold() :: {non_neg_integer(), non_neg_integer(), non_neg_integer()}.

%% @doc From now on `peak' in {@link py:memory_stats/1} is the most that is in memory
%% from now on: ``ok = py_mem:reset_peak(pdf)''. So are `traced_memory_peak', and the
%% peak of the heap where it is counted. What the kernel does not let us reset stays:
%% `{error, {unsupported, reset_peak}}'.
-spec reset_peak(py:target()) -> ok | py:each() | {error, term()}.
reset_peak(Target) ->
    py_mem_tend:reset_peak(Target).

%% @doc When Python collects garbage by itself: ``{ok, {700, 10, 10}} = py_mem:gc_threshold(pdf)''.
%% A pool's thresholds are those of its first worker.
-spec gc_threshold(py:target()) -> {ok, threshold()} | py:each() | {error, term()}.
gc_threshold(Target) ->
    py_mem_tend:thresholds(Target).

%% @doc Sets that: ``ok = py_mem:gc_threshold(pdf, {50000, 20, 20})''.
-spec gc_threshold(py:target(), threshold()) -> ok | py:each() | {error, term()}.
gc_threshold(Target, Threshold) ->
    py_mem_tend:set(Target, py_args:gc_threshold(Threshold)).

%% @doc Takes the objects that are there now out of the collector's sight, for ever:
%% ``ok = py_mem:gc_freeze(pdf)''. It has less to look at then, and a forked child
%% shares more of its pages. A worker that starts later has to be told anew, or does
%% it in `init'.
-spec gc_freeze(py:target()) -> ok | py:each() | {error, term()}.
gc_freeze(Target) ->
    py_mem_tend:once(Target, gc_freeze).

%% @doc Python collects garbage by itself, as it does from the start:
%% ``ok = py_mem:gc_enable(pdf)''.
-spec gc_enable(py:target()) -> ok | py:each() | {error, term()}.
gc_enable(Target) ->
    py_mem_tend:set(Target, gc_enable).

%% @doc Python collects garbage only when `py:gc/1' or its own code says so:
%% ``ok = py_mem:gc_disable(pdf)''.
-spec gc_disable(py:target()) -> ok | py:each() | {error, term()}.
gc_disable(Target) ->
    py_mem_tend:set(Target, gc_disable).

%% @equiv history(Target, #{})
-spec history(py:target()) -> {ok, map()} | py:each() | {error, term()}.
history(Target) ->
    history(Target, #{}).

%% @doc How a worker's memory has changed since its start:
%% ``{ok, #{samples := [{_, _} | _]}} = py_mem:history({pdf, 2})''. Each sample is
%% `{Ago, Rss}', milliseconds and bytes, the oldest first: one a second at first, and
%% the fewer the older they are, so that there are never more than some hundreds.
%% `slope' is how many bytes a second it grows, by a straight line through them. With
%% a limit `rss', `limit' is there, and while it grows `reaches_limit_in', in
%% milliseconds. `#{last => 60000}' looks at the last minute only. A pool's map has
%% its workers' maps as `workers', and their slopes' sum.
-spec history(py:target(), #{last => timeout()}) -> {ok, map()} | py:each() | {error, term()}.
history(Target, Options) ->
    #{last := Last} = py_args:history(Options),
    py_mem_history:history(Target, Last).
