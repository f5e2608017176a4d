%% SPDX-License-Identifier: Apache-2.0
%%
%% Tests of pure functions as tables: a row is a test.
-module(table).

-export([rows/3]).

%% One test for each {What, Arguments, Result}: the function, called with these
%% arguments, returns this.
-spec rows(unicode:chardata(), fun(), [{unicode:chardata(), [term()], term()}]) -> [tap:test()].
rows(Name, Function, Rows) ->
    [{[Name, ": ", What], fun() -> returns(Result, Function, Args) end}
     || {What, Args, Result} <- Rows].

returns(Result, Function, Args) ->
    case apply(Function, Args) of
        Result -> ok;
        Other -> error({returned, #{arguments => Args, expected => Result, got => Other}})
    end.
