%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of a whole pool: statistics, collection, tracing.
-module(py_mem).

-export([stats/1, gc/2, trace/2]).

-include("py.hrl").

%% Statistics are there within 100 ms, whatever the workers do.
-define(STATS_LIMIT, 90).

%% Every worker is asked, and the kernel meanwhile. One that cannot answer in
%% time is busy: it has the kernel's numbers only.
-spec stats(#pool{}) -> {ok, map()}.
stats(Pool) ->
    Deadline = py_request:deadline(#opts{timeout = ?STATS_LIMIT}, Pool),
    Workers = py_pool_board:workers(Pool),
    Sent = py_fanout:send(Workers, urgent, memory_stats, Deadline),
    Kernel = [py_os_proc:memory(OsPid) || {_, _, OsPid} <- Workers],
    Results = py_fanout:collect(Sent, Deadline),
    Maps = lists:zipwith(fun worker/2, Kernel, Results),
    {ok, py_mem_stats:memory(lists:append(Maps))}.

worker(_, {_, {error, {worker_exit, _}}}) ->
    [];
worker(Kernel, {{Slot, _, OsPid}, Result}) ->
    Known = Kernel#{id => Slot, os_pid => OsPid},
    case Result of
        {ok, Stats} -> [maps:merge(Known#{busy => false}, Stats)];
        {error, _} -> [Known#{busy => true}]
    end.

%% Collects in every worker: how many objects were found in all of them.
-spec gc(#pool{}, py_wire:op()) -> {ok, non_neg_integer()} | {error, term()}.
gc(Pool, Op) ->
    py_mem_stats:sum(everywhere(Pool, py_pool_board:workers(Pool), Op)).

%% Starts or stops tracing in every worker, and in those to come.
-spec trace(#pool{}, py_wire:op()) -> ok | {error, term()}.
trace(Pool, Op) ->
    case py_pool:trace(Pool, tracing(Op)) of
        {ok, Workers} -> py_mem_stats:all_ok(everywhere(Pool, Workers, Op));
        {error, _} = Error -> Error
    end.

tracing({tracemalloc_start, NFrame}) -> NFrame;
tracing(tracemalloc_stop) -> off.

everywhere(Pool, Workers, Op) ->
    Deadline = py_request:deadline(#opts{}, Pool),
    [Result || {_, Result} <- py_fanout:ask(Workers, urgent, Op, Deadline)].
