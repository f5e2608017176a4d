#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: coroutines. The cases have the names that they have in erlang_python's py_async_call_test,
%% py_async_task_SUITE, py_async_e2e_SUITE, py_erlang_sleep_SUITE and py_SUITE. What are functions of
%% their own there (async_call, create_task, run, spawn_task) is spawn_call, call and cast here.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import asyncio, peer">>}, [calls(), tasks(), errors(), names(), loops()])).

calls() ->
    [{"async_call_returns_ref, async_await_returns_result", fun async_call_returns_ref/0},
     {"async_await_handles_error, invalid_module", fails('ModuleNotFoundError', nonexistent_module_xyz, some_func, [])},
     {"multiple_async_calls", fun multiple_async_calls/0},
     {"asyncio_gather", fun asyncio_gather/0}].

tasks() ->
    [{"submit_task, math_sqrt", awaited(5.0, math, sqrt, [25.0])},
     {"create_task_await", awaited(1024.0, math, pow, [2.0, 10.0])},
     {"run_sync", fun() -> ?assertEqual({ok, 3}, py:call(math, floor, [3.7], #{}, #{timeout => 1000})) end},
     {"spawn_task", fun spawn_task/0},
     {"async_coroutine, async_with_args", awaited([1, <<"two">>], peer, slept, [0.001, [1, <<"two">>]])},
     {"async_sleep", fun async_sleep/0},
     {"concurrent_tasks", fun concurrent_tasks/0},
     {"batch_tasks", fun batch_tasks/0},
     {"interleaved_sync_async", fun interleaved_sync_async/0},
     {"large_result", awaited(lists:seq(0, 9999), peer, slept, [0, lists:seq(0, 9999)])},
     {"nested_data", awaited(#{<<"a">> => [1, 2, 3], <<"b">> => #{<<"c">> => 4}}, json, loads,
                             [<<"{\"a\": [1, 2, 3], \"b\": {\"c\": 4}}">>])},
     {"thread_local_event_loop", awaited(true, peer, loops, [])}].

errors() ->
    [{"async_error", fails('ValueError', math, sqrt, [-1.0])},
     {"invalid_function", fails('AttributeError', math, nonexistent_function_xyz, [])},
     {"timeout", fun timeout/0}].

names() ->
    [{"process_namespace_exec, process_namespace_eval", fun process_namespace_eval/0},
     {"process_namespace_async_func, process_namespace_reentrant", fun process_namespace_async_func/0},
     {"process_namespace_isolation", fun process_namespace_isolation/0}].

loops() ->
    [{"asyncio_sleep, erlang_asyncio_create_task", awaited([false, 7], peer, later, [7])},
     {"asyncio_gather, erlang_asyncio_gather", awaited([1, 2, 3], peer, together, [[1, 2, 3]])},
     {"erlang_asyncio_wait_for", awaited(<<"slept">>, peer, in_time, [0.001, 10])},
     {"erlang_asyncio_wait_for: late", awaited(<<"late">>, peer, in_time, [10, 0.01])},
     {"erlang_asyncio_module: run", fun in_run/0},
     {"asyncio_tcp_echo", awaited([<<"re:hello">>], peer, echo_all, [[{bytes, <<"hello">>}]])},
     {"asyncio_concurrent_tcp", awaited([<<"re:1">>, <<"re:2">>, <<"re:3">>], peer, echo_all,
                                        [[{bytes, B} || B <- [<<"1">>, <<"2">>, <<"3">>]]])}].

awaited(Value, M, F, Args) -> fun() -> ?assertEqual({ok, Value}, py:await(py:spawn_call(M, F, Args))) end.

fails(Class, M, F, Args) -> fun() -> ?assertMatch({error, {Class, _}}, py:await(py:spawn_call(M, F, Args))) end.

%% ---------------------------------------------------------------------------

async_call_returns_ref() ->
    Ref = py:spawn_call(asyncio, sleep, [0.001]),
    ?assert(is_reference(Ref)),
    ?assertEqual({ok, none}, py:await(Ref)).

multiple_async_calls() ->
    Refs = [py:spawn_call(asyncio, sleep, [0.001 * N, N]) || N <- lists:seq(1, 5)],
    ?assertEqual([{ok, N} || N <- lists:seq(1, 5)], [py:await(Ref) || Ref <- Refs]).

asyncio_gather() ->
    ?assertEqual({ok, [4.0, 5.0, 6.0]}, py:parallel([{math, sqrt, [N]} || N <- [16, 25, 36]])),
    ?assertEqual({ok, [1, 2]}, py:parallel([{peer, slept, [0.001, N]} || N <- [1, 2]])).

spawn_task() ->
    Message = {<<"spawned">>, 1},
    ok = py:cast(erlang, send, [self(), Message]),
    receive Message -> ok end.

async_sleep() ->
    [?assertEqual({ok, N}, py:call(peer, slept, [0.001, N])) || N <- lists:seq(1, 10)].

concurrent_tasks() ->
    Self = self(),
    Expected = [{ok, N} || N <- lists:seq(1, 5)],
    Task = fun() -> [py:await(py:spawn_call(peer, slept, [0.001, N])) || N <- lists:seq(1, 5)] end,
    Pids = [spawn_link(fun() -> Self ! {self(), Task()} end) || _ <- lists:seq(1, 10)],
    [receive {Pid, Results} -> ?assertEqual(Expected, Results) end || Pid <- Pids].

batch_tasks() ->
    Refs = [py:spawn_call(peer, slept, [0.001, N]) || N <- lists:seq(1, 100)],
    ?assertEqual([{ok, N} || N <- lists:seq(1, 100)], [py:await(Ref) || Ref <- Refs]).

interleaved_sync_async() ->
    Refs = [py:spawn_call(operator, add, [1, 2]), py:spawn_call(peer, slept, [0.01, 0]),
            py:spawn_call(operator, mul, [5, 6]), py:spawn_call(math, sqrt, [64.0])],
    ?assertEqual([{ok, 3}, {ok, 0}, {ok, 30}, {ok, 8.0}], [py:await(Ref) || Ref <- Refs]).

%% await has a time limit of its own, and so has the call.
timeout() ->
    ?assertEqual({error, timeout}, py:await(py:spawn_call(peer, slept, [60, 1]), 50)),
    ?assertEqual({error, timeout}, py:call(peer, slept, [60, 1], #{}, 50)),
    ?assertEqual({ok, 1}, py:call(peer, slept, [0, 1])).

%% ---------------------------------------------------------------------------

process_namespace_eval() ->
    ok = py:exec("a = 10"),
    ok = py:exec("b = a * 2"),
    ?assertEqual([{ok, 10}, {ok, 20}, {ok, 30}], [py:eval(Code) || Code <- ["a", "b", "a + b"]]).

process_namespace_async_func() ->
    ok = py:exec("shared = 100\nasync def double(x):\n    await asyncio.sleep(0)\n    return 2 * x\n"
                 "async def use_shared():\n    return shared + await double(10) + 3"),
    ?assertEqual({ok, 42}, py:await(py:spawn_call('__main__', double, [21]))),
    ?assertEqual({ok, 123}, py:await(py:spawn_call('__main__', use_shared, []))).

%% Only what is in a context is seen by nobody else.
process_namespace_isolation() ->
    Call = fun(C) -> py:call('__main__', mine, [], #{}, #{context => C}) end,
    Define = fun(C, Name) -> py:exec(["async def mine(): return '", Name, "'"], #{context => C}) end,
    py_context:with(fun(Parent) ->
        ok = Define(Parent, "parent"),
        ?assertEqual({ok, <<"child">>}, py_context:with(fun(Child) ->
            ?assertMatch({error, {'AttributeError', _}}, Call(Child)),
            ok = Define(Child, "child"),
            Call(Child)
        end)),
        ?assertEqual({ok, <<"parent">>}, Call(Parent))
    end).

%% A loop of one's own in an ordinary call.
in_run() ->
    ?assertEqual({ok, [2, 4, 6]}, py:eval("asyncio.run(peer.together([2, 4, 6]))")),
    ?assertEqual({ok, 1}, py:eval("asyncio.new_event_loop().run_until_complete(peer.slept(0.001, 1))")).
