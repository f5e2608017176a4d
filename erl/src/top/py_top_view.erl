%% SPDX-License-Identifier: Apache-2.0
%%
%% What is known as lines for a screen of some size. Pure.
-module(py_top_view).

-export([lines/2, spark/4, fit/2, left/2]).
-export_type([style/0, screen/0, line/0]).

-import(py_mem_figure, [known/3, counted/2, rss/1, text/2]).

-type style() :: plain | bold | reverse | alarm.
-type line() :: {style(), string()}.
%% `now' is the time on the samples' clock (ms), and `clock' the time for people.
-type screen() :: #{rows := pos_integer() | infinity, columns := pos_integer(),
                    now := integer(), clock := string(), utf8 := boolean()}.

%% How long the line of a worker's memory is (ms).
-define(LAST, 60_000).
%% The columns cannot be narrower than this.
-define(NARROWEST, 80).

-spec lines(py_top_state:state(), screen()) -> [line()].
lines(S, #{rows := Rows, columns := Columns} = Screen) ->
    Head = head(S, Screen),
    Body = body(S, Screen#{rows := left(Rows, 2)}),
    [{Style, fit(py_mem_figure:visible(Text), Columns)}
     || {Style, Text} <- [Head | filled(Body, left(Rows, 2))] ++ foot(S, Rows)].

%% How many rows are left, at least one.
-spec left(Rows :: pos_integer() | infinity, Used :: non_neg_integer()) -> pos_integer() | infinity.
left(infinity, _) -> infinity;
left(Rows, Used) -> max(1, Rows - Used).

filled(Lines, infinity) ->
    Lines;
filled(Lines, Rows) ->
    Shown = lists:sublist(Lines, Rows),
    Shown ++ lists:duplicate(Rows - length(Shown), {plain, ""}).

head(#{node := Node, pools := Pools} = S, #{columns := Columns, clock := Clock}) ->
    Workers = lists:append([Workers || #{workers := Workers} <- Pools]),
    Text = text(" ~ts  ~ts  ~ts  ~b busy  ~ts~ts",
                [Node, counted("pool", Pools), counted("worker", Workers), busy(Workers),
                 rss(Workers), paused(S)]),
    {reverse, fit(Text, Columns - length(Clock) - 2) ++ " " ++ Clock ++ " "}.

paused(#{paused := true}) -> "  PAUSED";
paused(_) -> "".

busy(Workers) -> length([busy || #{state := busy} <- Workers]).

foot(_, infinity) -> [];
foot(#{trouble := Why}, _) when Why =/= none -> [{alarm, " " ++ Why}];
foot(#{view := View}, _) -> [{reverse, " " ++ keys(View)}].

keys(workers) -> "q quit  enter look into  sort by m g c l n  tab pool  f functions  h help";
keys(worker) -> "q back  up/down another worker  d what its memory is  p pause  h help";
keys(functions) -> "q back  f memory, time, calls  tab pool  h help";
keys(help) -> "q back".

body(#{view := workers} = S, Screen) -> workers(S, Screen);
body(#{view := worker} = S, Screen) -> py_top_worker:lines(S, Screen);
body(#{view := functions} = S, Screen) -> py_top_functions:lines(S, Screen);
body(#{view := help}, _) -> help().

%% ---------------------------------------------------------------------------
%% All workers

workers(S, #{rows := Rows} = Screen) ->
    Pools = pools(S, Rows),
    Pools ++ [{plain, ""}] ++ table(S, Screen#{rows := left(Rows, length(Pools) + 1)}).

%% A third of the screen at most.
pools(#{pools := Pools} = S, Rows) ->
    Cells = [["POOL", "WORKERS", "BUSY", "QUEUE", "CALLS/S", "RSS", "BUDGET", "RECYCLED", "REFUSED"]
             | [pool(Pool, S) || Pool <- most(Pools, Rows)]],
    [Head | Lines] = py_mem_figure:columns([[left | lists:duplicate(8, right)] | Cells]),
    [{bold, [$\s | Head]} | [{plain, [$\s | Line]} || Line <- Lines]]
        ++ [{plain, text(" and ~b more", [length(Pools) - length(Lines)])}
            || length(Lines) < length(Pools)].

most(Pools, infinity) -> Pools;
most(Pools, Rows) -> lists:sublist(Pools, max(1, Rows div 3)).

pool(#{name := Name, workers := Workers, queue := #{waiting := Waiting}} = Pool, S) ->
    Rates = [py_top_state:rate(Worker#{pool => Name}, S) || Worker <- Workers],
    [fit(text("~tp", [Name]), min(20, string:length(text("~tp", [Name])))),
     integer_to_list(length(Workers)), integer_to_list(busy(Workers)), integer_to_list(Waiting),
     integer_to_list(lists:sum(Rates)), rss(Workers), budget(Pool),
     some(lists:sum(maps:values(maps:get(recycled, Pool, #{})))),
     some(length(maps:get(quarantined, Pool, [])))].

budget(#{memory := #{budget := {percent, N}}}) -> text("~b%", [N]);
budget(#{memory := #{budget := N}}) when is_integer(N) -> py_mem_figure:bytes(N);
budget(_) -> "".

some(0) -> "";
some(N) -> integer_to_list(N).

%% As many workers as there is room for, including the one that was chosen.
table(S, #{rows := Room, columns := Columns} = Screen) ->
    Wide = max(Columns, ?NARROWEST),
    Chosen = case py_top_state:chosen(S) of {ok, Row} -> Row; none -> none end,
    {Above, Shown, Below} = window(py_top_state:rows(S), Chosen, left(Room, 1)),
    [{bold, row(titles(S), Wide) ++ more(Above, Below)}
     | [{style(Row, Chosen, Screen), row(cells(Row, S, Screen, Wide), Wide)} || Row <- Shown]].

more(0, 0) -> "";
more(Above, Below) -> text(" ~b^ ~bv", [Above, Below]).

%% What is printed once has nothing chosen.
style(_, _, #{rows := infinity}) -> plain;
style(Row, Row, _) -> reverse;
style(#{state := State}, _, _) when State =:= down -> alarm;
style(_, _, _) -> plain.

window(Rows, _, infinity) ->
    {0, Rows, 0};
window(Rows, Chosen, Room) ->
    Before = length(lists:takewhile(fun(Row) -> Row =/= Chosen end, Rows)),
    Count = length(Rows),
    Above = max(0, min(Count - Room, Before - Room div 2)),
    {Above, lists:sublist(Rows, Above + 1, Room), max(0, Count - Above - Room)}.

%% The column by which the workers are sorted has a mark.
titles(#{sort := Sort}) ->
    [mark(name, Sort, "POOL"), "ID", "STATE", "CALLS", mark(rate, Sort, "/S"),
     mark(rss, Sort, "RSS"), "LAST MIN", mark(growth, Sort, "GROWTH"), mark(limit, Sort, "LIMIT"),
     "RUNS"].

mark(Sort, Sort, Title) -> "*" ++ Title;
mark(_, _, Title) -> Title.

cells(#{pool := Pool, id := Id, state := State, calls := Calls} = Row, S, Screen, Wide) ->
    [text("~tp", [Pool]), integer_to_list(Id), state(State), count(Calls),
     count(py_top_state:rate(Row, S)),
     known(rss, fun py_mem_figure:bytes/1, Row),
     spark(py_top_state:samples(Row, S), spark_width(Wide), maps:get(now, Screen),
           maps:get(utf8, Screen)),
     known(growth, fun py_mem_figure:change/1, Row),
     py_mem_figure:nearest(Row),
     runs(Row)].

%% In five characters.
state(starting) -> "start";
state(State) -> atom_to_list(State).

%% It has six characters, or five.
count(N) when N < 100_000 -> integer_to_list(N);
count(N) -> py_mem_figure:bytes(N).

runs(#{running := {Module, Function, _}}) -> text("~ts:~ts", [Module, Function]);
runs(#{running := none}) -> "";
runs(#{running := Operation}) -> text("~ts", [Operation]);
runs(_) -> "".

%% What is wider than 80 is shared by the line and the last column.
spark_width(Wide) -> 10 + min(20, (Wide - ?NARROWEST) div 2).

widths(Wide) ->
    [{left, 9}, {right, 3}, {left, 5}, {right, 6}, {right, 5}, {right, 6}, {left, spark_width(Wide)},
     {right, 7}, {left, 8}].

row(Cells, Wide) ->
    {Columns, [Last]} = lists:split(length(Cells) - 1, Cells),
    lists:append([cell(Width, Cell) || {Width, Cell} <- lists:zip(widths(Wide), Columns)]) ++ " " ++ Last.

cell({left, Width}, Cell) -> " " ++ fit(Cell, Width);
cell({right, Width}, Cell) -> " " ++ lists:flatten(string:pad(string:slice(Cell, 0, Width), Width, leading)).

%% ---------------------------------------------------------------------------
%% Pieces

%% Exactly as wide; what is cut off shows.
-spec fit(string(), non_neg_integer()) -> string().
fit(Text, Width) ->
    case string:length(Text) of
        Length when Length =< Width -> lists:flatten(string:pad(Text, Width));
        _ -> unicode:characters_to_list([string:slice(Text, 0, max(0, Width - 1)),
                                         case Width of 0 -> ""; _ -> "~" end])
    end.

%% The last minute: the most in each part of it; a part without a sample shows the one
%% before it. The lowest mark is the least there was, but a difference of less than a
%% tenth of the most is never drawn at full height.
-spec spark([{integer(), pos_integer()}], pos_integer(), integer(), boolean()) -> string().
spark(Samples, Width, Now, Utf8) ->
    Most = lists:max([0 | [Rss || {_, Rss} <- Samples]]),
    Least = lists:min([Most | [Rss || {_, Rss} <- Samples]]),
    Parts = lists:foldl(fun({At, Rss}, Parts) -> in_part(part(At, Width, Now), Rss, Parts) end,
                        #{}, Samples),
    [mark(Value, Least, max(Most - Least, Most div 10), Utf8)
     || Value <- whole(lists:seq(0, Width - 1), none, Parts)].

part(At, Width, Now) ->
    Width - 1 - (Now - At) * Width div (?LAST + 1).

in_part(N, Rss, Parts) ->
    maps:update_with(N, fun(Other) -> max(Rss, Other) end, Rss, Parts).

whole([N | More], Before, Parts) ->
    Value = maps:get(N, Parts, Before),
    [Value | whole(More, Value, Parts)];
whole([], _, _) ->
    [].

mark(none, _, _, _) -> $\s;
mark(Rss, Least, Range, Utf8) ->
    lists:nth(1 + (Rss - Least) * 7 div max(1, Range),
              case Utf8 of true -> "▁▂▃▄▅▆▇█"; false -> "_.:-=+*#" end).

help() ->
    [{plain, Line}
     || Line <- ["",
                 "  up, down, page up, page down, home, end   choose a worker",
                 "  enter      look into it: memory, limits, what runs now, its stack",
                 "  d          there: what its memory mostly is (asks its Python)",
                 "  m g c      sort by memory, growth, calls in a second",
                 "  l n        sort by the part of a limit that is used, by name",
                 "  tab        only one pool, the next one, all",
                 "  f          functions by memory, time, calls (pools with the option bill)",
                 "  p          pause, and go on",
                 "  q, escape  back; q quits at last, and control-c at once",
                 "",
                 "  LAST MIN is the last minute of rss: the lowest mark is the least it was.",
                 "  LIMIT is the limit that it has used most of.",
                 "  K, M, G are a thousand, a million, a thousand million bytes.",
                 "  No worker that is idle is asked or woken, unless you press d."]].
