#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_unknown_atom: the first atom of a term, in external format, that does not
%% exist here, wherever it is; and no harm from bytes that are no term.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% An atom that exists, of as many bytes as a name that no atom has.
-define(STAND_IN, 'a stand-in').
-define(NAME, "!nowhere !").

main(_) ->
    tap:run([
        table:rows("found", fun(Term) -> py_unknown_atom:explain(with_name(Term)) end,
                   [{What, [Term], {unknown_atom, <<?NAME>>}} || {What, Term} <- places()]),
        table:rows("written", fun py_unknown_atom:explain/1, written()),
        table:rows("not decodable", fun(Bytes) -> element(1, py_unknown_atom:explain(Bytes)) end,
                   [{What, [Bytes], badarg} || {What, Bytes} <- broken()]),
        {"every beginning of a term ends the search", fun beginnings/0}
    ]).

%% The term with the name where the stand-in was.
with_name(Term) ->
    Bytes = term_to_binary(Term),
    StandIn = atom_to_binary(?STAND_IN),
    ?assertEqual(byte_size(StandIn), length(?NAME)),
    [_, _ | _] = binary:split(Bytes, StandIn),
    binary:replace(Bytes, StandIn, <<?NAME>>).

places() ->
    Fun = fun(X) -> X end,
    [{"alone", ?STAND_IN},
     {"in a tuple", {ok, ?STAND_IN, 1}},
     {"in a list", [1, 2, ?STAND_IN]},
     {"the tail of a list", [1 | ?STAND_IN]},
     {"a key of a map", #{?STAND_IN => 1}},
     {"a value of a map", #{a => {1, ?STAND_IN}}},
     {"in a large tuple", list_to_tuple(lists:duplicate(300, 1) ++ [?STAND_IN])}]
    ++ [{["behind ", What], [Term, ?STAND_IN]}
        || {What, Term} <-
               [{"a small integer", 1}, {"an integer", 100_000}, {"a negative one", -1},
                {"a large one", 1 bsl 100}, {"a very large one", 1 bsl 3000},
                {"a float", 1.5}, {"a binary", <<"text">>}, {"bits", <<1:3>>},
                {"a string", "text"}, {"an empty list", []}, {"an atom", ok},
                {"a pid", self()}, {"a reference", make_ref()}, {"an external fun", fun lists:map/2},
                {"a fun", Fun}, {"nested ones", {[#{1 => {}}], []}},
                {"a port", hd(erlang:ports())}]].

written() ->
    [{["an atom, tag ", integer_to_list(Tag)], [<<131, Tag, Size/binary, ?NAME>>],
      {unknown_atom, <<?NAME>>}}
     || {Tag, Size} <- [{119, <<10>>}, {118, <<10:16>>}, {115, <<10>>}, {100, <<10:16>>}]]
    ++ [{"an atom in Latin-1 is reported in UTF-8", [<<131, 115, 3, "!", 228, "!">>],
         {unknown_atom, <<"!ä!"/utf8>>}},
        {"the first of two", [<<131, 104, 2, 119, 2, "!1", 119, 2, "!2">>], {unknown_atom, <<"!1">>}}].

broken() ->
    [{"nothing", <<>>}, {"another version", <<130, 97, 1>>}, {"a version alone", <<131>>},
     {"an invalid tag", <<131, 1>>}, {"less than it says", <<131, 109, 10:32, "x">>},
     {"atoms that all exist", term_to_binary({ok, [error]})},
     {"more elements than there are bytes", <<131, 108, 16#ffffffff:32>>}].

beginnings() ->
    Bytes = term_to_binary([Term || {_, Term} <- places()] -- [?STAND_IN]),
    Found = [py_unknown_atom:explain(binary:part(Bytes, 0, N)) || N <- lists:seq(0, byte_size(Bytes))],
    ?assertEqual([badarg], lists:usort([Why || {Why, _} <- Found])).
