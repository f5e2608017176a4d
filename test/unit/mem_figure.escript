#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_mem_figure: figures in a few characters, and columns of them.
-mode(compile).

main(_) ->
    tap:run([table:rows("bytes", fun py_mem_figure:bytes/1, bytes()),
             table:rows("change", fun py_mem_figure:change/1, changes()),
             table:rows("duration", fun py_mem_figure:duration/1, durations()),
             table:rows("nearest", fun py_mem_figure:nearest/1, limits()),
             table:rows("columns", fun py_mem_figure:columns/1, columns()),
             table:rows("visible", fun py_mem_figure:visible/1, names())]).

bytes() ->
    [{"none", [0], "0"},
     {"less than a thousand", [999], "999"},
     {"a thousand", [1000], "1K"},
     {"what would be 1000K", [999_500], "1.0M"},
     {"just below", [999_499], "999K"},
     {"megabytes", [13_746_212], "13.7M"},
     {"what would be 1000.0M", [999_960_000], "1.0G"},
     {"gigabytes", [1_234_000_000], "1.2G"},
     {"terabytes", [2_500_000_000_000], "2.5T"},
     {"more than there is a unit for", [12 * 1000_000_000_000_000_000_000], "12000.0E"}].

changes() ->
    [{"none", [0], "0"}, {"more", [1500], "+2K"}, {"less", [-13_700_000], "-13.7M"}].

durations() ->
    [{"milliseconds", [999], "0s"},
     {"seconds", [119_999], "119s"},
     {"minutes", [120_000], "2m"},
     {"hours", [7_200_000], "2h"},
     {"days", [200_000_000], "2d"}].

limits() ->
    [{"no statistics", [#{}], ""},
     {"no limit", [#{limits => #{}, left => #{}}], ""},
     {"one", [#{limits => #{rss => 200}, left => #{rss => 118}}], "rss 41%"},
     {"the nearest", [#{limits => #{rss => 200, heap => 100}, left => #{rss => 118, heap => 10}}],
      "heap 90%"},
     {"above it", [#{limits => #{rss => 200}, left => #{rss => -20}}], "rss 110%"},
     {"one whose use is not known", [#{limits => #{heap => 200}, left => #{}}], ""}].

columns() ->
    [{"no rows", [[[left]]], []},
     {"aligned", [[[left, right, left], ["a", "1", "x"], ["bb", "10", ""]]],
      ["a    1  x", "bb  10"]}].

names() ->
    [{"words", ["naïve 数 fn"], "naïve 数 fn"},
     {"a command to the terminal", ["\e[2Jx\e]0;y\b"], "?[2Jx?]0;y?"},
     {"the same in one character", [[16#9b, $2, $J]], "?2J"},
     {"lines", ["a\r\n\tb"], "a???b"},
     {"turned around", [[16#202e, $a, 16#2066]], "?a?"}].
