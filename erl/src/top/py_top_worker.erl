%% SPDX-License-Identifier: Apache-2.0
%%
%% One worker as lines: its memory, its limits, what it runs now. Pure.
-module(py_top_worker).

-export([lines/2]).

-import(py_mem_figure, [text/2]).

%% Frames are shown from the innermost one on, which is at the bottom.
-spec lines(py_top_state:state(), py_top_view:screen()) -> [py_top_view:line()].
lines(S, #{rows := Rows} = Screen) ->
    case py_top_state:chosen(S) of
        {ok, Row} ->
            Above = about(Row) ++ memory(Row, S, Screen) ++ limits(Row) ++ details(S) ++ [{plain, ""}],
            Above ++ runs(Row) ++ stack(S, py_top_view:left(Rows, length(Above) + 1));
        none ->
            [{plain, " this worker is gone"}]
    end.

about(#{pool := Pool, id := Id, state := State, calls := Calls} = Row) ->
    [{plain, ""},
     {bold, text(" worker ~b of pool ~tp  ~ts  Python ~ts",
                 [Id, Pool, State, maps:get(python, Row, "?")])},
     {plain, text(" os pid ~ts  up ~ts  ~b calls  ~b in hand  ~b streams  replaced ~bx",
                  [shown(os_pid, fun integer_to_list/1, Row),
                   shown(uptime, fun py_mem_figure:duration/1, Row), Calls,
                   maps:get(in_flight, Row, 0), maps:get(streams, Row, 0),
                   maps:get(restarts, Row, 0)])},
     {plain, ""}].

shown(Key, Text, Row) ->
    case Row of
        #{Key := Value} when Value =/= undefined -> Text(Value);
        _ -> "?"
    end.

memory(#{rss := Rss} = Row, S, #{now := Now, columns := Columns, utf8 := Utf8}) ->
    Width = max(10, min(60, Columns - 20)),
    Line = py_top_view:spark(py_top_state:samples(Row, S), Width, Now, Utf8),
    Bytes = fun py_mem_figure:bytes/1,
    Change = fun py_mem_figure:change/1,
    [{bold, text(" rss ~6ts  ", [Bytes(Rss)]) ++ Line},
     {plain, text(" peak ~ts  growth ~ts since it was ready, with ~ts  swap ~ts",
                  [shown(peak, Bytes, Row), shown(growth, Change, Row),
                   shown(baseline, Bytes, Row), shown(swap, Bytes, Row)])}]
        ++ collector(Row) ++ traced(Row);
memory(_, _, _) ->
    [{plain, " nothing is known of its memory yet"}].

collector(#{gc_stats := Stats, gc_pauses := Pauses, age := Age}) ->
    [{plain, text(" collections ~ts  longest pause ~.1f ms  (~ts ago)",
                  [lists:join("/", [integer_to_list(N) || #{<<"collections">> := N} <- Stats]),
                   lists:max([0 | [Longest || #{longest := Longest} <- Pauses]]) / 1000,
                   py_mem_figure:duration(Age)])}];
collector(_) ->
    [].

traced(#{traced_memory_current := Current, traced_memory_peak := Peak}) ->
    [{plain, text(" traced ~ts, at most ~ts",
                  [py_mem_figure:bytes(Current), py_mem_figure:bytes(Peak)])}];
traced(_) ->
    [].

limits(#{limits := Limits, left := Left}) ->
    [limit(Key, Limit, Left) || {Key, Limit} <- lists:sort(maps:to_list(Limits)), is_integer(Limit)];
limits(_) ->
    [].

%% For some limits the use can be read.
limit(Key, Limit, Left) ->
    case Left of
        #{Key := Rest} when Limit > 0 ->
            Percent = 100 * (Limit - Rest) div Limit,
            Bar = string:pad(lists:duplicate(max(0, min(20, Percent div 5)), $#), 20, trailing, $.),
            {case Percent >= 90 of true -> alarm; false -> plain end,
             text(" limit ~ts ~ts  ~ts ~b%", [Key, py_mem_figure:bytes(Limit), Bar, Percent])};
        _ ->
            {plain, text(" limit ~ts ~ts", [Key, py_mem_figure:bytes(Limit)])}
    end.

%% Only if they were asked for.
details(#{details := none}) ->
    [];
details(#{details := Details}) ->
    [{plain, text(" mostly ~ts", [maps:get(diagnosis, Details, "?")])},
     figures([{pss, [pss]}, {uss, [uss]}, {objects, [objects]}, {children, [children, rss]}], Details),
     figures([{"arenas", [arenas, bytes]}, {"unused", [arenas, unused]},
              {"malloc used", [malloc, used]}, {"free", [malloc, free]}], Details)].

figures(Nested, Details) ->
    {plain, " " ++ lists:append(lists:join("  ", known(Nested, Details)))}.

known(Nested, Details) ->
    [text("~ts ~ts", [Name, py_mem_figure:bytes(Bytes)])
     || {Name, Path} <- Nested, Bytes <- [nested(Path, Details)], is_integer(Bytes)].

nested(Path, Map) ->
    lists:foldl(fun(Key, #{} = M) -> maps:get(Key, M, none); (_, _) -> none end, Map, Path).

runs(#{running := {Module, Function, Arity}}) ->
    [{bold, text(" runs ~ts:~ts/~b", [Module, Function, Arity])}];
runs(#{running := Operation}) when Operation =/= none ->
    [{bold, text(" runs ~ts", [Operation])}];
runs(_) ->
    [{plain, " runs nothing"}].

stack(#{stack := {ok, Threads}}, Room) ->
    Lines = lists:append([thread(Thread) || Thread <- Threads]),
    last(Room, Lines);
stack(#{stack := {error, busy}}, _) ->
    [{plain, "   C code holds the GIL: there is no stack"}];
stack(_, _) ->
    [].

thread(#{thread := Name, frames := Frames}) ->
    [{plain, text("   ~ts", [Name])} | [frame(Frame) || Frame <- Frames]].

frame(#{file := File, line := Line, function := Function} = Frame) ->
    {plain, text("     ~ts  ~ts:~ts  ~ts", [Function, filename:basename(File), number(Line),
                                            string:trim(maps:get(text, Frame, ""))])}.

number(N) when is_integer(N) -> integer_to_list(N);
number(_) -> "?".

last(infinity, Lines) -> Lines;
last(Room, Lines) -> lists:nthtail(max(0, length(Lines) - Room), Lines).
