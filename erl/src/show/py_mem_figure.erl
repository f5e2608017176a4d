%% SPDX-License-Identifier: Apache-2.0
%%
%% Figures for people to read, in a few characters. Pure.
-module(py_mem_figure).

-export([bytes/1, change/1, duration/1, rss/1, nearest/1, used/1, known/3, counted/2]).
-export([columns/1, text/2, visible/1]).

%% In decimal units: 812K, 13.7M, 1.2G.
-spec bytes(non_neg_integer()) -> string().
bytes(N) when N < 1000 -> integer_to_list(N);
bytes(N) when N < 999_500 -> lists:flatten(io_lib:format("~bK", [round(N / 1000)]));
bytes(N) -> unit(N / 1_000_000, "MGTPE").

unit(N, [_ | [_ | _] = Larger]) when N >= 999.95 -> unit(N / 1000, Larger);
unit(N, [Unit | _]) -> lists:flatten(io_lib:format("~.1f~c", [N, Unit])).

%% What was added, or taken away.
-spec change(integer()) -> string().
change(0) -> "0";
change(N) when N < 0 -> [$- | bytes(-N)];
change(N) -> [$+ | bytes(N)].

%% Of milliseconds, in its largest unit: 12s, 4m, 3h, 2d.
-spec duration(non_neg_integer()) -> string().
duration(Ms) when Ms < 120_000 -> integer_to_list(Ms div 1000) ++ "s";
duration(Ms) when Ms < 7_200_000 -> integer_to_list(Ms div 60_000) ++ "m";
duration(Ms) when Ms < 172_800_000 -> integer_to_list(Ms div 3_600_000) ++ "h";
duration(Ms) -> integer_to_list(Ms div 86_400_000) ++ "d".

%% Of workers together, as far as it is known.
-spec rss([#{rss => non_neg_integer(), _ => _}]) -> string().
rss(Workers) -> bytes(lists:sum([Rss || #{rss := Rss} <- Workers])).

%% The limit of which a worker has used most, and how much of it: rss 41%.
-spec nearest(#{limits => map(), left => map(), _ => _}) -> string().
nearest(Worker) ->
    case used(Worker) of
        {Thousandths, Key} -> text("~ts ~b%", [Key, Thousandths div 10]);
        none -> ""
    end.

%% The same as a number.
-spec used(#{limits => map(), left => map(), _ => _}) ->
          {Thousandths :: integer(), Limit :: atom()} | none.
used(#{limits := Limits, left := Left}) ->
    Used = [{1000 * (Limit - Rest) div Limit, Key}
            || {Key, Rest} <- maps:to_list(Left), Limit <- [maps:get(Key, Limits, 0)], Limit > 0],
    case Used of
        [] -> none;
        _ -> lists:max(Used)
    end;
used(_) ->
    none.

%% What may not be known of a worker yet; it is shown as nothing then.
-spec known(atom(), fun((term()) -> string()), map()) -> string().
known(Key, Text, Worker) ->
    case Worker of
        #{Key := Value} -> Text(Value);
        _ -> ""
    end.

%% 1 worker, 2 workers.
-spec counted(string(), list()) -> string().
counted(Word, [_]) -> "1 " ++ Word;
counted(Word, All) -> text("~b ~tss", [length(All), Word]).

%% Rows with the same number of cells become lines: each column as wide as it has to
%% be. The first row has each column's alignment, then come the others.
-spec columns([[left | right | string()]]) -> [string()].
columns([Aligned | Rows]) ->
    Widths = [lists:max([0 | [string:length(Cell) || Cell <- Column]])
              || Column <- transposed(Rows, length(Aligned))],
    [string:trim(lists:join("  ", lists:zipwith3(fun pad/3, Aligned, Widths, Row)), trailing)
     || Row <- Rows].

transposed(Rows, Count) ->
    [[lists:nth(N, Row) || Row <- Rows] || N <- lists:seq(1, Count)].

pad(left, Width, Cell) -> string:pad(Cell, Width, trailing);
pad(right, Width, Cell) -> string:pad(Cell, Width, leading).

-spec text(io:format(), [term()]) -> string().
text(Format, Args) ->
    unicode:characters_to_list(io_lib:format(Format, Args)).

%% Names and lines of code come from the node that is watched. They must not control
%% the terminal, begin a line or turn the text around.
-spec visible(string()) -> string().
visible(Text) ->
    [case is_hidden(C) of true -> $?; false -> C end || C <- Text].

is_hidden(C) when C < $\s; C >= 16#7f, C < 16#a0 -> true;
is_hidden(C) when C =:= 16#200e; C =:= 16#200f; C >= 16#2028, C =< 16#202e -> true;
is_hidden(C) -> C >= 16#2066 andalso C =< 16#2069.
