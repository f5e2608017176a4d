#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What exec_all has defined is listed and forgotten.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import json">>}, [
        {"nothing is defined", fun nothing/0},
        {"listed in order, the same text once", fun listed/0},
        {"what failed is not there", fun failed/0},
        {"a definition that is forgotten: later workers do not have it", fun forgotten/0},
        {"forgotten for good, whichever process dies", fun for_good/0},
        {"what is no definition", fun no_definition/0},
        {"a pool that is not", fun no_pool/0},
        {"stopping the pool forgets all", fun stopped/0}
    ])).

with_pool(Fun) ->
    {ok, _} = py:start_pool(p, #{size => 2, init => <<"import json">>}),
    try Fun() after ok = py:stop_pool(p) end.

define(Text) ->
    ok = py:exec_all(Text, #{pool => p}).

shown() ->
    {ok, List} = py:definitions(p),
    [{Id, Text} || #{id := Id, begins := Text} <- List].

nothing() ->
    ?assertEqual({ok, []}, py:definitions()).

listed() ->
    with_pool(fun() ->
        [define(Text) || Text <- [<<"a = 1">>, "b = 2", <<"a = 1">>]],
        {ok, [#{id := One, begins := <<"a = 1">>, size := 5},
              #{id := Two, begins := <<"b = 2">>, size := 5}]} = py:definitions(p),
        ?assert(One < Two),
        %% The last a stands behind b, where it came last.
        define(<<"a = 1">>),
        ?assertEqual([{One, <<"a = 1">>}, {Two, <<"b = 2">>}], shown())
    end).

failed() ->
    with_pool(fun() ->
        {error, _} = py:exec_all(<<"1/0">>, #{pool => p}),
        ?assertEqual([], shown())
    end).

forgotten() ->
    with_pool(fun() ->
        define(<<"a = 1">>),
        define(<<"b = 2">>),
        [{Id, <<"a = 1">>} | _] = shown(),
        ok = py:forget(p, Id),
        ?assertMatch([{_, <<"b = 2">>}], shown()),
        ?assertEqual({ok, [1, 2]}, py:eval(<<"[a, b]">>, #{}, #{pool => p})),
        ok = py:restart_workers(p),
        ?assertMatch({error, {'NameError', _}}, py:eval(<<"a">>, #{}, #{pool => p})),
        ?assertEqual({ok, 2}, py:eval(<<"b">>, #{}, #{pool => p}))
    end).

for_good() ->
    with_pool(fun() ->
        define(<<"a = 1">>),
        [{Id, _}] = shown(),
        ok = py:forget(p, Id),
        {ok, Pool} = py_pool_board:find(p),
        {ok, Boss} = py_pool_board:pool(Pool),
        exit(Boss, kill),
        fixture:wait_until(fun() -> py_pool_board:pool(Pool) =/= {ok, Boss} end),
        fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, #{pool => p}) =:= {ok, 1} end),
        ?assertEqual([], shown()),
        ?assertMatch({error, {'NameError', _}}, py:eval(<<"a">>, #{}, #{pool => p}))
    end).

no_definition() ->
    ?assertEqual({error, {no_definition, 7}}, py:forget(7)),
    %% The init code is not one.
    ?assertEqual({error, {no_definition, 1}}, py:forget(default, 1)),
    [?assertError(badarg, py:forget(Id)) || Id <- [0, -1, <<"a">>, all]],
    [?assertError(badarg, py:definitions(Name)) || Name <- [<<"p">>, {p, 1}, {p, all}]].

no_pool() ->
    ?assertEqual({error, {no_pool, nowhere}}, py:definitions(nowhere)),
    ?assertEqual({error, {no_pool, nowhere}}, py:forget(nowhere, 1)).

stopped() ->
    with_pool(fun() -> define(<<"a = 1">>) end),
    with_pool(fun() -> ?assertEqual([], shown()) end).
