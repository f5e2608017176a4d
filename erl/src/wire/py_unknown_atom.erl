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
find(<<Tag, Rest/binary>>, Count) ->
    case atom(Tag, Rest) of
        {exists, After} -> find(After, Count - 1);
        {unknown, Name} -> {unknown, Name};
        no_atom -> next(skip(Tag, Rest), Count)
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

%% What follows a tag: how many terms are inside, and the bytes where they (or
%% the next term) begin.
skip(97, <<_, R/binary>>) -> {0, R};
skip(98, <<_:32, R/binary>>) -> {0, R};
skip(70, <<_:64, R/binary>>) -> {0, R};
skip(99, <<_:31/binary, R/binary>>) -> {0, R};
skip(106, R) -> {0, R};
skip(107, <<Size:16, _:Size/binary, R/binary>>) -> {0, R};
skip(109, <<Size:32, _:Size/binary, R/binary>>) -> {0, R};
skip(77, <<Size:32, _, _:Size/binary, R/binary>>) -> {0, R};
skip(110, <<Size, _, _:Size/binary, R/binary>>) -> {0, R};
skip(111, <<Size:32, _, _:Size/binary, R/binary>>) -> {0, R};
skip(104, <<N, R/binary>>) -> {N, R};
skip(105, <<N:32, R/binary>>) -> {N, R};
skip(108, <<N:32, R/binary>>) -> {N + 1, R};
skip(116, <<N:32, R/binary>>) -> {2 * N, R};
skip(113, R) -> {3, R};
skip(112, <<_:32, _, _:16/binary, _:32, Free:32, R/binary>>) -> {4 + Free, R};
skip(103, R) -> after_node(R, 9);
skip(88, R) -> after_node(R, 12);
skip(102, R) -> after_node(R, 5);
skip(89, R) -> after_node(R, 8);
skip(120, R) -> after_node(R, 12);
skip(101, R) -> after_node(R, 5);
skip(114, <<Words:16, R/binary>>) -> after_node(R, 1 + 4 * Words);
skip(90, <<Words:16, R/binary>>) -> after_node(R, 4 + 4 * Words);
skip(_, _) -> not_understood.

%% Pids, ports and references: a node's name and some bytes.
after_node(<<Tag, Rest/binary>>, Size) ->
    case atom(Tag, Rest) of
        {exists, <<_:Size/binary, R/binary>>} -> {0, R};
        _ -> not_understood
    end;
after_node(_, _) ->
    not_understood.
