%% SPDX-License-Identifier: Apache-2.0
%%
%% The property of Erlang terms: each comes back from Python as the table in
%% docs/types.md says, or is refused where that page says so.
-module(erlang_terms).

-export([prop/0]).

-import(generate, [bind/2, lazy/1, some/2, one_of/1, weighted/1]).

-spec prop() -> term().
prop() ->
    generate:forall(term(), {fun holds/1, fun explain/1}).

round_trip(Term) ->
    py:eval(<<"x">>, #{x => Term}).

holds(Term) ->
    agrees(expected(Term), round_trip(Term)).

explain(Term) ->
    tap:note("term ~0tp~nexpected ~0tp~ngot ~0tp", [Term, expected(Term), round_trip(Term)]).

agrees({ok, Term}, {ok, Got}) -> Term =:= Got;
agrees(refused, {error, {Class, Why}}) -> is_atom(Class) andalso is_binary(Why);
agrees(_, _) -> false.

%% ---------------------------------------------------------------------------
%% What is documented, as a second, slow and simple program

expected(Term) ->
    try {ok, back(Term)} catch throw:refused -> refused end.

back(nil) -> none;
back(undefined) -> none;
back({bytes, B}) when is_binary(B) -> B;
back(B) when is_binary(B) -> utf8(B);
back([Head | Tail]) -> [back(Head) | back(Tail)];
back(T) when is_tuple(T) -> list_to_tuple([back(E) || E <- tuple_to_list(T)]);
back(M) when is_map(M) -> back_map(M);
back(Term) -> Term.

back_map(Map) ->
    Keys = maps:keys(Map),
    all_different([as_key(Key) || Key <- Keys]),
    Back = [{back(Key), back(Value)} || {Key, Value} <- maps:to_list(Map)],
    all_different([Key || {Key, _} <- Back]),
    maps:from_list(Back).

%% As Erlang's =:= has it, under which 1 and 1.0 differ.
all_different(Keys) ->
    map_size(maps:from_keys(Keys, key)) =:= length(Keys) orelse throw(refused).

%% A key as Python compares it; lists and maps cannot be keys.
as_key(none) -> {python, none};
as_key(nil) -> {python, none};
as_key(undefined) -> {python, none};
as_key(true) -> {number, 1};
as_key(false) -> {number, 0};
as_key(Atom) when is_atom(Atom) -> {text, atom_to_binary(Atom)};
as_key(B) when is_binary(B) -> {text, utf8(B)};
as_key({bytes, B}) when is_binary(B) -> {bytes, B};
as_key(N) when is_integer(N) -> {number, N};
as_key(F) when is_float(F), trunc(F) == F -> {number, trunc(F)};
as_key(F) when is_float(F) -> {number, F};
as_key(T) when is_tuple(T) -> {tuple, [as_key(E) || E <- tuple_to_list(T)]};
as_key(L) when is_list(L) -> throw(refused);
as_key(M) when is_map(M) -> throw(refused);
as_key(Opaque) -> {opaque, Opaque}.

utf8(B) ->
    case unicode:characters_to_binary(B) of
        B -> B;
        _ -> throw(refused)
    end.

%% ---------------------------------------------------------------------------
%% Terms

term() ->
    generate:sized(fun term/1).

term(0) ->
    scalar();
term(Size) ->
    Inner = lazy(fun() -> term(Size div 3) end),
    Short = some(5, Inner),
    weighted([{4, scalar()},
              {2, Short},
              {2, bind(Short, fun list_to_tuple/1)},
              {2, bind(some(4, {key(Size div 3), Inner}), fun maps:from_list/1)},
              {1, bind({Inner, Short, scalar()}, fun improper/1)}]).

improper({First, Others, Tail}) ->
    lists:foldr(fun(Element, Rest) -> [Element | Rest] end, Tail, [First | Others]).

%% Mostly keys that Python takes, so that most maps go through.
key(Size) ->
    weighted([{6, text()}, {3, atom_of_ours()}, {3, generate:integer()}, {1, generate:float()},
              {1, {generate:integer(), text()}}, {1, lazy(fun() -> term(Size) end)}]).

scalar() ->
    weighted([{4, generate:integer()}, {2, generate:large_integer()}, {3, generate:float()},
              {3, atom_of_ours()}, {4, text()}, {2, {bytes, generate:binary()}},
              {1, generate:binary()}, {1, generate:bitstring()}, {1, []}, {1, one_of(opaque())}]).

atom_of_ours() ->
    one_of([true, false, none, nil, undefined, nan, infinity, neg_infinity, ok, error,
            '', 'with space', 'grün☃', list_to_atom(lists:duplicate(255, $a))]).

text() ->
    bind(generate:text(), fun unicode:characters_to_binary/1).

opaque() ->
    [self(), make_ref(), hd(erlang:ports()), fun lists:map/2, fun erlang:abs/1].
