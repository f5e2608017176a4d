#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Many workers' results as one: py_mem_stats:of_pool/2,
%% py_mem_tend:trimmed/3, py_fanout:all_ok/1 and sum/1.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(EXIT, {error, {worker_exit, {signal, sigkill}}}).

main(_) ->
    tap:run([
        {"the fullest counts, and how many have answered", fun summed/0},
        {"traced bytes are there while some worker traces", fun traced/0},
        {"a busy worker has its part with its last numbers", fun busy/0},
        {"no worker has answered", fun nobody/0},
        table:rows("trimmed", fun py_mem_tend:trimmed/3, trims()),
        [outcome(Row) || Row <- outcomes()]
    ]).

-define(COUNTED, #{gc_stats => [counted], gc_pauses => [paused]}).

summed() ->
    Workers = [worker(1, {7, 1, 1}), worker(2, {9, 0, 0})],
    ?assertEqual(?COUNTED#{gc_count => {9, 0, 0}, gc_threshold => {700, 10, 10},
                           answered => 2, asked => 2, workers => Workers},
                 py_mem_stats:of_pool(?COUNTED, Workers)).

traced() ->
    Tracing = (worker(1, {1, 1, 1}))#{traced_memory_current => 5, traced_memory_peak => 8},
    Idle = worker(2, {1, 1, 1}),
    ?assertMatch(#{traced_memory_current := 5, traced_memory_peak := 8},
                 py_mem_stats:of_pool(?COUNTED, [Tracing, Idle])),
    ?assertMatch(#{traced_memory_current := 10, traced_memory_peak := 16},
                 py_mem_stats:of_pool(?COUNTED, [Tracing, Tracing])),
    ?assertNot(is_map_key(traced_memory_peak, py_mem_stats:of_pool(?COUNTED, [Idle]))).

busy() ->
    Busy = (worker(2, {8, 0, 0}))#{busy => true},
    Idle = worker(1, {1, 2, 3}),
    ?assertMatch(#{gc_count := {8, 0, 0}, answered := 1, asked := 2},
                 py_mem_stats:of_pool(?COUNTED, [Busy, Idle])).

nobody() ->
    ?assertEqual(?COUNTED#{gc_count => {0, 0, 0}, gc_threshold => {0, 0, 0},
                           answered => 0, asked => 0, workers => []}, py_mem_stats:of_pool(?COUNTED, [])).

worker(Id, Count) ->
    #{id => Id, busy => false, gc_count => Count, gc_threshold => {700, 10, 10}}.

trims() ->
    Failed = {error, unsupported},
    [{"it has shrunk", [ok, 9, 4], {ok, 5}},
     {"it has grown meanwhile", [ok, 4, 9], {ok, 0}},
     {"after a collection", [{ok, #{collected => 7}}, 9, 4], {ok, #{collected => 7, returned => 5}}},
     {"a C library without malloc_trim", [Failed, 9, 4], {error, {unsupported, trim}}},
     {"another failure", [{error, timeout}, 9, 4], {error, timeout}}].

%% {the workers' results, what they are together, what their sum is}
outcomes() ->
    [{[], ok, {ok, 0}},
     {[{ok, 1}, {ok, 2}], ok, {ok, 3}},
     {[{ok, 1}, ?EXIT], ok, {ok, 1}},
     {[?EXIT, ?EXIT], ?EXIT, ?EXIT},
     {[{ok, 1}, {error, timeout}], {error, timeout}, {error, timeout}},
     {[?EXIT, {error, timeout}, {error, other}], {error, timeout}, {error, timeout}}].

outcome({Results, All, Sum}) ->
    {io_lib:format("together: ~0p", [Results]), fun() ->
        Rows = [{{1, self(), 77}, Result} || Result <- Results],
        ?assertEqual(All, py_fanout:all_ok(Rows)),
        ?assertEqual(Sum, py_fanout:sum(Rows))
    end}.
