#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: functions of Erlang's that ask Python again. The cases have the names that they have in
%% erlang_python's py_reentrant_SUITE and py_schedule_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import peer">>}, [
        {"basic_reentrant", fun basic_reentrant/0},
        {"nested_callbacks", fun nested_callbacks/0},
        {"nested_callbacks by call", fun nested_calls/0},
        {"callback_error_propagation", fun callback_error_propagation/0},
        {"concurrent_reentrant", fun concurrent_reentrant/0},
        {"callback_with_complex_types", fun callback_with_complex_types/0},
        {"multiple_sequential_callbacks", fun multiple_sequential_callbacks/0},
        {"call_from_non_worker_thread", fun call_from_non_worker_thread/0},
        {"callback_with_try_except", fun callback_with_try_except/0},
        {"async_call", fun async_call/0},
        {"callback_name_registry", fun callback_name_registry/0},
        {"call_is_blocking", fun call_is_blocking/0}
    ])).

register_all(Functions) ->
    [ok = py:register_function(Name, Function) || {Name, Function} <- Functions].

basic_reentrant() ->
    ok = py:register_function(double_via_python, fun(X) -> {ok, Y} = py:eval("x * 2", #{x => X}), Y end),
    ?assertEqual({ok, 21}, py:eval("erlang.call('double_via_python', 10) + 1")).

nested_callbacks() ->
    ok = py:register_function(call_level, fun(N, N) -> N;
                                             (Level, N) ->
        {ok, Value} = py:eval("erlang.call('call_level', level, n)", #{level => Level + 1, n => N}),
        Value
    end),
    [?assertEqual({ok, N}, py:eval("erlang.call('call_level', 1, n)", #{n => N})) || N <- [3, 5, 10]].

nested_calls() ->
    ok = py:register_function(step, fun(N, Depth) -> {ok, V} = py:call(peer, down, [N + 1, Depth - 1]), V end),
    [?assertEqual({ok, N}, py:call(peer, down, [0, N])) || N <- [1, 3, 5, 10]].

callback_error_propagation() ->
    ok = py:register_function(may_fail, fun(true) -> error(intentional_error); (false) -> <<"success">> end),
    ?assertEqual({ok, <<"success">>}, py:eval("erlang.call('may_fail', False)")),
    ?assertEqual({error, {'erlang.Error', <<"error: intentional_error">>}}, py:eval("erlang.call('may_fail', True)")).

concurrent_reentrant() ->
    ok = py:register_function(triple, fun(X) -> {ok, Y} = py:eval("x * 3", #{x => X}), Y end),
    Self = self(),
    [spawn_link(fun() -> Self ! {N, py:eval("erlang.call('triple', n)", #{n => 10 * N})} end) || N <- lists:seq(1, 10)],
    [receive {N, Result} -> ?assertEqual({ok, 30 * N}, Result) end || N <- lists:seq(1, 10)].

callback_with_complex_types() ->
    ok = py:register_function(transform, fun(#{<<"items">> := Items, <<"count">> := Count}) ->
        #{<<"items">> => lists:reverse(Items), <<"count">> => 2 * Count, <<"processed">> => true}
    end),
    ?assertEqual({ok, #{<<"items">> => [3, 2, 1], <<"count">> => 10, <<"processed">> => true}},
                 py:eval("erlang.call('transform', {'items': [1, 2, 3], 'count': 5})")).

%% One of them asks Python itself.
multiple_sequential_callbacks() ->
    register_all([{add_ten, fun(X) -> X + 10 end}, {multiply_by_two, fun(X) -> 2 * X end},
                  {subtract_five, fun(X) -> {ok, Y} = py:call(operator, sub, [X, 5]), Y end}]),
    [?assertEqual({ok, (N + 10) * 2 - 5}, py:call(peer, chain, [N])) || N <- [5, 10, 0]].

call_from_non_worker_thread() ->
    ok = py:register_function(simple_add, fun(A, B) -> A + B end),
    ?assertEqual({ok, [3]}, py:eval("peer.pooled(1, [2], lambda n: erlang.call('simple_add', 1, n))")).

%% No exception is used to wait, so nobody can catch it.
callback_with_try_except() ->
    Values = #{<<"a">> => 1, <<"b">> => 2, <<"c">> => 3},
    ok = py:register_function(get_value, fun(Key) -> {ok, V} = py:eval("v", #{v => maps:get(Key, Values)}), V end),
    ?assertEqual({ok, 1}, py:call(peer, careful, [<<"a">>])),
    ?assertEqual({ok, 2}, py:call(peer, very_careful, [<<"b">>])),
    ?assertEqual({ok, [1, <<"a">>]}, py:call(peer, cleans_up, [<<"a">>])),
    ?assertEqual({ok, 3}, py:call(peer, layers, [<<"c">>, 3])),
    ?assertEqual({ok, <<"Exception">>}, py:call(peer, careful, [<<"d">>])).

async_call() ->
    ok = py:register_function(async_multiply, fun(X, Y) -> X * Y end),
    ?assertEqual({ok, [42]}, py:eval("peer.gathered('async_multiply', [(6, 7)])")),
    ?assertEqual({ok, [6, 20, 42]}, py:eval("peer.gathered('async_multiply', [(2, 3), (4, 5), (6, 7)])")),
    ?assertEqual({ok, 42}, py:eval("await erlang.call_async('async_multiply', 6, 7)")).

%% What Python has looked up once is looked up by each call, and not as an attribute.
callback_name_registry() ->
    Has = fun() -> py:eval("hasattr(erlang, 'registered_here')") end,
    ?assertEqual({ok, false}, Has()),
    ok = py:register_function(registered_here, fun(X) -> 2 * X end),
    ?assertEqual({ok, true}, Has()),
    ?assertEqual({ok, [10, 20]}, py:eval("[erlang.registered_here(5), erlang.call('registered_here', 10)]")),
    ok = py:unregister_function(registered_here),
    ?assertEqual({error, {'erlang.Error', <<"there is no function 'registered_here'">>}},
                 py:eval("erlang.registered_here(5)")).

call_is_blocking() ->
    ok = py:register_function(slowly, fun() -> timer:sleep(20), {ok, _} = py:eval("1"), none end),
    ?assertEqual({ok, 1}, py:call(peer, runs_once, [])).
