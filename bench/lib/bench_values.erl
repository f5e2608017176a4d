%% SPDX-License-Identifier: Apache-2.0
%%
%% Large values, made once in each VM and then shared: a process that calls with one gets no
%% copy of it, which its garbage collector would have to look after while it is timed.
-module(bench_values).

-export([once/2, integers/0, maps/0, big_integers/0]).

-spec once(term(), fun(() -> Value)) -> Value.
once(Key, Make) ->
    case persistent_term:get({?MODULE, Key}, none) of
        none ->
            persistent_term:put({?MODULE, Key}, Make()),
            once(Key, Make);
        Value ->
            Value
    end.

-spec integers() -> [integer()].
integers() ->
    lists:seq(1, 1_000_000).

-spec maps() -> [map()].
maps() ->
    [#{id => N, name => integer_to_binary(N)} || N <- lists:seq(1, 100_000)].

-spec big_integers() -> [integer()].
big_integers() ->
    [(1 bsl 79) + N || N <- lists:seq(1, 100_000)].
