%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of workers: statistics, collection, tracing.
-module(py_mem).

-export([stats/1, gc/2, trace/2]).
-export([of_pool/1]).

-include("py.hrl").

%% Statistics are there within 100 ms, whatever the workers do.
-define(STATS_LIMIT, 90).

%% ---------------------------------------------------------------------------
%% Statistics

-spec stats(py_target:target()) -> py_target:answer().
stats(Target) ->
    py_target:run(Target, fun ask/2, fun(_, Results) -> {ok, of_pool(known(Results))} end).

%% A worker that ended meanwhile has nothing to say.
known(Results) ->
    [Stats || {_, {ok, Stats}} <- Results].

%% Every worker is asked, and the kernel meanwhile. One that cannot answer in
%% time is busy: it has the kernel's numbers only.
ask(_, Workers) ->
    Deadline = py_time:deadline(?STATS_LIMIT),
    Sent = py_fanout:send(Workers, urgent, memory_stats, Deadline),
    Kernel = [py_os_proc:memory(OsPid) || {_, _, OsPid} <- Workers],
    Results = py_fanout:collect(Sent, Deadline),
    lists:zipwith(fun of_worker/2, Kernel, Results).

of_worker(_, {_, {error, {worker_exit, _}}} = Ended) ->
    Ended;
of_worker(Kernel, {{Id, _, OsPid} = Worker, Result}) ->
    Known = Kernel#{id => Id, os_pid => OsPid},
    {Worker, {ok, case Result of
                      {ok, Stats} -> maps:merge(Known#{busy => false}, Stats);
                      {error, _} -> Known#{busy => true}
                  end}}.

%% A pool's memory, made of its workers' own maps: what their collectors did is
%% summed, the fullest counts are shown, the thresholds are the first one's;
%% traced bytes are there while some worker traces. Pure.
-spec of_pool([map()]) -> map().
of_pool(Workers) ->
    Answered = [Worker || #{gc_count := _} = Worker <- Workers],
    Base = #{gc_stats => generations(values(gc_stats, Answered)),
             gc_count => lists:max([{0, 0, 0} | values(gc_count, Answered)]),
             gc_threshold => first(values(gc_threshold, Answered)),
             workers => Workers},
    lists:foldl(fun(Key, Stats) -> traced(Key, values(Key, Answered), Stats) end,
                Base, [traced_memory_current, traced_memory_peak]).

values(Key, Maps) ->
    [Value || #{Key := Value} <- Maps].

first([Value | _]) -> Value;
first([]) -> {0, 0, 0}.

generations([]) ->
    lists:duplicate(3, maps:from_keys([<<"collected">>, <<"collections">>,
                                       <<"uncollectable">>], 0));
generations([First | Rest]) ->
    lists:foldl(fun(Stats, Sum) -> lists:zipwith(fun add/2, Stats, Sum) end, First, Rest).

add(A, B) ->
    maps:merge_with(fun(_, X, Y) -> X + Y end, A, B).

traced(_, [], Stats) -> Stats;
traced(Key, Values, Stats) -> Stats#{Key => lists:sum(Values)}.

%% ---------------------------------------------------------------------------
%% Collection and tracing

%% Collects: how many objects were found, in a pool in all of its workers.
-spec gc(py_target:target(), py_wire:op()) -> py_target:answer().
gc(Target, Op) ->
    py_target:run(Target, everywhere(Op), fun(_, Results) -> py_fanout:sum(Results) end).

%% Starts or stops tracing. A pool's name means its workers to come, too.
-spec trace(py_target:target(), py_wire:op()) -> py_target:answer().
trace(Name, Op) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> trace_pool(Pool, Op) end);
trace(Target, Op) ->
    py_target:run(Target, everywhere(Op), fun(_, Results) -> py_fanout:all_ok(Results) end).

trace_pool(Pool, Op) ->
    case py_pool:trace(Pool, tracing(Op)) of
        {ok, Workers} -> py_fanout:all_ok((everywhere(Op))(Pool, Workers));
        {error, _} = Error -> Error
    end.

tracing({tracemalloc_start, NFrame}) -> NFrame;
tracing(tracemalloc_stop) -> off.

everywhere(Op) ->
    fun(#pool{timeout = Timeout}, Workers) ->
        py_fanout:ask(Workers, urgent, Op, py_time:deadline(Timeout))
    end.
