#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_external: the funs in terms that are encoded, wherever they are, and however the
%% bytes are cut into parts.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("each kind of term is skipped", fun skipped/1, [{What, [Term], <<"rest">>} || {What, Term} <- terms()]),
        table:rows("funs", fun(Term) -> found([Term]) end, funs()),
        {"several terms, one behind the other", fun several/0},
        {"terms are told apart", fun split/0},
        {"no more than those terms", fun no_more/0},
        {"bytes that only look like a fun", fun disguised/0},
        {"cut into parts anywhere", fun parts/0},
        {"large binaries in parts of their own", fun large/0},
        {"what is cut off ends the search", fun cut_off/0},
        {"random terms", fun random/0}
    ]).

bare(Term) ->
    <<131, Bytes/binary>> = term_to_binary(Term),
    Bytes.

found(Terms) -> found(length(Terms), [bare(Term) || Term <- Terms]).

found(N, Parts) ->
    [binary_to_term(iolist_to_binary([131, Bytes])) || Bytes <- py_external:funs(N, Parts)].

%% What is inside is skipped, too.
skipped(Term) -> skipped(1, <<(bare(Term))/binary, "rest">>).

skipped(0, Rest) -> Rest;
skipped(N, Bytes) ->
    {Inside, Rest} = py_external:skip(Bytes),
    skipped(N - 1 + Inside, Rest).

terms() ->
    [{"a small integer", 7}, {"an integer", -70_000}, {"a big one", 1 bsl 70}, {"a very big one", 1 bsl 3000},
     {"a float", 1.5}, {"an atom", ok}, {"a long atom", list_to_atom(lists:duplicate(200, $ü))},
     {"nil", []}, {"a string", "abc"}, {"a list", [1, [2], <<"3">>]}, {"an improper list", [a | b]},
     {"a binary", <<"xyz">>}, {"a bitstring", <<5:3>>}, {"a tuple", {}},
     {"a large tuple", list_to_tuple(lists:seq(1, 300))}, {"a map", #{a => 1, {2} => [b]}},
     {"a pid", self()}, {"a reference", make_ref()}, {"a port", hd(erlang:ports())},
     {"a fun", fun() -> ok end}, {"an exported fun", fun lists:sum/1}].

funs() ->
    A = fun(X) -> X + 1 end,
    B = fun lists:sum/1,
    Env = {A, binary:copy(<<"x">>, 300)},
    C = fun() -> Env end,
    [{"none", [[1, a, {2.5, #{}}]], []},
     {"alone", [A], [A]},
     {"exported", [B], [B]},
     {"in a tuple", [{1, A, B}], [A, B]},
     {"in a list, and as its tail", [[B, 1 | A]], [B, A]},
     {"in a map, as key and as value", [#{A => B}], [A, B]},
     {"behind what is of every kind", [[Term || {_, Term} <- lists:droplast(lists:droplast(terms()))] ++ [A]], [A]},
     {"but not inside of a fun", [[C, 1]], [C]}].

several() ->
    F = fun() -> 1 end,
    ?assertEqual([F, F], found([{call, m, f, [F], #{}}, #{context => 1, x => F}])).

no_more() ->
    F = fun() -> 1 end,
    ?assertEqual([], found(1, [bare(1), bare(F)])).

disguised() ->
    F = fun() -> 1 end,
    Bytes = bare(F),
    ?assertEqual([], found([Bytes, [binary_to_list(Bytes)], {<<"x", Bytes/binary>>, bare(fun lists:sum/1)}])).

%% Each cut in two, and each byte a part of its own.
parts() ->
    Big = binary:copy(<<"p">>, 100),
    F = fun() -> Big end,
    Bytes = bare([1, {F, <<"abc">>, fun lists:sum/1}, "text", 2.5, F]),
    Found = [F, fun lists:sum/1, F],
    [begin
         <<First:N/binary, Second/binary>> = Bytes,
         ?assertEqual(Found, found(1, [First, Second]))
     end || N <- lists:seq(0, byte_size(Bytes))],
    ?assertEqual(Found, found(1, [<<Byte>> || <<Byte>> <= Bytes])).

large() ->
    Large = binary:copy(<<112, 0, 0>>, 1_000),
    F = fun(X) -> {X, Large} end,
    [<<131, First/binary>> | Rest] = erlang:term_to_iovec([Large, F, {Large, fun lists:sum/1}]),
    ?assert(length(Rest) > 2),
    ?assertEqual([F, fun lists:sum/1], found(1, [First | Rest])).

cut_off() ->
    Bytes = bare([fun lists:sum/1, 1, {2}]),
    [?assert(length(py_external:funs(1, [binary:part(Bytes, 0, N)])) =< 1)
     || N <- lists:seq(0, byte_size(Bytes) - 1)],
    ?assertEqual([], py_external:funs(1, [])).

%% A second, slow and simple program: it decodes the term and walks through it.
random() ->
    [begin
         Term = term(4),
         ?assertEqual(lists:sort(walk(Term)), lists:sort(found([Term])))
     end || _ <- lists:seq(1, 2_000)].

term(0) ->
    N = rand:uniform(1 bsl rand:uniform(80)),
    one_of([N, -N, N / 3, atom, <<N:64>>, <<1:3>>, "string", [], self(), make_ref(),
            fun() -> N end, fun(X) -> X end, fun lists:sum/1]);
term(Depth) ->
    Terms = [term(Depth - 1) || _ <- lists:seq(1, rand:uniform(4))],
    one_of([Terms, list_to_tuple(Terms), maps:from_list([{N, Term} || Term <- Terms, N <- [rand:uniform(99)]]),
            hd(Terms), Terms ++ atom]).

one_of(Terms) -> lists:nth(rand:uniform(length(Terms)), Terms).

walk(F) when is_function(F) -> [F];
walk([Head | Tail]) -> walk(Head) ++ walk(Tail);
walk(T) when is_tuple(T) -> walk(tuple_to_list(T));
walk(M) when is_map(M) -> walk(maps:to_list(M));
walk(_) -> [].

split() ->
    Bare = [bare(Term) || {_, Term} <- terms()],
    ?assertEqual(Bare, py_external:split(length(Bare), <<(iolist_to_binary(Bare))/binary, "more">>)),
    ?assertEqual([], py_external:split(0, <<1, 2, 3>>)),
    Elsewhere = <<88, 119, 4, "!no!", 0:96>>,
    ?assertEqual([Elsewhere, <<97, 1>>], py_external:split(2, <<Elsewhere/binary, 97, 1>>)),
    ?assertEqual([<<97, 1>>, <<>>, <<>>], py_external:split(3, <<97, 1, 0, 97, 1>>)),
    ?assertEqual([<<97, 1>>, <<>>], py_external:split(2, <<97, 1, 98>>)).
