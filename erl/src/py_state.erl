%% SPDX-License-Identifier: Apache-2.0
%%
%% @doc State that workers and Erlang share.
%%
%% There is one table of values for the node. What is put there stays until it is deleted
%% or the application stops, whichever worker, pool or process dies:
%% ```
%% ok = py_state:put(<<"rate">>, 0.2),
%% {ok, 0.2} = py_state:get(<<"rate">>),
%% {ok, 1} = py_state:increment(<<"hits">>),
%% {ok, [<<"hits">>, <<"rate">>]} = py_state:keys().
%% '''
%% Python has the same by `erlang.state', in pools with the option `state'.
%%
%% A key may be any term of up to 4,096 bytes, a value any term. Keys are the same only if
%% they are the same term: `1' and `1.0' are two keys, and so are `rate' and
%% `<<"rate">>'. Each change is atomic, and all see it once the function has returned. A
%% value is encoded when it is put and decoded when it is got, so large ones cost time.
%%
%% Errors are values: `{error, {overloaded, state_keys, Max}}' and `{error, {overloaded,
%% state_bytes, Max}}' if there is more than the application's environment allows
%% (`state_limits'), `{error, {badarg, Text}}' for what cannot be done, and `{error,
%% {not_started, py}}' if the application is not started. `docs/python.md' has more.
-module(py_state).

-export([get/1, put/2, put_new/2, delete/1, take/1]).
-export([update/2, update/3, compare_and_set/3, increment/1, increment/2]).
-export([keys/0, keys/1, to_list/0, to_list/1, clear/0, clear/1, info/0]).

-type key() :: term().
-type failure() :: py_talk_state:failure().
-type no_key() :: {error, {no_key, key()}}.

%% How much is read at a time.
-define(ROWS, 1000).
-define(BYTES, (1 bsl 30)).

%% @doc The value of a key; if there is none, `{error, {no_key, Key}}'.
-spec get(key()) -> {ok, term()} | no_key() | failure().
get(Key) ->
    case py_talk_state:find(Key) of
        {ok, Etf, _} -> {ok, binary_to_term(Etf)};
        none -> no_key(Key);
        {error, _} = Error -> Error
    end.

%% @doc Gives a key a value, whether it has one or not.
-spec put(key(), term()) -> ok | failure().
put(Key, Value) ->
    py_talk_state:put(Key, term_to_binary(Value)).

%% @doc Gives a key a value if it has none: whether it had none. Of several processes that
%% do this at once, one hears `true'.
-spec put_new(key(), term()) -> boolean() | failure().
put_new(Key, Value) ->
    py_talk_state:replace(Key, none, term_to_binary(Value)).

%% @doc Deletes a key, if it is there.
-spec delete(key()) -> ok | failure().
delete(Key) ->
    case py_talk_state:delete([Key]) of
        {error, _} = Error -> Error;
        _ -> ok
    end.

%% @doc Deletes a key and returns the value that it had: one process alone gets it.
-spec take(key()) -> {ok, term()} | no_key() | failure().
take(Key) ->
    case py_talk_state:take(Key) of
        {ok, Etf} -> {ok, binary_to_term(Etf)};
        none -> no_key(Key);
        {error, _} = Error -> Error
    end.

%% @doc Makes a key's value anew from the one that it has: ``{ok, [3, 2, 1]} =
%% py_state:update(queue, fun(List) -> [3 | List] end)''. The function runs in the calling
%% process, and again if somebody else has changed the value meanwhile: so it should do
%% nothing but compute. Returns the new value.
-spec update(key(), fun((Old :: term()) -> New)) -> {ok, New} | no_key() | failure().
update(Key, Fun) when is_function(Fun, 1) ->
    update_with(Key, Fun, none);
update(_, Fun) ->
    no_function(Fun).

%% @doc The same; for a key that is not there, the function gets the default.
-spec update(key(), fun((Old :: term()) -> New), Default :: term()) -> {ok, New} | failure().
update(Key, Fun, Default) when is_function(Fun, 1) ->
    update_with(Key, Fun, {default, Default});
update(_, Fun, _) ->
    no_function(Fun).

-spec no_function(term()) -> no_return().
no_function(Other) ->
    py_options:must_be(Other, "the function", "a fun with one argument").

update_with(Key, Fun, Otherwise) ->
    case {py_talk_state:find(Key), Otherwise} of
        {{ok, Etf, Version}, _} -> updated(Key, Version, Fun(binary_to_term(Etf)), Fun, Otherwise);
        {none, {default, Default}} -> updated(Key, none, Fun(Default), Fun, Otherwise);
        {none, none} -> no_key(Key);
        {{error, _} = Error, _} -> Error
    end.

updated(Key, Version, New, Fun, Otherwise) ->
    case py_talk_state:replace(Key, Version, term_to_binary(New)) of
        true -> {ok, New};
        false -> update_with(Key, Fun, Otherwise);
        {error, _} = Error -> Error
    end.

%% @doc Gives a key a new value if its value is this one: whether it was. Values are the
%% same if they are the same term.
-spec compare_and_set(key(), Old :: term(), New :: term()) -> boolean() | failure().
compare_and_set(Key, Old, New) ->
    py_talk_state:compare_and_set(Key, Old, term_to_binary(New)).

%% @equiv increment(Key, 1)
-spec increment(key()) -> {ok, number()} | failure().
increment(Key) ->
    increment(Key, 1).

%% @doc Adds a number to the one that is a key's value, or to 0: ``{ok, 42} =
%% py_state:increment(<<"bytes">>, 42)''. Returns the sum.
-spec increment(key(), number()) -> {ok, number()} | failure().
increment(Key, N) when is_number(N) ->
    py_talk_state:add(Key, N);
increment(_, Other) ->
    py_options:must_be(Other, "what is added", "a number").

%% @doc All keys, in the order of terms. It is no snapshot: others may add and delete keys
%% meanwhile.
-spec keys() -> {ok, [key()]} | failure().
keys() ->
    collect(all, fun key/1).

%% @doc The keys that are texts (binaries) and begin with this one. No others are looked at.
-spec keys(unicode:chardata()) -> {ok, [key()]} | failure().
keys(Prefix) ->
    collect(py_options:text(Prefix), fun key/1).

%% @doc All keys with their values.
-spec to_list() -> {ok, [{key(), term()}]} | failure().
to_list() ->
    collect(all, fun pair/1).

%% @doc The same for the keys that begin with this text.
-spec to_list(unicode:chardata()) -> {ok, [{key(), term()}]} | failure().
to_list(Prefix) ->
    collect(py_options:text(Prefix), fun pair/1).

key({Key, _}) -> Key.

pair({Key, Etf}) -> {Key, binary_to_term(Etf)}.

collect(Prefix, Show) ->
    collect(Prefix, Show, start, []).

collect(Prefix, Show, From, Shown) ->
    case py_talk_state:rows(Prefix, From, ?ROWS, ?BYTES) of
        {error, _} = Error -> Error;
        {Rows, done} -> {ok, lists:reverse(Shown, lists:map(Show, Rows))};
        {Rows, Place} -> collect(Prefix, Show, Place, lists:reverse(lists:map(Show, Rows), Shown))
    end.

%% @doc Deletes all keys, and says how many there were.
-spec clear() -> {ok, non_neg_integer()} | failure().
clear() ->
    clear_all(all, start, 0).

%% @doc Deletes the keys that begin with this text. Others may put new ones meanwhile.
-spec clear(unicode:chardata()) -> {ok, non_neg_integer()} | failure().
clear(Prefix) ->
    clear_all(py_options:text(Prefix), start, 0).

clear_all(Prefix, From, N) ->
    case py_talk_state:rows(Prefix, From, ?ROWS, ?BYTES) of
        {error, _} = Error -> Error;
        {Rows, Next} -> cleared(py_talk_state:delete([Key || {Key, _} <- Rows]), Prefix, Next, N)
    end.

cleared({error, _} = Error, _, _, _) -> Error;
cleared(Count, _, done, N) -> {ok, N + Count};
cleared(Count, Prefix, Place, N) -> clear_all(Prefix, Place, N + Count).

%% @doc How many `keys' there are, how many `bytes' they have with their values, and the
%% `limits'.
-spec info() -> #{keys := non_neg_integer(), bytes := non_neg_integer(),
                  limits := py_talk_state:limits()} | failure().
info() ->
    py_talk_state:used().

no_key(Key) ->
    {error, {no_key, Key}}.
