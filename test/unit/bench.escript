#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib -pa bench/lib -pa bench/report
%%
%% What `make bench' makes of numbers, with made-up ones.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([table:rows("percentile", fun bench_figures:percentile/2, percentiles()),
             table:rows("verdict", fun bench_goal:verdict/2, verdicts()),
             table:rows("chosen", fun chosen/1, choices()),
             {"spread: the median and its quartiles", fun spread/0},
             {"a line has the ratio first", fun line/0},
             {"a line says what was not measured", fun failed_line/0},
             {"what was missed is listed at the end", fun failures/0},
             {"a row of one name is in the table once", fun names/0},
             {"each row has a floor and pyport", fun sides/0},
             {"points of a plot stand in order, by side", fun plot/0},
             {"one point is no plot", fun no_plot/0}]).

percentiles() ->
    [{"of one", [50, [7]], 7},
     {"the median of three", [50, [3, 1, 2]], 2},
     {"the median of four is one of them", [50, [4, 3, 2, 1]], 2},
     {"the 99th of 100", [99, lists:seq(1, 100)], 99},
     {"the 99th of 10 is the largest", [99, lists:seq(1, 10)], 10},
     {"all of them", [100, [1.5, 2.5]], 2.5},
     {"at least the smallest", [1, [5, 6]], 5}].

verdicts() ->
    [{"no goal", [none, measured(1, 1)], none},
     {"a ratio reached", [{ratio, at_most, 1.2}, measured(9, 1.2)], met},
     {"a ratio missed", [{ratio, at_most, 1.2}, measured(9, 1.21)], missed},
     {"a rate reached", [{ratio, at_least, 0.9}, measured(9, 0.9)], met},
     {"a rate missed", [{ratio, at_least, 0.9}, measured(9, 0.8)], missed},
     {"a value reached", [{value, at_most, 10}, measured(10, 99)], met},
     {"a value missed", [{value, at_most, 10}, measured(10.5, 0)], missed},
     {"a ratio without a floor", [{ratio, at_most, 1}, measured(1, none)], missed}].

measured(Value, Ratio) -> #{value => Value, ratio => Ratio}.

choices() ->
    [{"all", [[]], {ok, [easy, hard, failing, callers_2, callers_4]}},
     {"in the table's order", [["hard", "easy"]], {ok, [easy, hard]}},
     {"unknown names are told", [["hard", "soft"]], {error, {unknown, ["soft"]}}}].

chosen(Names) ->
    case bench_rows:chosen(tiny_rows:table(), Names) of
        {ok, Rows} -> {ok, [Name || #{name := Name} <- Rows]};
        Error -> Error
    end.

spread() ->
    ?assertEqual(#{low => 1, median => 2, high => 3}, bench_figures:spread([4, 3, 2, 1])).

%% ---------------------------------------------------------------------------
%% Reports

finding(Row, Verdict, Figures) ->
    #{row => Row, setting => free, verdict => Verdict, goal => maps:get(free, maps:get(in, Row)),
      outcome => {ok, #{rounds => 5, sides => maps:map(fun summary/2, Figures)}}}.

summary(_, {Median, Ratio}) ->
    #{figure => around(Median), call => 20.0, p99 => 30.0, ratio => around(Ratio)}.

around(N) -> #{low => N * 0.5, median => N, high => N * 2.0}.

row(Name) ->
    {ok, [Row]} = bench_rows:chosen(tiny_rows:table(), [Name]),
    Row.

line() ->
    Finding = finding(row("hard"), missed, #{floor => {10.0, 1.0}, pyport => {15000.0, 1.5}}),
    Line = unicode:characters_to_list(bench_text:line(Finding)),
    ?assertMatch("free   1.50  0.75..3.00 " ++ _, Line),
    has(" ≤ 0.00 missed ", Line),
    has(" pyport 15.0 ms (p99 30.0 µs); floor 10.0 µs (p99 30.0 µs)\n", Line).

failed_line() ->
    Finding = #{row => row("easy"), setting => one, verdict => missed, goal => {ratio, at_most, 2},
                outcome => {error, "there is no taskset"}},
    Line = unicode:characters_to_list(bench_text:line(Finding)),
    ?assertMatch("one       - " ++ _, Line),
    has("not measured: there is no taskset\n", Line).

failures() ->
    Sides = #{floor => {1.0, 1.0}, pyport => {1.0, 1.0}},
    Findings = [finding(row("easy"), met, Sides), finding(row("hard"), missed, Sides),
                finding(row("callers_2"), none, Sides)],
    ?assertEqual("1 of 2 goals missed: hard (free)\n",
                 unicode:characters_to_list(bench_text:failures(Findings))),
    ?assertEqual("0 of 1 goals missed\n",
                 unicode:characters_to_list(bench_text:failures([hd(Findings)]))).

names() ->
    Names = [Name || #{name := Name} <- bench_rows:table()],
    ?assertEqual([], Names -- lists:usort(Names)).

sides() ->
    ?assertEqual([], [Name || #{name := Name, sides := Sides} <- bench_rows:table(),
                              maps:size(maps:with([floor, pyport], Sides)) < 2]).

%% Four callers are ahead of two in the findings.
plot() ->
    Sides = #{pyport => {2000.0, 1.0}},
    Findings = [finding(row("callers_4"), none, Sides), finding(row("callers_2"), none, Sides)],
    [{"throughput", Rates}, {"latency", Times}] = bench_plots:scripts(Findings),
    has("$line1 << EOD\n2 2.00e+3\n4 2.00e+3\nEOD\n", Rates),
    has("title 'pyport, free' noenhanced\n", Rates),
    has("\n2 3.00e-5\n4 3.00e-5\n", Times),
    has("title 'pyport, free, p99' noenhanced\n", Times).

has(Part, Text) ->
    string:find(unicode:characters_to_list(Text), Part) =/= nomatch orelse error({lacks, Part, Text}).

no_plot() ->
    ?assertEqual([], bench_plots:scripts([finding(row("callers_2"), none, #{floor => {1.0, 1.0}})])).
