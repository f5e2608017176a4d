#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_fit: which rows of measurements are a leak, and of what kind.
-mode(compile).

main(_) ->
    tap:run([
        table:rows("growth", fun py_mem_fit:growth/2, growths()),
        table:rows("a sample", fun py_mem_fit:sample/1, samples()),
        table:rows("leak", fun py_mem_fit:leak/2, leaks())
    ]).

growths() ->
    Line = lists:seq(0, 800, 100),
    [{"nothing", [[7 || _ <- Line], 100], flat},
     {"a straight line", [Line, 100], {steady, 800}},
     {"too little", [Line, 801], flat},
     {"a straight line from far below", [[N - 9_000_000 || N <- Line], 100], {steady, 800}},
     {"less and less", [[-N || N <- Line], 100], flat},
     {"one step", [[0, 0, 0, 800, 800, 800, 800, 800, 800], 100], flat},
     {"up and down", [[0, 200, 400, 200, 0, 200, 400, 600, 100], 10], flat},
     {"a list: in steps", [[0, 0, 180, 180, 380, 380, 610, 610, 860], 100], {steady, 860}},
     {"with noise", [[0, 130, 190, 310, 370, 520, 590, 720, 790], 100], {steady, 790}},
     {"faster and faster", [[0, 50, 110, 180, 260, 350, 450, 560, 680], 100], {steady, 680}},
     {"slower and slower", [[0, 200, 370, 500, 600, 670, 720, 760, 790], 100], slowing},
     {"a cache that is full", [[0, 100, 200, 300, 400, 400, 400, 400, 400], 100], flat},
     {"a leak, and a step at first", [[N + min(N, 1) * 9_000 || N <- Line], 100], slowing},
     {"a leak, and a step at last", [lists:seq(0, 700, 100) ++ [9_000], 100], {steady, 9_000}},
     {"the least that there may be", [[0, 10, 20, 30, 40], 1], {steady, 40}},
     {"a row of six", [[0, 10, 20, 30, 40, 50], 1], {steady, 50}}].

samples() ->
    Said = #{heap => #{current => 1000}, arenas => #{bytes => 700, unused => 100}},
    Malloc = Said#{malloc => #{used => 900, free => 60, pieces => 50}},
    [{"without malloc and kernel", [Said], #{python => 1000, free => 100}},
     {"without malloc", [Said#{held => 2000}], #{python => 1000, free => 100, held => 2000, mapped => 900}},
     {"without kernel", [Malloc], #{python => 1000, free => 150, c => 500}},
     {"all", [Malloc#{held => 2000}],
      #{python => 1000, free => 150, c => 500, held => 2000, mapped => 350}}].

%% So many bytes are added from one sample to the next.
grown(Steps) ->
    [maps:map(fun(_, Step) -> N * Step end, Steps) || N <- lists:seq(0, 8)].

leaks() ->
    Calls = 800,
    None = #{python => 0, c => 0, mapped => 0, free => 0, held => 0},
    Big = 1_000_000,
    Slow = [S#{c := N} || {S, N} <- lists:zip(grown(None#{python := Big}),
                                              [0, 200_000, 370_000, 500_000, 600_000, 670_000, 720_000,
                                               760_000, 790_000])],
    [{"nothing", [grown(None), Calls], ok},
     {"some blocks of malloc's", [grown(None#{c := 1500}), Calls], ok},
     {"objects", [grown(None#{python := 80_000}), Calls], {leak, python, 800}},
     {"malloc", [grown(None#{c := 10_000}), Calls], {leak, c, 100}},
     {"the kernel's", [grown(None#{mapped := Big}), Calls], {leak, c, 10_000}},
     {"some pages", [grown(None#{mapped := 10_000}), Calls], ok},
     {"what is larger", [grown(None#{python := 800, c := 9_000}), Calls], {leak, c, 90}},
     {"what is smaller", [grown(None#{python := 9_100, c := 9_000}), Calls], {leak, python, 91}},
     {"some bytes for each call", [grown(None#{python := 399}), Calls], ok},
     {"free in pieces", [grown(None#{python := 100, free := Big, held := Big}), Calls],
      {leak, fragmentation, 10_000}},
     {"free, and the process does not grow", [grown(None#{python := -Big, free := Big}), Calls], ok},
     {"free, and the process grows less", [grown(None#{free := Big, held := Big div 10}), Calls],
      {leak, fragmentation, 1_000}},
     {"unknown beside what is known", [Slow, Calls], unclear},
     {"a C library that says nothing", [grown(#{python => 800, free => Big}), Calls], {leak, python, 8}}].
