#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: state that is shared. The cases have the names that they have in erlang_python's
%% py_SUITE (shared_state, and shared_dict for what is a dict of its own there) and py_state_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Env = #{state => write, state_limits => #{keys => 1000}},
    tap:run(fixture:with_app(Env, [
        {"shared_state", fun shared_state/0},
        {"shared_state: counters", fun counters/0},
        {"cap_enforced", fun cap_enforced/0},
        {"cap_accounting", fun cap_accounting/0},
        {"shared_dict_basic, shared_dict_python_access", fun shared_dict_basic/0},
        {"shared_dict_types", fun shared_dict_types/0},
        {"shared_dict_process_death", fun shared_dict_process_death/0},
        {"shared_dict_concurrent_same_key", fun concurrent_same_key/0},
        {"shared_dict_concurrent_different_keys", fun concurrent_different_keys/0}
    ])).

shared_state() ->
    ok = py_state:put(<<"test_key">>, #{value => 42}),
    ?assertEqual({ok, #{value => 42}}, py_state:get(<<"test_key">>)),
    ok = py:exec("erlang.state['python_key'] = {'message': 'hello', 'numbers': [1, 2, 3]}"),
    ?assertEqual({ok, #{<<"message">> => <<"hello">>, <<"numbers">> => [1, 2, 3]}}, py_state:get(<<"python_key">>)),
    ?assertEqual({ok, {42, [<<"python_key">>, <<"test_key">>]}},
                 py:eval("(erlang.state['test_key']['value'], list(erlang.state.keys()))")),
    ok = py:exec("del erlang.state['python_key']"),
    ?assertEqual({error, {no_key, <<"python_key">>}}, py_state:get(<<"python_key">>)),
    ?assertEqual({ok, 1}, py_state:clear()),
    ?assertEqual({ok, []}, py_state:keys()).

counters() ->
    ?assertEqual([{ok, N} || N <- [1, 2, 12, 11, 6]], [py_state:increment(<<"counter">>, By) || By <- [1, 1, 10, -1, -5]]),
    ?assertEqual({ok, [1, 6, 5, 2]}, py:eval("[erlang.state.increment('py_counter', by) for by in (1, 5, -1, -3)]")),
    ?assertEqual({ok, 2}, py_state:get(<<"py_counter">>)),
    {ok, 2} = py_state:clear().

%% ---------------------------------------------------------------------------

cap_enforced() ->
    [ok = py_state:put({k, N}, N) || N <- lists:seq(1, 1000)],
    Full = {error, {overloaded, state_keys, 1000}},
    ?assertEqual(Full, py_state:put({k, 1001}, 1)),
    ?assertEqual(ok, py_state:put({k, 3}, 30)),
    ?assertEqual({ok, 30}, py_state:get({k, 3})),
    ?assertEqual(Full, py_state:increment(another)),
    ?assertMatch({error, {'erlang.Error', _}}, py:exec("erlang.state['k'] = 1")).

cap_accounting() ->
    [ok = py_state:delete(missing) || _ <- lists:seq(1, 10)],
    ?assertEqual({error, {overloaded, state_keys, 1000}}, py_state:put(d, 4)),
    ok = py_state:delete({k, 1}),
    ?assertEqual(ok, py_state:put(d, 4)),
    ?assertEqual({error, {overloaded, state_keys, 1000}}, py_state:put(e, 5)),
    ?assertEqual({ok, 1000}, py_state:clear()),
    ?assertMatch(#{keys := 0, bytes := 0}, py_state:info()).

%% ---------------------------------------------------------------------------

shared_dict_basic() ->
    ok = py:exec("erlang.state['a'] = 1"),
    ?assertEqual({ok, {1, 2, true, false}},
                 py:eval("(erlang.state['a'], erlang.state.get('b', 2), 'a' in erlang.state, 'b' in erlang.state)")),
    ?assertEqual({error, {'KeyError', <<"'b'">>}}, py:eval("erlang.state['b']")),
    ?assertEqual({ok, 1}, py:eval("erlang.state.pop('a')")),
    ?assertEqual({error, {no_key, <<"a">>}}, py_state:get(<<"a">>)).

shared_dict_types() ->
    Values = "[1, 2**70, 1.5, 'text', b'bytes', None, True, [1, [2]], (1, 2), {'a': {'b': 1}}]",
    ok = py:exec(["for n, value in enumerate(", Values, "): erlang.state[n] = value"]),
    ?assertEqual({ok, true}, py:eval(["[erlang.state[n] for n in range(10)] == ", Values])),
    ?assertEqual({ok, #{<<"a">> => #{<<"b">> => 1}}}, py_state:get(9)).

%% It belongs to nobody.
shared_dict_process_death() ->
    {Pid, Ref} = spawn_monitor(fun() -> ok = py_state:put(left, 1) end),
    receive {'DOWN', Ref, process, Pid, normal} -> ok end,
    ?assertEqual({ok, 1}, py_state:get(left)).

concurrent_same_key() ->
    ok = py:exec_all("def twenty():\n    for _ in range(20):\n        erlang.state.change('shared', lambda n: n + 1, 0)"),
    Refs = [py:spawn_call('__main__', twenty, [], #{}, #{pool => {default, Id}}) || Id <- [1, 2, 1, 2]],
    [{ok, _} = py_state:update(<<"shared">>, fun(N) -> N + 1 end, 0) || _ <- lists:seq(1, 20)],
    ?assertEqual([{ok, none}], lists:usort([py:await(Ref) || Ref <- Refs])),
    ?assertEqual({ok, 100}, py_state:get(<<"shared">>)).

concurrent_different_keys() ->
    ok = py:exec_all("def own(key):\n    for n in range(20):\n        erlang.state[key] = n\n    return erlang.state[key]"),
    Refs = [py:spawn_call('__main__', own, [{own, Key}]) || Key <- lists:seq(1, 8)],
    ?assertEqual([{ok, 19}], lists:usort([py:await(Ref) || Ref <- Refs])),
    ?assertEqual([{ok, 19}], lists:usort([py_state:get({own, Key}) || Key <- lists:seq(1, 8)])).
