%% SPDX-License-Identifier: Apache-2.0
%%
%% What keeps objects of a type alive in workers.
-module(py_mem_referrers).

-export([referrers/2, rows/1]).

-include("py.hrl").

%% What a program says about a way to some objects: Form is the path without its keys
%% and indexes.
-type way() :: {Root :: atom(), Path :: binary(), Form :: binary(), Holders :: [binary()],
                Count :: pos_integer()}.
-type row() :: #{root := atom(), path := binary(), holders := [binary()],
                 count := pos_integer(), workers := [pos_integer()]}.

-spec referrers(py_target:target(), py_wire:op()) -> py_target:answer().
referrers(Target, {referrers, Type, _} = Op) ->
    case py_target:run(Target, fun(Pool, Workers) -> ask(Pool, Workers, Op) end,
                       fun(_, Results) -> together(Type, Results) end) of
        {ok, Found} -> {ok, shown(Target, Found)};
        {error, _} = Error -> Error
    end.

ask(#pool{timeout = Timeout}, Workers, Op) ->
    [{Worker, of_worker(Worker, Op, Result)}
     || {Worker, Result} <- py_fanout:ask(Workers, urgent, Op, py_time:deadline(Timeout))].

of_worker(_, {referrers, Type, _}, {ok, none}) -> {error, {no_type, Type}};
of_worker({Id, _, _}, _, {ok, Ways}) -> {ok, [{Id, Ways}]};
of_worker(_, _, {error, _} = Error) -> Error.

%% A class may be imported in some workers only.
together(Type, Results) ->
    None = {error, {no_type, Type}},
    Known = [Row || {_, Result} = Row <- Results, Result =/= None],
    case {py_fanout:all_ok(Known), lists:append([Found || {_, {ok, Found}} <- Known])} of
        {{error, _} = Error, _} -> Error;
        {ok, []} -> None;
        {ok, Found} -> {ok, Found}
    end.

shown({_, all}, Each) -> [{Id, shown_one(Result)} || {Id, Result} <- Each];
shown(_, Found) -> rows(Found).

shown_one({ok, Found}) -> {ok, rows(Found)};
shown_one({error, _} = Error) -> Error.

%% Ways in some workers, together: those with most objects first. Pure.
-spec rows([{Id :: pos_integer(), [way()]}]) -> [row()].
rows(Found) ->
    Rows = lists:foldl(fun add/2, #{}, [{Id, Way} || {Id, Ways} <- Found, Way <- Ways]),
    lists:sort(fun(#{count := A, path := P}, #{count := B, path := Q}) -> {-A, P} =< {-B, Q} end,
               maps:values(Rows)).

add({Id, {Root, Path, Form, Holders, Count}}, Rows) ->
    case Rows of
        #{{Root, Form} := #{count := N, workers := Ids} = Row} ->
            Rows#{{Root, Form} := Row#{count := N + Count, workers := lists:usort([Id | Ids])}};
        #{} ->
            Rows#{{Root, Form} => #{root => Root, path => Path, holders => Holders,
                                    count => Count, workers => [Id]}}
    end.
