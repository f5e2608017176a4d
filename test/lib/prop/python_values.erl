%% SPDX-License-Identifier: Apache-2.0
%%
%% The property of Python values: whatever nested value an expression makes,
%% Erlang has the term for it that the table in docs/types.md says.
-module(python_values).

-export([prop/0]).

-import(generate, [bind/2, lazy/1, some/2, one_of/1, weighted/1]).

-spec prop() -> term().
prop() ->
    generate:forall(value(), {fun holds/1, fun explain/1}).

evaluate(Source) ->
    py:eval(unicode:characters_to_binary(Source)).

holds({Source, Term}) ->
    evaluate(Source) =:= {ok, Term}.

explain({Source, Term}) ->
    tap:note("~ts~nexpected ~0tp~ngot ~0tp", [Source, {ok, Term}, evaluate(Source)]).

%% ---------------------------------------------------------------------------
%% Values, each as its source and its term

value() ->
    generate:sized(fun value/1).

value(0) ->
    scalar();
value(Size) ->
    Inner = lazy(fun() -> value(Size div 3) end),
    weighted([{4, scalar()},
              {2, bind(some(5, Inner), fun list_of/1)},
              {2, bind(some(5, Inner), fun tuple_of/1)},
              {2, bind(some(5, {key(), Inner}), fun dict_of/1)},
              {1, bind(key(), fun set_of/1)}]).

scalar() ->
    weighted([{4, integer(generate:integer())}, {2, integer(generate:large_integer())},
              {3, bind(generate:float(), fun(F) -> {float_to_list(F, [short]), F} end)},
              {3, text()}, {3, bytes()}, {3, one_of(constants())}]).

constants() ->
    [{"None", none}, {"True", true}, {"False", false}, {"float('nan')", nan},
     {"float('inf')", infinity}, {"-float('inf')", neg_infinity}, {"frozenset()", []},
     {"()", {}}, {"{}", #{}}, {"bytearray(2)", <<0, 0>>}, {"memoryview(b'ab')", <<"ab">>}].

integer(Generator) ->
    bind(Generator, fun(N) -> {integer_to_list(N), N} end).

bytes() ->
    bind(generate:binary(), fun(B) -> {["b'", [escaped(Byte) || <<Byte>> <= B], "'"], B} end).

text() ->
    bind(generate:text(), fun(Characters) ->
        {["'", [escape(Char) || Char <- Characters], "'"],
         unicode:characters_to_binary(Characters)}
    end).

%% Keys of one kind each, so that what differs in Python differs in Erlang too.
key() ->
    one_of([text(), integer(generate:integer()),
            bind([text(), integer(generate:integer())], fun tuple_of/1)]).

list_of(Values) ->
    {Sources, Terms} = lists:unzip(Values),
    {["[", lists:join(", ", Sources), "]"], Terms}.

tuple_of(Values) ->
    {Sources, Terms} = lists:unzip(Values),
    {["(", [[Source, ", "] || Source <- Sources], ")"], list_to_tuple(Terms)}.

dict_of(Pairs) ->
    Sources = [[Key, ": ", Value] || {{Key, _}, {Value, _}} <- Pairs],
    Terms = [{Key, Value} || {{_, Key}, {_, Value}} <- Pairs],
    {["{", lists:join(", ", Sources), "}"], maps:from_list(Terms)}.

set_of({Source, Term}) ->
    {["{", Source, "}"], [Term]}.

escaped(Byte) ->
    io_lib:format("\\x~2.16.0b", [Byte]).

%% Half of the characters as themselves, half by their number.
escape(Char) when Char < $\s; Char =:= $'; Char =:= $\\ -> escaped(Char);
escape(Char) when Char rem 2 =:= 0 -> Char;
escape(Char) -> io_lib:format("\\U~8.16.0b", [Char]).
