#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_steps: what a worker has still to run, for each progress it may have.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("missing", fun missing/2, missing()),
        table:rows("all", fun py_pool_steps:all/1, progress()),
        table:rows("code", fun py_pool_steps:code/1, codes()),
        table:rows("repeated", fun kept/2, repeated()),
        table:rows("repeated, for a worker that is under way", fun under_way/3, under_way()),
        table:rows("definitions", fun shown/2, definitions()),
        table:rows("forgotten", fun forgotten/3, forgets()),
        {"where each code is from", fun from/0},
        {"a definition's beginning", fun beginning/0}
    ]).

init() ->
    py_pool_steps:new([<<"a">>, <<"b">>]).

grown() ->
    append("c", init()).

append(Letter, Steps) ->
    py_pool_steps:append(py_secret:hide({exec, list_to_binary([Letter])}), Steps).

%% The steps as their texts.
missing(Done, Steps) ->
    [case Step of
         {code, {_, _}, Code} -> {exec, Text} = py_secret:show(Code), binary_to_list(Text);
         Op -> Op
     end || Step <- py_pool_steps:missing(Done, Steps)].

missing() ->
    None = py_pool_steps:none(),
    All = py_pool_steps:all(init()),
    [{"nothing for no code", [None, py_pool_steps:new([])], []},
     {"the init code, in order", [None, init()], ["a", "b"]},
     {"nothing, when all was run", [All, init()], []},
     {"only what came meanwhile", [All, grown()], ["c"]},
     {"what came later, behind the init code", [None, grown()], ["a", "b", "c"]},
     {"tracing before any code", [None, traced(5, init())],
      [{tracemalloc_start, 5}, "a", "b"]},
     {"tracing that is on already",
      [py_pool_steps:all(traced(5, init())), traced(5, grown())],
      ["c"]},
     {"tracing with more frames",
      [py_pool_steps:all(traced(5, init())), traced(6, init())],
      [{tracemalloc_start, 6}]},
     {"tracing that was stopped",
      [py_pool_steps:all(traced(5, init())),
       py_pool_steps:set(tracemalloc_stop, traced(5, init()))],
      [tracemalloc_stop]},
     {"while something is to be run once, nothing else", [None, once()], ["x", "y"]},
     {"and nothing more", [py_pool_steps:all(once()), once()], []},
     {"then the rest, in that worker", [py_pool_steps:all(once()), ran_once()], ["a", "b", "c"]},
     {"and in all others", [None, ran_once()], ["a", "b", "c"]},
     {"what was defined with the same text", [None, append("x", ran_once())],
      ["a", "b", "c", "x"]},
     {"what is so from the start", [None, set([gc_enable, tracemalloc_stop], [])], []},
     {"settings before any code", [None, set([gc_disable, {gc_threshold, 9, 8, 7}], init())],
      [gc_disable, {gc_threshold, 9, 8, 7}, "a", "b"]},
     {"the last word of a setting", [None, set([gc_disable, gc_enable, {gc_threshold, 1, 2, 3},
                                               {gc_threshold, 9, 8, 7}], init())],
      [{gc_threshold, 9, 8, 7}, "a", "b"]},
     {"a collector that was switched on again",
      [py_pool_steps:all(set([gc_disable], init())), set([gc_disable, gc_enable], init())],
      [gc_enable]},
     {"limits, each by its last word",
      [None, set([{set_memory, #{files => 1, data => 2}}, {set_memory, #{files => 3}}], [])],
      [{set_limits, #{files => 3, data => 2}}]},
     {"limits that are not the program's", [None, set([{set_memory, #{rss => 1}}], [])], []},
     {"limits that it has", [py_pool_steps:all(set([{set_memory, #{files => 1}}], [])),
                             set([{set_memory, #{files => 1}}], [])], []}].

once() ->
    append("c", py_pool_steps:new([<<"x">>, <<"y">>], [<<"a">>, <<"b">>])).

ran_once() ->
    py_pool_steps:ran_once(once()).

%% The same as texts, without settings.
codes() ->
    [{"none", [py_pool_steps:new([])], []},
     {"init, and what came later, in order", [grown()], [<<"a">>, <<"b">>, <<"c">>]},
     {"no settings", [traced(5, init())], [<<"a">>, <<"b">>]},
     {"what is repeated, where it is", [append("a", grown())], [<<"a">>, <<"b">>, <<"c">>, <<"a">>]}].

traced(Frames, Steps) ->
    py_pool_steps:set({tracemalloc_start, Frames}, Steps).

set(Ops, []) -> set(Ops, py_pool_steps:new([]));
set(Ops, Steps) -> lists:foldl(fun py_pool_steps:set/2, Steps, Ops).

%% Each piece of init by its number, and what was defined by its id, even if it is
%% there twice or init has it, too.
from() ->
    Froms = fun(Steps) ->
                [From || {code, From, _} <- py_pool_steps:missing(py_pool_steps:none(), Steps)]
            end,
    ?assertEqual([{init, 1}, {init, 2}], Froms(init())),
    ?assertEqual([{init, 1}, {init, 2}, {definition, 3}], Froms(grown())),
    ?assertEqual([{init, 1}, {definition, 2}, {definition, 3}, {definition, 2}],
                 Froms(defined("bcb", "a"))),
    ?assertEqual([{init, 1}, {init, 2}, {definition, 3}],
                 Froms(defined("a", "ab"))).

%% Whoever has run everything is as far as one that is told to.
progress() ->
    [{"of nothing is none", [py_pool_steps:new([])], py_pool_steps:none()},
     {"of the same code is the same", [init()], py_pool_steps:all(init())}].

%% ---------------------------------------------------------------------------

%% What a new worker runs: the init code, and what was defined, in this order.
kept(Init, Defined) ->
    lists:append(missing(py_pool_steps:none(), defined(Defined, Init))).

defined(Letters, Init) ->
    lists:foldl(fun append/2, py_pool_steps:new([<<C>> || C <- Init]), Letters).

repeated() ->
    [{"different code", ["", "abc"], "abc"},
     {"the same at once", ["", "aaaa"], "a"},
     {"the same as the end of init", ["xa", "aa"], "xa"},
     {"the same after something else: the first and the last place", ["", "aba"], "aba"},
     {"once more: no third place", ["", "abaca"], "abca"},
     {"in turns", ["", "abababab"], "abab"},
     {"in turns with what init has", ["a", "bababa"], "abba"},
     {"twice in init", ["aba", "ca"], "abca"}].

%% A worker that had run what was defined first has to run what came then.
under_way(Before, Then, Init) ->
    Steps = defined(Before, Init),
    Later = lists:foldl(fun append/2, Steps, Then),
    lists:append(missing(py_pool_steps:all(Steps), Later)).

under_way() ->
    [{"nothing new", ["ab", "b", ""], ""},
     {"the last place moved behind it", ["aba", "ca", ""], "ca"},
     {"and moved again", ["abaca", "da", ""], "da"},
     {"something new and a repeat", ["ab", "cac", ""], "cac"}].

%% ---------------------------------------------------------------------------

%% The definitions as users see them.
shown(Init, Defined) ->
    [{Id, Text, Size} || #{id := Id, begins := Text, size := Size}
                             <- py_pool_steps:definitions(defined(Defined, Init))].

definitions() ->
    [{"init's code is none", ["ab", ""], []},
     {"in order", ["x", "ab"], [{2, <<"a">>, 1}, {3, <<"b">>, 1}]},
     {"the same text once, with the id that it had first", ["", "abacab"],
      [{1, <<"a">>, 1}, {2, <<"b">>, 1}, {4, <<"c">>, 1}]},
     {"what init has as well", ["ab", "a"], [{3, <<"a">>, 1}]},
     {"again, with the same id", ["ab", "aca"], [{3, <<"a">>, 1}, {4, <<"c">>, 1}]}].

%% What a new worker runs after this definition was forgotten, and more defined.
forgotten(Defined, Id, Then) ->
    case py_pool_steps:forget(Id, defined(Defined, "x")) of
        {ok, Steps} ->
            lists:append(missing(py_pool_steps:none(), lists:foldl(fun append/2, Steps, Then)));
        unknown ->
            unknown
    end.

forgets() ->
    [{"the only one", ["a", 2, ""], "x"},
     {"one of two", ["ab", 2, ""], "xb"},
     {"both places", ["aba", 2, ""], "xb"},
     {"defined anew", ["ab", 2, "a"], "xba"},
     {"what is the last one by that comes at once", ["ab", 3, "a"], "xa"},
     {"init's code", ["a", 1, ""], unknown},
     {"a number that is the second place of one", ["aba", 4, ""], unknown},
     {"none", ["a", 7, ""], unknown}].

%% Characters are not cut.
beginning() ->
    Text = unicode:characters_to_binary(lists:duplicate(100, $é)),
    Steps = py_pool_steps:append(py_secret:hide({exec, Text}), py_pool_steps:new([])),
    Begins = unicode:characters_to_binary(lists:duplicate(60, $é)),
    [#{id := 1, begins := Begins, size := 200}] = py_pool_steps:definitions(Steps).
