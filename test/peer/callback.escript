#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: functions of Erlang's that Python calls. The cases have the names that they have in
%% erlang_python's py_SUITE, py_callback_encoding_SUITE and py_thread_callback_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import peer">>}, [functions(), encoding(), threads()])).

functions() ->
    [{"erlang_callback", fun erlang_callback/0},
     {"erlang_callback_mfa", fun erlang_callback_mfa/0},
     {"erlang_import_syntax", fun erlang_import_syntax/0},
     {"erlang_attr_syntax", fun erlang_attr_syntax/0}].

encoding() ->
    Escapes = <<"back\\slash \"dq\" 'sq'\nnewline\ttab\r">>,
    Nested = #{<<"k">> => [1, 2.5, {a, b}, #{<<"inner">> => [[], {}]}]},
    [{"binary_with_escapes", comes_back(Escapes, <<"str">>)},
     {"binary_non_utf8", fun binary_non_utf8/0},
     {"large_binary", comes_back(binary:copy(<<"abcdefghij">>, 20000), <<"str">>)},
     {"atom_becomes_str", fun atom_becomes_str/0},
     {"empty_list", comes_back([], <<"list">>)},
     {"erlang_string_is_int_list", comes_back("abc", <<"list">>)},
     {"nested_containers", comes_back(Nested, <<"dict">>)},
     {"pid_round_trip", comes_back(self(), <<"Pid">>)},
     {"ref_round_trip", comes_back(make_ref(), <<"Reference">>)},
     {"float_round_trip", fun float_round_trip/0},
     {"booleans_and_none", fun booleans_and_none/0},
     {"python_types", comes_back({1, 2}, <<"tuple">>)},
     {"python_types: int", comes_back(42, <<"int">>)}].

threads() ->
    [{"threadpool_basic", pooled("peer.pooled(1, [5], peer.calls_of('double_it', 1))", [10])},
     {"threadpool_concurrent", pooled("peer.pooled(4, range(20), peer.calls_of('double_it', 1))",
                                      [2 * N || N <- lists:seq(0, 19)])},
     {"threadpool_multiple_calls", pooled("peer.pooled(2, range(5), peer.calls_of('add_one', 3))",
                                          [N + 3 || N <- lists:seq(0, 4)])},
     {"threadpool_nested_callback", pooled("peer.pooled(2, range(5), lambda n: erlang.call('square', n) + 1)",
                                           [N * N + 1 || N <- lists:seq(0, 4)])},
     {"threadpool_error_handling", fun threadpool_error_handling/0},
     {"threadpool_thread_reuse", fun threadpool_thread_reuse/0},
     {"simple_thread_basic", pooled("peer.threaded([5], peer.calls_of('double_it', 1))", [10])},
     {"simple_thread_multiple_calls", pooled("peer.threaded([0], peer.calls_of('add_one', 3))", [3])},
     {"simple_thread_concurrent", pooled("peer.threaded(range(5), peer.calls_of('double_it', 1))", [0, 2, 4, 6, 8])},
     {"threadpool_high_concurrency", pooled("peer.pooled(8, range(200), peer.calls_of('add_one', 5))",
                                            [N + 5 || N <- lists:seq(0, 199)])},
     {"async_callback_concurrent", pooled("peer.gathered('double_it', [[n] for n in range(50)])",
                                          [2 * N || N <- lists:seq(0, 49)])},
     {"async_callback_large_payload", fun async_callback_large_payload/0}].

%% Runs it while these functions are registered.
with(Functions, Run) ->
    [ok = py:register_function(Name, Function) || {Name, Function} <- Functions],
    try
        Run()
    after
        [ok = py:unregister_function(Name) || {Name, _} <- Functions]
    end.

%% ---------------------------------------------------------------------------

%% A function has as many arguments as Python gives, and atoms in what it returns come back as atoms.
erlang_callback() ->
    Functions = [{add, fun(A, B) -> A + B end},
                 {get_info, fun() -> #{name => <<"test">>, count => 42} end},
                 {reverse_list, fun lists:reverse/1}],
    with(Functions, fun() ->
        ?assertEqual({ok, 12}, py:eval("erlang.call('add', 5, 7)")),
        ?assertEqual({ok, #{name => <<"test">>, count => 42}}, py:eval("erlang.call('get_info')")),
        ?assertEqual({ok, [<<"test">>, 42]}, py:eval("[erlang.call('get_info')[key] for key in ('name', 'count')]")),
        ?assertEqual({ok, [3, 2, 1]}, py:eval("erlang.call('reverse_list', [1, 2, 3])"))
    end).

erlang_callback_mfa() ->
    with([{sum_list, {lists, sum}}, {first_arg, {erlang, hd}}, {longest, {erlang, max}}], fun() ->
        ?assertEqual({ok, 15}, py:eval("erlang.call('sum_list', [1, 2, 3, 4, 5])")),
        ?assertEqual({ok, <<"hello">>}, py:eval("erlang.call('first_arg', ['hello', 'world'])")),
        ?assertEqual({ok, 7}, py:eval("erlang.call('longest', 3, 7)")),
        ?assertEqual({error, {'erlang.Error', <<"error: undef">>}}, py:eval("erlang.call('sum_list', 1, 2)"))
    end).

erlang_import_syntax() ->
    with([{add, fun(A, B) -> A + B end}, {greet, fun(Name) -> <<"Hello, ", Name/binary>> end}], fun() ->
        ok = py:exec("from erlang import add, greet\nfrom erlang import add as my_add"),
        ?assertEqual({ok, [30, 100, <<"Hello, World">>]}, py:eval("[add(10, 20), my_add(40, 60), greet('World')]"))
    end).

erlang_attr_syntax() ->
    with([{multiply, fun(A, B) -> A * B end}, {get_data, fun() -> #{<<"value">> => 42} end}], fun() ->
        ?assertEqual({ok, 50}, py:eval("erlang.multiply(5, 10)")),
        ?assertEqual({ok, #{<<"value">> => 42}}, py:eval("erlang.get_data()")),
        ?assertEqual({ok, 100}, py:eval("erlang.call('multiply', 10, 10)"))
    end).

%% ---------------------------------------------------------------------------

%% What a function returns is of this type in Python, and is the same when it is back.
comes_back(Value, Type) ->
    fun() -> ?assertEqual({ok, [Type, Value]}, probe(Value)) end.

probe(Value) ->
    with([{probe, fun() -> Value end}], fun() ->
        py:eval("(lambda value: [type(value).__name__, value])(erlang.call('probe'))")
    end).

%% What is not text says that it is bytes; nothing is guessed.
binary_non_utf8() ->
    Value = <<0, 1, 255, 254, 128>>,
    ?assertMatch({error, {badarg, <<"answer: binary is not UTF-8", _/binary>>}}, probe(Value)),
    ?assertEqual({ok, [<<"bytes">>, Value]}, probe({bytes, Value})).

atom_becomes_str() ->
    ?assertEqual({ok, [<<"Atom">>, some_atom]}, probe(some_atom)),
    with([{probe, fun() -> some_atom end}], fun() ->
        ?assertEqual({ok, true}, py:eval("isinstance(erlang.probe(), str) and erlang.probe() == 'some_atom'"))
    end).

float_round_trip() ->
    [?assertEqual({ok, [<<"float">>, F]}, probe(F)) || F <- [3.14159265358979, 1.0e-300, 1.7976931348623157e308, 1.5]],
    {ok, [<<"float">>, Zero]} = probe(-0.0),
    ?assertEqual(<<-0.0/float>>, <<Zero/float>>).

booleans_and_none() ->
    [?assertEqual({ok, [<<"bool">>, Value]}, probe(Value)) || Value <- [true, false]],
    [?assertEqual({ok, [<<"NoneType">>, none]}, probe(Value)) || Value <- [undefined, nil, none]].

%% ---------------------------------------------------------------------------

%% What threads, or the coroutines of a loop, get from these functions.
pooled(Code, Expected) ->
    fun() ->
        Functions = [{double_it, fun(X) -> 2 * X end}, {add_one, fun(X) -> X + 1 end}, {square, fun(X) -> X * X end}],
        with(Functions, fun() -> ?assertEqual({ok, Expected}, py:eval(Code)) end)
    end.

threadpool_error_handling() ->
    Fail = fun(X) when X rem 2 =:= 0 -> 2 * X; (_) -> error(odd_number) end,
    ok = py:exec("def maybe(n):\n"
                 "    try:\n        return erlang.call('maybe_fail', n)\n"
                 "    except erlang.Error as error:\n        return error.reason"),
    with([{maybe_fail, Fail}], fun() ->
        ?assertEqual({ok, [0, odd_number, 4, odd_number]}, py:eval("peer.pooled(2, range(4), maybe)"))
    end).

threadpool_thread_reuse() ->
    {ok, Count} = py:call(peer, thread_names, [2, 10]),
    ?assert(Count =< 2).

async_callback_large_payload() ->
    Size = 64 * 1024,
    with([{blob, fun(N) -> binary:copy(<<($a + N)>>, Size) end}], fun() ->
        {ok, Blobs} = py:eval("peer.gathered('blob', [[n] for n in range(8)])"),
        ?assertEqual([binary:copy(<<($a + N)>>, Size) || N <- lists:seq(0, 7)], Blobs)
    end).
