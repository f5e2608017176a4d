#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: objects that stay in Python, which are handles here. The cases have the names that they have
%% in erlang_python's py_ref_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        {"is_ref", fun is_ref/0},
        {"call_method", fun call_method/0},
        {"getattr", fun getattr/0},
        {"to_term", fun to_term/0},
        {"ref_gc", fun ref_gc/0},
        {"multiple_refs", fun multiple_refs/0}
    ])).

kept(Code) -> kept(Code, default).

kept(Code, Pool) ->
    {ok, Handle} = py:eval(Code, #{}, #{pool => Pool, return => handle}),
    Handle.

%% Only what a call has returned as one is a handle.
is_ref() ->
    [?assertError(badarg, py_handle:value(Term)) || Term <- [123, <<"hello">>, [1, 2, 3], #{a => 1}, make_ref()]],
    ?assertEqual({ok, [1]}, py_handle:value(kept("[1]"))).

call_method() ->
    List = kept("[1, 2, 3]"),
    ?assertEqual({ok, 3}, py_handle:len(List)),
    ?assertEqual({ok, none}, py:call(List, append, [4])),
    ?assertEqual({ok, 10}, py:call(builtins, sum, [List])),
    Text = kept("'hello world'"),
    ?assertEqual({ok, <<"HELLO WORLD">>}, py:call(Text, upper, [])),
    ?assertEqual({ok, true}, py:call(Text, startswith, [<<"hello">>])).

getattr() ->
    Object = kept("__import__('types').SimpleNamespace(name='test', value=42)"),
    ?assertEqual([{ok, <<"test">>}, {ok, 42}], [py_handle:get(Object, Name) || Name <- [name, value]]),
    ?assertMatch({error, {'AttributeError', _}}, py_handle:get(Object, nothing)).

to_term() ->
    [?assertEqual({ok, Value}, py_handle:value(kept(Code)))
     || {Code, Value} <- [{"[1, 2, 3]", [1, 2, 3]}, {"'hello'", <<"hello">>}, {"42", 42}, {"3.14", 3.14}]].

%% Not the garbage collector but the owner's end, or release, lets Python forget the object.
ref_gc() ->
    {Pid, Ref} = spawn_monitor(fun() -> [kept("[1, 2, 3] * 100") || _ <- lists:seq(1, 100)], exit(done) end),
    receive {'DOWN', Ref, process, Pid, done} -> ok end,
    One = kept("[1]"),
    ok = py_handle:release(One),
    fixture:wait_until(fun() -> lists:all(fun(#{handles := N}) -> N =:= 0 end, fixture:workers()) end),
    ?assertMatch({error, {badarg, _}}, py_handle:value(One)),
    ?assertEqual({ok, 4.0}, py:call(math, sqrt, [16])).

multiple_refs() ->
    [One, Two] = [kept(["'from worker ", integer_to_list(Id), "'"], {default, Id}) || Id <- [1, 2]],
    ?assertEqual([{ok, <<"from worker 1">>}, {ok, <<"from worker 2">>}], [py_handle:value(H) || H <- [One, Two]]),
    ?assertEqual([{ok, 1}, {ok, 2}], [py:eval("h and erlang.worker()", #{h => H}) || H <- [One, Two]]),
    ?assertMatch({error, {badarg, _}}, py:call(operator, add, [One, Two])).
