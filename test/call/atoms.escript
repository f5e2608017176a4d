#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Nothing that Python returns makes an atom, but for the documented path: the
%% names of exception classes, at most 1,000 of a program's own.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import erlang, raiser, random">>}, [
        {"texts, keys, names and numbers make no atoms", fun values/0},
        {"unknown atoms are refused, wherever they are", fun unknown/0},
        {"known atoms come back", fun known/0},
        {"errors, their tracebacks and places make no atoms", fun errors/0},
        {"streams and events make no atoms", fun streams/0},
        {"a program's own exception classes: 1,000 atoms at most", fun classes/0},
        {"classes with impossible names", fun odd_classes/0},
        {"requests make no atoms in the VM", fun requests/0}
    ])).

%% How many atoms a fun makes, once it has run (modules are loaded) before. What
%% others load meanwhile has atoms, too, but not three times.
made_by(Fun) ->
    _ = Fun(0),
    made_by(Fun, 3).

made_by(Fun, Tries) ->
    Before = erlang:system_info(atom_count),
    [Fun(N) || N <- lists:seq(1, 50)],
    case erlang:system_info(atom_count) - Before of
        Made when Made =:= 0; Tries =:= 1 -> Made;
        _ -> made_by(Fun, Tries - 1)
    end.

fresh() ->
    <<"[f'fresh_{random.getrandbits(64)}' for _ in range(20)]">>.

values() ->
    ?assertEqual(0, made_by(fun(_) -> {ok, _} = py:eval(fresh()) end)),
    ?assertEqual(0, made_by(fun(_) ->
        {ok, _} = py:eval([<<"{k: {k: k} for k in ">>, fresh(), <<"}">>])
    end)).

unknown() ->
    ?assertEqual(0, made_by(fun(_) ->
        {error, {unknown_atom, <<"fresh_", _/binary>>}} =
            py:eval([<<"[erlang.Atom(a) for a in ">>, fresh(), <<"]">>]),
        {error, {unknown_atom, _}} =
            py:eval([<<"{erlang.Atom(a): 1 for a in ">>, fresh(), <<"}">>]),
        {error, {unknown_atom, _}} =
            py:stream_eval([<<"(erlang.Atom(a) for a in ">>, fresh(), <<")">>])
    end)).

known() ->
    ?assertEqual({ok, [ok, error, undefined, 'grün']},
                 py:eval(<<"[erlang.Atom(a) for a in"
                           " ('ok', 'error', 'undefined', 'grün')]"/utf8>>)).

errors() ->
    ?assertEqual(0, made_by(fun(_) ->
        {error, {'KeyError', _}} = py:eval([<<"{}[">>, fresh(), <<"[0]]">>], #{}),
        {error, {'ValueError', _, #{}}} =
            py:call(raiser, deeper, [5], #{}, #{traceback => true}),
        {error, {'TypeError', _}} = py:eval(<<"{str(random.random()): object()}">>)
    end)).

streams() ->
    Self = self(),
    ?assertEqual(0, made_by(fun(_) ->
        {ok, _} = py:stream_eval(fresh()),
        {ok, _} = py:eval([<<"erlang.send(to, ">>, fresh(), <<")">>], #{to => Self}),
        receive Texts when is_list(Texts) -> ok after 30_000 -> error(nothing_came) end
    end)).

classes() ->
    Grown = grown_by(lists:seq(1, 3000)),
    tap:note("3,000 classes made ~b atoms", [Grown]),
    ?assert(Grown =< 1050),     % the VM may load a module meanwhile
    ?assert(Grown >= 900),
    ?assert(grown_by(lists:seq(3001, 6000)) =< 50),
    ?assertMatch({error, {Class, _}} when is_binary(Class), py:call(raiser, new_class, [3000])).

grown_by(Classes) ->
    Before = erlang:system_info(atom_count),
    [{error, {_, <<"new">>}} = py:call(raiser, new_class, [N]) || N <- Classes],
    erlang:system_info(atom_count) - Before.

odd_classes() ->
    Raise = fun(Name) ->
        py:eval(<<"(_ for _ in ()).throw(type(n, (Exception,), {})('odd'))">>, #{n => Name})
    end,
    [?assertMatch({error, {_, <<"odd">>}}, Raise(Name))
     || Name <- [<<>>, <<"not a name">>, <<"grün☃"/utf8>>, binary:copy(<<"x">>, 255),
                 binary:copy(<<"x">>, 256), binary:copy(<<"ü"/utf8>>, 300)]].

requests() ->
    ?assertEqual(0, made_by(fun(N) ->
        Name = <<"name_", (integer_to_binary(N * 7919))/binary>>,
        {ok, N} = py:eval(Name, #{Name => N}),
        {error, _} = py:call(Name, Name, []),
        {ok, #{}} = py:call(builtins, dict, [], #{Name => N})
    end)).
