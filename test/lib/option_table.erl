%% SPDX-License-Identifier: Apache-2.0
%%
%% A table of options (py_option) as README shows it, and as Erlang types.
-module(option_table).

-export([rows/1, maps/1, readme_rows/2, types/2, declared/3]).

%% ---------------------------------------------------------------------------
%% README

%% The rows of the Markdown table.
-spec rows([py_option:row()] | [py_option:key()]) -> [string()].
rows(Table) ->
    [lists:flatten(row(Row)) || Row <- Table].

row({Name, Kind, Default, Doc}) ->
    io_lib:format("| `~s` | ~ts | ~ts | ~ts |",
                  [Name, values(Name, Kind), default(Kind, Default), Doc]);
row({Key, Kind, Doc}) ->
    io_lib:format("| `~s` | ~ts | ~ts |", [Key, values(Kind), Doc]).

%% The options that are maps: each option's name, its type's name, its keys.
-spec maps([py_option:row()]) -> [{atom(), atom(), [py_option:key()]}].
maps(Table) ->
    [{Option, Type, Keys} || {Option, {Kind, Type, Keys}, _, _} <- Table,
                             Kind =:= map orelse Kind =:= switch].

values(Name, {map, _, _}) -> io_lib:format("[a map](#~s)", [Name]);
values(Name, {switch, _, _}) -> io_lib:format("`true`, `false`, [a map](#~s)", [Name]);
values(_, Kind) -> values(Kind).

values(boolean) -> "`true`, `false`";
values(atom) -> "an atom";
values(target) -> "a pool's name, `{Pool, Id}`, `{Pool, all}`";
values(context) -> "a context or its name";
values({one_of, Values}) -> lists:join(", ", [code(Value) || Value <- Values]);
values({integer, Least, infinity}) -> io_lib:format("~b or more", [Least]);
values({integer, Least, Most}) -> io_lib:format("~b..~b", [Least, Most]);
values(share) -> "bytes, `{percent, 1..100}`, `infinity`";
values({limit, Least}) -> io_lib:format("~b or more, `infinity`", [Least]);
values(names) -> "`pids`, `all`, a list of names";
values(functions) -> "`registered`, a list of `{Module, Function}`";
values(time) -> "ms";
values(timeout) -> "ms, `infinity`";
values(text) -> "a text";
values(traceparent) -> "a text, `undefined`";
values(directory) -> "a directory";
values(directories) -> "a directory or a list of them";
values(code) -> "a text or a list of them";
values(trims) -> "`never`, a list of `idle`, `{after_growth, Bytes}`, `{every, Ms}`";
values(environment) -> "`[{Name, Value}]`, `[clear, …]` or a map".

default(_, {_, Words}) -> Words;
default(_, N) when is_integer(N) -> integer_to_list(N);
default(_, Value) -> code(Value).

code(Value) -> io_lib:format("`~tp`", [Value]).

%% The rows of the table below this heading of a page.
-spec readme_rows(file:filename(), string()) -> [string()].
readme_rows(File, Heading) ->
    {ok, Page} = file:read_file(File),
    Lines = string:split(unicode:characters_to_list(Page), "\n", all),
    [Heading | Below] = lists:dropwhile(fun(Line) -> Line =/= Heading end, Lines),
    Table = lists:dropwhile(fun(Line) -> not is_row(Line) end, Below),
    [_Titles, _Rule | Rows] = lists:takewhile(fun is_row/1, Table),
    Rows.

is_row(Line) -> lists:prefix("|", Line).

%% ---------------------------------------------------------------------------
%% Types

%% Each option's type, as abstract code: as users give it, or as it is checked.
-spec types(given | checked, [py_option:row()] | [py_option:key()]) ->
          #{atom() => erl_parse:abstract_type()}.
types(Form, Table) ->
    maps:from_list([{element(1, Row), parse(row_type(Form, Row))} || Row <- Table]).

%% A key that is not there has no value, and so no default either.
row_type(checked, {_, directory, _}) -> "binary()";
row_type(Form, Row) -> type(Form, element(2, Row)).

type(_, boolean) -> "boolean()";
type(_, trims) -> "never | [idle | {after_growth, pos_integer()} | {every, pos_integer()}]";
type(_, atom) -> "atom()";
type(_, target) -> "target()";
type(given, context) -> "py_context:context() | atom()";
type(_, {one_of, Values}) -> lists:join("|", [io_lib:format("~tp", [V]) || V <- Values]);
type(_, {integer, 0, _}) -> "non_neg_integer()";
type(_, {integer, Least, _}) when Least > 0 -> "pos_integer()";
type(_, {integer, _, _}) -> "integer()";
type(_, share) -> "pos_integer() | {percent, 1..100} | infinity";
type(_, {limit, 0}) -> "non_neg_integer() | infinity";
type(_, {limit, Least}) when Least > 0 -> "pos_integer() | infinity";
type(_, {switch, Name, _}) -> ["boolean() | ", atom_to_list(Name), "()"];
type(_, {map, Name, _}) -> [atom_to_list(Name), "()"];
type(_, names) -> "pids | all | [atom()]";
type(_, functions) -> "registered | [{module(), atom()}]";
type(_, time) -> "non_neg_integer()";
type(_, timeout) -> "timeout()";
type(given, text) -> "unicode:chardata()";
type(given, traceparent) -> "unicode:chardata() | undefined";
type(given, directory) -> "unicode:chardata()";
type(checked, directory) -> "binary() | undefined";
type(given, directories) -> "[unicode:chardata()]";
type(checked, directories) -> "[binary()]";
type(given, code) -> "code() | [code()]";
type(checked, code) -> "[binary()]";
type(given, environment) ->
    "#{name() => unicode:chardata() | false} | [clear | {name(), unicode:chardata() | false}]";
type(checked, environment) -> "[clear | {string(), string() | false}]".

parse(Text) ->
    {ok, Tokens, _} = erl_scan:string(lists:flatten(["-type t() :: ", Text, "."])),
    {ok, {attribute, _, type, {t, Type, []}}} = erl_parse:parse_form(Tokens),
    bare(Type).

%% The types that a module declares for the keys of a map type of its, which may
%% stand beside other types: `how' tells whether each key has to be there.
-spec declared(module(), atom(), map_field_assoc | map_field_exact) ->
          #{atom() => erl_parse:abstract_type()}.
declared(Module, Type, How) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} =
        beam_lib:chunks(code:which(Module), [abstract_code]),
    [Body] = [Body || {attribute, _, type, {T, Body, []}} <- Forms, T =:= Type],
    [Fields] = [Fields || {type, _, map, Fields} <- alternatives(Body)],
    maps:from_list([{Name, bare(Value)}
                    || {type, _, H, [{atom, _, Name}, Value]} <- Fields, H =:= How]).

alternatives({type, _, union, Types}) -> Types;
alternatives(Type) -> [Type].

%% Without the places in the source. A type of the module's own and one that is
%% built in differ by whether they are known there.
bare(Type) ->
    normal(erl_parse:map_anno(fun(_) -> erl_anno:new(0) end, Type)).

normal({user_type, Anno, Name, Args}) -> {type, Anno, Name, normal(Args)};
normal(Tuple) when is_tuple(Tuple) -> list_to_tuple(normal(tuple_to_list(Tuple)));
normal(List) when is_list(List) -> [normal(Part) || Part <- List];
normal(Other) -> Other.
