%% SPDX-License-Identifier: Apache-2.0
%%
%% Generators that the properties share, and PropEr's own ones by plain
%% functions: Debian packs its header with the macros apart.
-module(generate).

-export([forall/2, bind/2, lazy/1, sized/1, some/2, one_of/1, weighted/1]).
-export([integer/0, large_integer/0, float/0, binary/0, bitstring/0, text/0]).

-type generator() :: term().
-export_type([generator/0]).

%% A property: Holds is true of whatever the generator makes; when it is not,
%% Explain is run with the value.
-spec forall(generator(), {fun((term()) -> boolean()), fun((term()) -> term())}) -> term().
forall(Generator, {Holds, Explain}) ->
    proper:forall(Generator, fun(Value) ->
        proper:whenfail(fun() -> Explain(Value) end, fun() -> Holds(Value) end)
    end).

%% What Fun makes of a generated value (which may be a generator again).
-spec bind(generator(), fun((term()) -> generator())) -> generator().
bind(Generator, Fun) ->
    proper_types:bind(Generator, Fun, false).

%% A generator that is only looked at when it is needed: for recursion.
-spec lazy(fun(() -> generator())) -> generator().
lazy(Fun) ->
    proper_types:lazy(Fun).

%% A generator that is made for the size that PropEr asks for.
-spec sized(fun((non_neg_integer()) -> generator())) -> generator().
sized(Fun) ->
    proper_types:sized(Fun).

%% A list of at most about so many.
-spec some(pos_integer(), generator()) -> generator().
some(Most, Generator) ->
    proper_types:resize(Most, proper_types:list(Generator)).

-spec one_of([generator()]) -> generator().
one_of(Generators) ->
    proper_types:oneof(Generators).

-spec weighted([{pos_integer(), generator()}]) -> generator().
weighted(Generators) ->
    proper_types:frequency(Generators).

%% ---------------------------------------------------------------------------

-spec integer() -> generator().
integer() ->
    proper_types:int().

%% Up to some 300 bits.
-spec large_integer() -> generator().
large_integer() ->
    bind({one_of([1, -1]), proper_types:resize(40, binary())},
         fun({Sign, Bytes}) -> Sign * binary:decode_unsigned(<<0, Bytes/binary>>) end).

-spec float() -> generator().
float() ->
    proper_types:float().

-spec binary() -> generator().
binary() ->
    proper_types:binary().

-spec bitstring() -> generator().
bitstring() ->
    proper_types:bitstring().

%% A list of characters from all over Unicode, without surrogates.
-spec text() -> generator().
text() ->
    proper_types:list(character()).

character() ->
    Range = fun proper_types:range/2,
    weighted([{8, Range($\s, $~)}, {1, Range(0, 31)}, {2, Range(128, 16#7ff)},
              {2, Range(16#800, 16#d7ff)}, {1, Range(16#e000, 16#ffff)},
              {1, Range(16#10000, 16#10ffff)}]).
