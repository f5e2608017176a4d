#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_report: the lines that a person reads.
-mode(compile).

main(_) ->
    tap:run([table:rows("lines", fun py_mem_report:lines/1, reports())]).

reports() ->
    [{"no pool", [[]], ["no pool is running"]},
     {"a pool of workers of all kinds", [[pdf()]],
      ["1 pool, 3 workers, 426.0M in memory",
       "",
       "pdf: 3 workers, 1 busy, 2 calls wait, 426.0M in memory, budget 2.0G",
       "recycled: 1 by calls, 3 by rss",
       "refused: layout:render/2, eval",
       "",
       " id  os pid  state     calls     rss    peak   growth  /min  limit    mostly",
       "  1     100  busy         12  412.3M  500.0M  +398.0M  +60K  rss 82%  python_objects",
       "  2     101  idle          3   13.7M   13.7M        0     0  rss 2%   c_heap",
       "  3          starting      0",
       " worker 1, if it goes on like this, reaches its limit rss in 24h",
       "",
       "c_heap: what C libraries take; nothing in Python gives it back",
       "python_objects: what objects take; py_mem:growth/1 says which"]},
     {"a name that tells the terminal what to do",
      [[(pool(a, [], 0))#{quarantined => [{{<<"\e[2J">>, <<"f\n">>, 1}, oom}]}]],
      ["1 pool, 0 workers, 0 in memory",
       "",
       "a: 0 workers, 0 busy, 0 calls wait, 0 in memory",
       "refused: ?[2J:f?/1",
       "",
       " id  os pid  state  calls  rss  peak  growth  /min  limit  mostly"]},
     {"two pools, and one call that waits", [[idle(a, 1), idle(b, 0)]],
      ["2 pools, 2 workers, 2.0M in memory",
       "",
       "a: 1 worker, 0 busy, 1 call waits, 1.0M in memory, budget 50 %",
       "",
       " id  os pid  state  calls   rss  peak  growth  /min  limit  mostly",
       "  1       7  idle       0  1.0M",
       "",
       "b: 1 worker, 0 busy, 0 calls wait, 1.0M in memory, budget 50 %",
       "",
       " id  os pid  state  calls   rss  peak  growth  /min  limit  mostly",
       "  1       7  idle       0  1.0M"]}].

pool(Name, Workers, Waiting) ->
    #{name => Name, size => length(Workers), queue => #{waiting => Waiting, max => 10},
      memory => #{}, recycled => #{}, quarantined => [], workers => Workers}.

idle(Name, Waiting) ->
    (pool(Name, [#{id => 1, os_pid => 7, state => idle, calls => 0, rss => 1_000_000}], Waiting))#{
        memory => #{budget => {percent, 50}}}.

pdf() ->
    Limits = #{limits => #{rss => 500_000_000}},
    (pool(pdf, [maps:merge(Worker, Limits) || Worker <- workers()], 2))#{
        memory => #{budget => 2_000_000_000, rss => 500_000_000},
        recycled => #{rss => 3, calls => 1},
        quarantined => [{{<<"layout">>, <<"render">>, 2}, memory_errors}, {eval, oom}]}.

workers() ->
    [#{id => 1, os_pid => 100, state => busy, calls => 12, rss => 412_300_000,
       peak => 500_000_000, growth => 398_000_000, slope => 1000, reaches_limit_in => 87_700_000,
       left => #{rss => 87_700_000}, diagnosis => python_objects},
     #{id => 2, os_pid => 101, state => idle, calls => 3, rss => 13_700_000,
       peak => 13_700_000, growth => 0, slope => 0, left => #{rss => 486_300_000},
       diagnosis => c_heap},
     #{id => 3, os_pid => undefined, state => starting, calls => 0, left => #{}}].
