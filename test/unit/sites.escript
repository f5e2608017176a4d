#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_sites: what allocated memory, as tables: summed up, merged, filtered,
%% compared.
-mode(compile).

main(_) ->
    tap:run([table:rows("rows", fun py_mem_sites:rows/2, rows()),
             table:rows("diff", fun py_mem_sites:diff/3, diffs()),
             table:rows("is_snapshot", fun py_mem_sites:is_snapshot/1,
                        [{"one of a worker", [worker(1, [])], true},
                         {"of no worker", [[]], true},
                         {"an answer", [{ok, worker(1, [])}], false},
                         {"something else", [[{1, 2}]], false}])]).

frame(File, Line) ->
    #{file => File, line => Line, function => <<"f">>}.

%% The frames 0 and 1 are lines of one file.
worker(Id, Sites) ->
    Frames = [frame(<<"/app/a.py">>, 1), frame(<<"/app/a.py">>, 2), frame(<<"/lib/b.c.py">>, 3)],
    py_mem_sites:snapshot(Id, 100 + Id, #{frames => Frames, sites => Sites, rest => {0, 0}}).

options(Options) ->
    py_args:traced(Options).

rows() ->
    One = worker(1, [{[0, 2], 10, 1}, {[1], 30, 2}, {[0], 5, 1}, {[2], 1, 1}]),
    Two = worker(2, [{[0], 100, 7}]),
    A1 = frame(<<"/app/a.py">>, 1), A2 = frame(<<"/app/a.py">>, 2), B = frame(<<"/lib/b.c.py">>, 3),
    Rows = [A2#{bytes => 30, count => 2, workers => [1]}, A1#{bytes => 15, count => 2, workers => [1]},
            B#{bytes => 1, count => 1, workers => [1]}],
    [{"nothing", [worker(1, []), options(#{})], []},
     {"by line", [One, options(#{})], Rows},
     {"the largest alone", [One, options(#{top => 1})], [hd(Rows)]},
     {"by file", [One, options(#{by => file})],
      [#{file => <<"/app/a.py">>, bytes => 45, count => 4, workers => [1]},
       #{file => <<"/lib/b.c.py">>, bytes => 1, count => 1, workers => [1]}]},
     {"by traceback, the outermost frame first", [One, options(#{by => traceback, top => 2})],
      [#{frames => [A2], bytes => 30, count => 2, workers => [1]},
       #{frames => [B, A1], bytes => 10, count => 1, workers => [1]}]},
     {"two workers", [Two ++ One, options(#{top => 1})],
      [A1#{bytes => 115, count => 9, workers => [1, 2]}]}]
        ++ [{["files ", What], [One, options(#{by => file, include => In, exclude => Out})],
             [Row || Row = #{file := File} <- [#{file => <<"/app/a.py">>, bytes => 45, count => 4,
                                                 workers => [1]},
                                               #{file => <<"/lib/b.c.py">>, bytes => 1, count => 1,
                                                 workers => [1]}],
                     lists:member(File, Files)]}
            || {What, In, Out, Files} <- files()].

files() ->
    A = <<"/app/a.py">>, B = <<"/lib/b.c.py">>,
    [{"like each", "*", [], [A, B]},
     {"in a folder", "/app/*", [], [A]},
     {"by a character", "/app/?.py", [], [A]},
     {"by one that is too few", "/lib/?.py", [], []},
     {"whole names only", "a.py", [], []},
     {"a dot is a dot", "/lib/bxc.py", [], []},
     {"several", ["/app/*", "/lib/*"], [], [A, B]},
     {"but for some", "*", "/app/*", [B]},
     {"but for each", "*", ["/app/*", "*.c.py"], []}].

diffs() ->
    Before = worker(1, [{[0], 10, 1}, {[1], 30, 2}, {[2], 4, 4}]),
    After = worker(1, [{[0], 50, 5}, {[1], 30, 2}]),
    A1 = frame(<<"/app/a.py">>, 1), B = frame(<<"/lib/b.c.py">>, 3),
    Grown = A1#{bytes => 50, count => 5, workers => [1], bytes_diff => 40, count_diff => 4},
    Gone = B#{bytes => 0, count => 0, workers => [], bytes_diff => -4, count_diff => -4},
    [{"what has grown, and what is gone", [Before, After, options(#{})], {ok, [Grown, Gone]}},
     {"what has grown most", [Before, After, options(#{top => 1})], {ok, [Grown]}},
     {"only some files", [Before, After, options(#{exclude => "/app/*"})], {ok, [Gone]}},
     {"nothing", [After, After, options(#{})], {ok, []}},
     {"a worker that is new", [Before, worker(2, [{[0], 99, 9}]) ++ After, options(#{top => 1})],
      {ok, [Grown]}},
     {"workers that are all new", [Before, worker(2, []), options(#{})],
      {error, no_worker_in_both}}].
