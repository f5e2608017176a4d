%% SPDX-License-Identifier: Apache-2.0
%%
%% Why a reply could not be decoded safely: finds, in a term in external
%% format, the first atom that does not exist on this node. Pure, and total:
%% bytes that it does not understand end the search.
-module(py_unknown_atom).

-export([explain/1]).

-spec explain(binary()) -> {unknown_atom, binary()} | {badarg, binary()}.
explain(<<131, Term/binary>>) ->
    case find(Term, 1) of
        {unknown, Name} -> {unknown_atom, Name};
        _ -> not_decodable()
    end;
explain(_) ->
    not_decodable().

not_decodable() ->
    {badarg, <<"the reply cannot be decoded on this node">>}.

%% The next Count terms are to be looked at. A container adds its elements to
%% the count: no stack is needed.
find(_, 0) -> none;
find(<<Tag, Rest/binary>> = Bytes, Count) ->
    case atom(Tag, Rest) of
        {exists, After} -> find(After, Count - 1);
        {unknown, Name} -> {unknown, Name};
        no_atom -> next(py_external:skip(Bytes), Count)
    end;
find(_, _) -> none.

next({Elements, After}, Count) -> find(After, Count - 1 + Elements);
next(not_understood, _) -> none.

atom(119, <<Size, Name:Size/binary, Rest/binary>>) -> atom(Name, utf8, Rest);
atom(118, <<Size:16, Name:Size/binary, Rest/binary>>) -> atom(Name, utf8, Rest);
atom(115, <<Size, Name:Size/binary, Rest/binary>>) -> atom(Name, latin1, Rest);
atom(100, <<Size:16, Name:Size/binary, Rest/binary>>) -> atom(Name, latin1, Rest);
atom(_, _) -> no_atom.

atom(Name, Encoding, Rest) ->
    try binary_to_existing_atom(Name, Encoding) of
        _ -> {exists, Rest}
    catch
        error:_ -> {unknown, unicode:characters_to_binary(Name, Encoding)}
    end.
