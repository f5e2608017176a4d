#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Functions of Erlang's that coroutines call without holding up their loop.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import waits">>}, [
        {"values, errors, functions that are not there", fun values/0},
        {"many at once, and each gets its own", fun many/0},
        {"the loop and ordinary calls go on meanwhile", fun beside/0},
        {"a function may ask the same worker", fun same_worker/0},
        {"a fun that came as an argument", fun funs/0},
        {"erlang.self is who has called this coroutine", fun who/0},
        {"whoever gives up ends the function", fun gives_up/0},
        {"so do a cancel, a deadline and the death of the caller", fun ends/0},
        {"from asyncio.run in an ordinary call", fun in_run/0},
        {"without a connection, and without anybody who answers", fun nobody/0}
    ])).

call(Function, Args) -> py:call(waits, Function, Args).

with_function(Function, Fun) ->
    ok = py:register_function(f, Function),
    Result = Fun(),
    ok = py:unregister_function(f),
    Result.

values() ->
    with_function(fun(X) -> {X, 1} end, fun() ->
        ?assertEqual({ok, {<<"tea">>, 1}}, call(ask, [f, <<"tea">>]))
    end),
    with_function(fun(X, #{<<"more">> := Y}) -> X + Y end, fun() ->
        ?assertEqual({ok, 3}, py:call(waits, ask, [f, 1], #{more => 2}))
    end),
    with_function(fun() -> throw(oops) end, fun() ->
        ?assertEqual({ok, [throw, oops]}, call(ask_carefully, [f])),
        ?assertMatch({error, {'erlang.Error', <<"throw: oops">>}}, call(ask, [f]))
    end),
    ?assertMatch({ok, [error, undef]}, call(ask_carefully, [no_such_function])),
    ?assertMatch({error, {'TypeError', <<"args", _/binary>>}}, py:eval("await waits.ask('f', object())")).

many() ->
    with_function(fun(N) -> timer:sleep(rand:uniform(50)), 10 * N end, fun() ->
        Refs = [py:spawn_call(waits, ask_all, [f, 100]) || _ <- lists:seq(1, 5)],
        [?assertEqual({ok, [10 * N || N <- lists:seq(0, 99)]}, py:await(Ref)) || Ref <- Refs]
    end).

beside() ->
    with_function(fun() -> receive after 500 -> done end end, fun() ->
        Ref = py:spawn_call(waits, ask, [f]),
        {_, {ok, 1}} = figure:within(200, fun() -> call(echo, [1]) end),
        {_, {ok, 2}} = figure:within(200, fun() -> py:eval("2") end),
        ?assertEqual({ok, done}, py:await(Ref))
    end).

same_worker() ->
    with_function(fun(X) -> {ok, V} = call(echo, [X]), {ok, W} = py:eval("2"), V * W end, fun() ->
        ?assertEqual({ok, 8}, call(ask, [f, 4]))
    end).

funs() ->
    Refs = [py:spawn_call(waits, apply, [fun(X) -> N * X end, 2]) || N <- lists:seq(1, 20)],
    ?assertEqual({ok, 1}, call(echo, [1])),
    [?assertEqual({ok, [2 * N, 2 * N]}, py:await(Ref)) || {N, Ref} <- lists:enumerate(Refs)].

who() ->
    Self = self(),
    Others = [spawn_monitor(fun() -> {ok, [Pid, Pid]} = call(who, []), Pid = self() end) || _ <- lists:seq(1, 10)],
    {_, {ok, [Self, Self]}} = {py:eval("1"), call(who, [])},
    [receive {'DOWN', Monitor, process, Pid, Why} -> ?assertEqual(normal, Why) end || {Pid, Monitor} <- Others].

%% The function says that it has begun, and who it is.
slow() ->
    Self = self(),
    fun() -> Self ! {begun, self()}, timer:sleep(60_000) end.

begun() -> receive {begun, Pid} -> monitor(process, Pid) after 5_000 -> error(not_begun) end.
ended(Monitor) -> receive {'DOWN', Monitor, process, _, _} -> ok after 5_000 -> error(not_ended) end.

gives_up() ->
    with_function(slow(), fun() ->
        Ref = py:spawn_call(waits, ask_briefly, [f]),
        Monitor = begun(),
        ended(Monitor),
        ?assertEqual({ok, <<"too late">>}, py:await(Ref))
    end).

ends() ->
    with_function(slow(), fun() ->
        Ref = py:spawn_call(waits, ask, [f]),
        Cancelled = begun(),
        ok = py:cancel(Ref),
        ended(Cancelled),
        ?assertEqual({error, cancelled}, py:await(Ref)),
        ?assertEqual({error, timeout}, py:call(waits, ask, [f], #{}, 100)),
        ended(begun()),
        Pid = spawn(fun() -> call(ask, [f]) end),
        Dead = begun(),
        exit(Pid, kill),
        ended(Dead),
        ?assertEqual({ok, 1}, call(echo, [1]))
    end).

in_run() ->
    with_function(fun(X) -> X + 1 end, fun() ->
        [?assertEqual({ok, N + 1}, call(ask_in_run, [f, N])) || N <- lists:seq(1, 20)]
    end).

nobody() ->
    Port = raw:open(["--concurrency", "10"]),
    ok = raw:ask(Port, {exec, <<"import erlang">>}),
    raw:send(Port, {1, {eval, <<"await erlang.call_async('f')">>, #{}}}),
    {1, awaiting} = raw:recv(Port),
    ?assertEqual({1, {error, {<<"erlang.SendError">>, <<"Erlang answers no calls here">>}}}, raw:recv(Port)),
    ok = raw:ask(Port, {listen, false, 0, true, true}),
    raw:send(Port, {2, {eval, <<"await erlang.call_async('f', 1, a=2)">>, #{}}}),
    {2, awaiting} = raw:recv(Port),
    {call, Id, 2, 0, <<"f">>, [1], #{<<"a">> := 2}} = raw:recv(Port),
    raw:send(Port, {reply, Id, {ok, 7}}),
    ?assertEqual({2, {ok, 7}}, raw:recv(Port)),
    raw:send(Port, {3, {eval, <<"await erlang.call_async('f')">>, #{}}}),
    {3, awaiting} = raw:recv(Port),
    {call, Given, 3, 0, <<"f">>, [], _} = raw:recv(Port),
    raw:send(Port, {cancel, 3}),
    ?assertEqual([{3, awaiting}, {event, withdraw, Given}, {3, {error, cancelled}}],
                 [raw:recv(Port) || _ <- lists:seq(1, 3)]),
    raw:send(Port, {reply, Given, {ok, late}}),
    ?assertEqual({ok, 1}, raw:ask(Port, {eval, <<"1">>, #{}})),
    raw:close(Port).
