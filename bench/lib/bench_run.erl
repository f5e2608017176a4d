%% SPDX-License-Identifier: Apache-2.0
%%
%% A run: every row in each of its settings, and what was found.
-module(bench_run).

-export([all/4]).
-export_type([finding/0]).

-type finding() ::
    #{row := bench_rows:row(), setting := bench_rows:setting(), goal := bench_goal:goal(),
      verdict := bench_goal:verdict(),
      outcome := {ok, bench_rounds:result()} | {error, term()}}.

%% Tells of each finding when it is there.
-spec all([bench_rows:row()], [bench_sides:side()], number(), fun((finding()) -> term())) ->
    [finding()].
all(Rows, Sides, Seconds, Tell) ->
    [Finding || Setting <- bench_rows:settings(),
                Finding <- in_setting(Setting, [Row || #{in := #{Setting := _}} = Row <- Rows],
                                      Sides, Seconds, Tell)].

in_setting(_, [], _, _, _) ->
    [];
in_setting(Setting, Rows, Sides, Seconds, Tell) ->
    case bench_vm:start(Setting, Sides) of
        {ok, Vm} ->
            Findings = [told(finding(Row, Setting, bench_vm:measure(Vm, Row, Sides, Seconds)), Tell)
                        || Row <- Rows],
            ok = bench_vm:stop(Vm),
            Findings;
        {error, _} = Error ->
            [told(finding(Row, Setting, Error), Tell) || Row <- Rows]
    end.

told(Finding, Tell) ->
    Tell(Finding),
    Finding.

finding(#{in := In} = Row, Setting, Outcome) ->
    Goal = maps:get(Setting, In),
    #{row => Row, setting => Setting, outcome => Outcome, goal => Goal,
      verdict => verdict(Goal, Outcome)}.

%% What could not be measured has reached no goal.
verdict(none, _) ->
    none;
verdict(_, {error, _}) ->
    missed;
verdict(Goal, {ok, #{sides := #{pyport := #{figure := #{median := Value}, ratio := Ratio}}}}) ->
    bench_goal:verdict(Goal, #{value => Value, ratio => median(Ratio)}).

median(none) -> none;
median(#{median := Median}) -> Median.
