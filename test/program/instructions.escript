#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% No request takes many more instructions than it did when the table was made.
%% `make instructions' makes it anew, which the commit has to explain.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% Percent that a row may grow.
-define(GROWTH, 10).

main(["renew"]) ->
    instructions:renew();
main(_) ->
    Table = table(),
    Counts = instructions:count(instructions:rows()),
    tap:run([{["instructions: ", atom_to_list(Row)],
              fun() -> row(Row, maps:get(Row, Counts), maps:get(Row, Table)) end}
             || Row <- instructions:rows()]).

table() ->
    case {instructions:available(), instructions:table()} of
        {{no, Why}, _} -> tap:skip_all(Why);
        {ok, none} ->
            tap:skip_all(["there is no table for ", instructions:build(), ": make instructions"]);
        {ok, {ok, Table}} -> Table
    end.

%% Once more, if it has grown: a machine that stands still lets other threads of the
%% program run.
row(Row, Count, Before) ->
    tap:note("~b, in the table ~b", [Count, Before]),
    ?assert(within(Count, Before) orelse within(again(Row), Before)).

within(Count, Before) ->
    Count * 100 =< Before * (100 + ?GROWTH).

again(Row) ->
    #{Row := Count} = instructions:count([Row]),
    tap:note("and again ~b", [Count]),
    Count.
