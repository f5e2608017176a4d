#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Many workers' results as one: py_mem:of_pool/1, py_fanout:all_ok/1 and sum/1.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(EXIT, {error, {worker_exit, {signal, sigkill}}}).

main(_) ->
    tap:run([
        {"collections and traced bytes are summed", fun summed/0},
        {"traced bytes are there while some worker traces", fun traced/0},
        {"a busy worker has no part in the sums", fun busy/0},
        {"no worker has answered", fun nobody/0},
        [outcome(Row) || Row <- outcomes()]
    ]).

summed() ->
    Workers = [worker(1, {7, 1, 1}, [3, 2, 1]), worker(2, {9, 0, 0}, [30, 20, 10])],
    ?assertEqual(#{gc_stats => generations([33, 22, 11]), gc_count => {9, 0, 0},
                   gc_threshold => {700, 10, 10}, workers => Workers},
                 py_mem:of_pool(Workers)).

traced() ->
    Tracing = (worker(1, {1, 1, 1}, [0, 0, 0]))#{traced_memory_current => 5,
                                                 traced_memory_peak => 8},
    Idle = worker(2, {1, 1, 1}, [0, 0, 0]),
    ?assertMatch(#{traced_memory_current := 5, traced_memory_peak := 8},
                 py_mem:of_pool([Tracing, Idle])),
    ?assertMatch(#{traced_memory_current := 10, traced_memory_peak := 16},
                 py_mem:of_pool([Tracing, Tracing])),
    ?assertNot(is_map_key(traced_memory_peak, py_mem:of_pool([Idle]))).

busy() ->
    Busy = #{id => 2, rss => 100, busy => true},
    Idle = worker(1, {1, 2, 3}, [1, 1, 1]),
    ?assertEqual((py_mem:of_pool([Idle]))#{workers => [Busy, Idle]}, py_mem:of_pool([Busy, Idle])).

nobody() ->
    ?assertEqual(#{gc_stats => generations([0, 0, 0]), gc_count => {0, 0, 0},
                   gc_threshold => {0, 0, 0}, workers => []}, py_mem:of_pool([])).

worker(Id, Count, Numbers) ->
    #{id => Id, gc_count => Count, gc_threshold => {700, 10, 10},
      gc_stats => generations(Numbers)}.

generations(Numbers) ->
    [#{<<"collected">> => N, <<"collections">> => N, <<"uncollectable">> => N} || N <- Numbers].

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
