#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_steps: what a worker has still to run, for each progress it may have.
-mode(compile).

main(_) ->
    tap:run([
        table:rows("missing", fun py_pool_steps:missing/2, missing()),
        table:rows("all", fun py_pool_steps:all/1, progress())
    ]).

init() ->
    py_pool_steps:new([<<"a">>, <<"b">>]).

grown() ->
    py_pool_steps:append({exec, <<"c">>}, init()).

missing() ->
    None = py_pool_steps:none(),
    All = py_pool_steps:all(init()),
    [{"nothing for no code", [None, py_pool_steps:new([])], []},
     {"the init code, in order", [None, init()], [{exec, <<"a">>}, {exec, <<"b">>}]},
     {"nothing, when all was run", [All, init()], []},
     {"only what came meanwhile", [All, grown()], [{exec, <<"c">>}]},
     {"what came later, behind the init code", [None, grown()],
      [{exec, <<"a">>}, {exec, <<"b">>}, {exec, <<"c">>}]},
     {"tracing before any code", [None, py_pool_steps:trace(5, init())],
      [{tracemalloc_start, 5}, {exec, <<"a">>}, {exec, <<"b">>}]},
     {"tracing that is on already",
      [py_pool_steps:all(py_pool_steps:trace(5, init())), py_pool_steps:trace(5, grown())],
      [{exec, <<"c">>}]},
     {"tracing with more frames",
      [py_pool_steps:all(py_pool_steps:trace(5, init())), py_pool_steps:trace(6, init())],
      [{tracemalloc_start, 6}]},
     {"tracing that was stopped",
      [py_pool_steps:all(py_pool_steps:trace(5, init())),
       py_pool_steps:trace(off, py_pool_steps:trace(5, init()))],
      [tracemalloc_stop]}].

%% Whoever has run everything is as far as one that is told to.
progress() ->
    [{"of nothing is none", [py_pool_steps:new([])], py_pool_steps:none()},
     {"of the same code is the same", [init()], py_pool_steps:all(init())}].
