#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_referrers: what keeps objects in several workers, together.
-mode(compile).

main(_) ->
    tap:run(table:rows("rows", fun py_mem_referrers:rows/1, rows())).

rows() ->
    Types = [<<"module">>, <<"dict">>, <<"A">>],
    Cache = {module, <<"m.cache[1]">>, <<"m.cache[]">>, Types, 3},
    Other = {module, <<"m.cache[2]">>, <<"m.cache[]">>, Types, 4},
    Cycle = {cycle, <<"<A>.a">>, <<"<A>.a">>, [<<"A">>, <<"A">>], 5},
    Row = #{root => module, path => <<"m.cache[1]">>, holders => Types, count => 3, workers => [1]},
    Cyclic = #{root => cycle, path => <<"<A>.a">>, holders => [<<"A">>, <<"A">>], count => 5,
               workers => [2]},
    [{"no worker", [[]], []},
     {"no object", [[{1, []}]], []},
     {"one way", [[{1, [Cache]}]], [Row]},
     {"ways that differ in their keys", [[{1, [Cache]}, {2, [Other]}]],
      [Row#{count => 7, workers => [1, 2]}]},
     {"those with most objects first", [[{1, [Cache]}, {2, [Cycle]}]], [Cyclic, Row]},
     {"ways that only look the same", [[{1, [Cache]}, {2, [setelement(1, Cache, unknown)]}]],
      [Row, Row#{root => unknown, workers => [2]}]}].
