%% SPDX-License-Identifier: Apache-2.0
%%
%% Which objects there are in workers, by type, and how that has changed.
-module(py_mem_census).

-export([objects/2, growth/2, uncollectable/1, kept/1, rows/2]).

-include("py.hrl").

%% A row from a program: the type's name and its numbers.
-type counted() :: {Type :: binary(), Bytes :: integer(), Count :: integer()}
                 | {Type :: binary(), Bytes :: integer(), Count :: integer(), Oldest :: integer()}
                 | {Type :: binary(), Bytes :: integer(), Count :: integer(),
                    MoreBytes :: integer(), More :: integer()}.
-type row() :: #{type := binary(), bytes := integer(), count := integer(),
                 bytes_diff => integer(), count_diff => integer(), oldest => integer(), workers := [pos_integer()]}.

-spec objects(py_target:target(), #{top := pos_integer()}) -> py_target:answer().
objects(Target, #{top := Top}) ->
    look(Target, census, Top).

-spec growth(py_target:target(), #{top := pos_integer()}) -> py_target:answer().
growth(Target, #{top := Top}) ->
    look(Target, growth, Top).

-spec uncollectable(py_target:target()) -> py_target:answer().
uncollectable(Target) ->
    look(Target, uncollectable, infinity).

%% What there are handles for.
-spec kept(py_target:target()) -> py_target:answer().
kept(Target) ->
    look(Target, kept, infinity).

look(Target, Op, Top) ->
    case py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Op) end, fun together/2) of
        {ok, Found} -> {ok, shown(Target, Found, Top)};
        {error, _} = Error -> Error
    end.

ask(#pool{timeout = Timeout}, Workers, Op) ->
    [{Worker, of_worker(Worker, Result)}
     || {Worker, Result} <- py_fanout:ask(Workers, kind(Op), Op, py_time:deadline(Timeout))].

%% Objects may have their own idea of how large they are.
kind(kept) -> job;
kind(_) -> urgent.

of_worker({Id, _, _}, {ok, Counted}) -> {ok, [{Id, Counted}]};
of_worker(_, {error, _} = Error) -> Error.

together(_, Results) ->
    case py_fanout:all_ok(Results) of
        ok -> {ok, lists:append([Found || {_, {ok, Found}} <- Results])};
        {error, _} = Error -> Error
    end.

shown({_, all}, Each, Top) ->
    [{Id, shown_one(Result, Top)} || {Id, Result} <- Each];
shown(_, Found, Top) ->
    rows(Found, Top).

shown_one({ok, Found}, Top) -> {ok, rows(Found, Top)};
shown_one({error, _} = Error, _) -> Error.

%% What some workers have together, the largest growth, or the largest, first. Pure.
-spec rows([{Id :: pos_integer(), [counted()]}], Top :: pos_integer() | infinity) -> [row()].
rows(Found, Top) ->
    Sums = lists:foldl(fun add/2, #{}, [{Id, Row} || {Id, Rows} <- Found, Row <- Rows]),
    Rows = [{order(Numbers), row(Type, Numbers, Ids)}
            || {Type, {Numbers, Ids}} <- maps:to_list(Sums), has_changed(Numbers)],
    first(Top, [Row || {_, Row} <- lists:reverse(lists:sort(Rows))]).

add({Id, Row}, Sums) ->
    [Type | Numbers] = tuple_to_list(Row),
    case Sums of
        #{Type := {SoFar, Ids}} ->
            Sums#{Type := {sum(SoFar, Numbers), [Id | Ids]}};
        #{} ->
            Sums#{Type => {Numbers, [Id]}}
    end.

%% Three numbers are those of what is kept.
sum([Bytes, Count, Oldest], [More, N, Age]) -> [Bytes + More, Count + N, max(Oldest, Age)];
sum(SoFar, Numbers) -> lists:zipwith(fun erlang:'+'/2, SoFar, Numbers).

has_changed([_, _, 0, 0]) -> false;
has_changed(_) -> true.

order([_, _, MoreBytes, More]) -> {MoreBytes, More};
order([Bytes, Count | _]) -> {Bytes, Count}.

row(Type, [Bytes, Count], Ids) ->
    #{type => Type, bytes => Bytes, count => Count, workers => lists:sort(Ids)};
row(Type, [Bytes, Count, Oldest], Ids) ->
    (row(Type, [Bytes, Count], Ids))#{oldest => Oldest};
row(Type, [Bytes, Count, MoreBytes, More], Ids) ->
    (row(Type, [Bytes, Count], Ids))#{bytes_diff => MoreBytes, count_diff => More}.

first(infinity, Rows) -> Rows;
first(Top, Rows) -> lists:sublist(Rows, Top).
