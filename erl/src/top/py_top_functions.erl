%% SPDX-License-Identifier: Apache-2.0
%%
%% What calls have cost, by function, as lines. Pure.
-module(py_top_functions).

-export([lines/2]).

-import(py_mem_figure, [text/2]).

-spec lines(py_top_state:state(), py_top_view:screen()) -> [py_top_view:line()].
lines(#{functions := Answer, by := By} = S, _) ->
    [{plain, ""}, {bold, text(" functions of pool ~tp by ~ts", [py_top_state:pool(S), By])}
     | answer(Answer)].

answer(none) -> [];
answer({ok, Rows}) -> table(Rows);
answer({error, {not_enabled, bill}}) ->
    [{plain, " this pool counts no costs: give it the option bill => true"}];
answer({error, unknown}) -> [{plain, " this version of py counts no costs"}];
answer({error, Why}) -> [{plain, text(" ~0tp", [Why])}].

table([]) ->
    [{plain, " no call has ended yet"}];
table(Rows) ->
    Titles = ["FUNCTION", "CALLS", "TIME", "P50", "P99", "GROWTH", "PEAK", "WORKERS"],
    [Head | Lines] = py_mem_figure:columns([[left | lists:duplicate(7, right)], Titles
                                            | [cells(Row) || Row <- Rows]]),
    [{bold, [$\s | Head]} | [{plain, [$\s | Line]} || Line <- Lines]].

cells(#{what := What, calls := Calls, time := Time, p50 := P50, p99 := P99, growth := Growth,
        peak := Peak, workers := Workers}) ->
    [name(What), integer_to_list(Calls), micros(Time), micros(P50), micros(P99),
     py_mem_figure:change(Growth), py_mem_figure:bytes(Peak), integer_to_list(length(Workers))].

name({Module, Function}) -> short(text("~ts:~ts", [Module, Function]));
name(What) -> text("~ts", [What]).

%% The end of a name says more than its beginning.
short(Name) ->
    case length(Name) of
        Length when Length > 32 -> [$~ | lists:nthtail(Length - 31, Name)];
        _ -> Name
    end.

micros(N) when N < 1000 -> text("~bus", [N]);
micros(N) when N < 1_000_000 -> text("~.1fms", [N / 1000]);
micros(N) when N < 120_000_000 -> text("~.1fs", [N / 1_000_000]);
micros(N) -> py_mem_figure:duration(N div 1000).
