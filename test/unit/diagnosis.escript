#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_diagnosis: the word for each kind of memory, and none where what is not
%% known might be the most.
-mode(compile).

main(_) ->
    tap:run([table:rows("word", fun py_mem_diagnosis:word/1, words())]).

%% A worker with 10 MB, of which objects have 7 and C libraries 1.
fresh() ->
    #{held => 10, arenas => #{bytes => 6, unused => 1}, malloc => #{used => 3, free => 1, pieces => 0},
      objects => 7, children => #{count => 0, rss => 0, uss => 0}}.

malloc(Used, Free, Pieces) ->
    #{used => Used, free => Free, pieces => Pieces}.

words() ->
    New = fresh(),
    Leak = New#{held => 110, malloc => malloc(103, 1, 0)},
    Cache = Leak#{objects => 107},
    [{"a new worker", [New], {ok, python_objects}},
     {"large objects", [Cache], {ok, python_objects}},
     {"small objects", [New#{held => 110, arenas => #{bytes => 106, unused => 1}, objects => 107}],
      {ok, python_objects}},
     {"a C library's blocks", [Leak], {ok, c_heap}},
     {"what is not malloc's", [New#{held => 110}], {ok, c_heap}},
     {"freed in large blocks", [New#{held => 110, malloc => malloc(3, 101, 2)}],
      {ok, freed_not_returned}},
     {"freed in small blocks", [New#{held => 110, malloc => malloc(3, 101, 98)}],
      {ok, fragmentation}},
     {"free in arenas", [New#{held => 110, arenas => #{bytes => 106, unused => 100}}],
      {ok, fragmentation}},
     {"every second block freed", [Cache#{held => 205, malloc => malloc(103, 96, 96)}],
      {ok, fragmentation}},
     {"freed, and given back already", [New#{malloc => malloc(3, 101, 0)}], {ok, python_objects}},
     {"freed, and given back but for the pieces",
      [New#{held => 40, malloc => malloc(3, 101, 30)}], {ok, fragmentation}},
     {"objects that were never touched", [New#{malloc => malloc(103, 1, 0), objects => 107}],
      {ok, python_objects}},
     {"children with memory of their own", [New#{children => #{count => 2, rss => 40, uss => 30}}],
      {ok, children}},
     {"children that share it", [Cache#{children => #{count => 2, rss => 200, uss => 3}}],
      {ok, python_objects}},
     {"children of whom only rss is known", [New#{children => #{count => 2, rss => 40}}],
      {ok, children}},
     {"a job that runs may have it in its variables", [Leak#{running => true}], unknown},
     {"a job that runs, and freed blocks",
      [New#{held => 110, malloc => malloc(3, 101, 2), running => true}], {ok, freed_not_returned}},
     {"Python cannot say how much objects have", [maps:remove(objects, Leak)], unknown},
     {"Python cannot say, but it is not much", [maps:remove(objects, New)], {ok, python_objects}},
     {"a C library that says nothing", [maps:remove(malloc, Leak)], unknown},
     {"a C library that says nothing, but objects have it", [maps:remove(malloc, Cache)],
      {ok, python_objects}},
     {"the program says nothing", [#{held => 110}], unknown},
     {"the program says nothing, but its children have more",
      [#{held => 10, children => #{count => 1, rss => 20, uss => 20}}], {ok, children}},
     {"the kernel says nothing", [maps:remove(held, New)], unknown},
     {"nothing is known", [#{}], unknown}].
