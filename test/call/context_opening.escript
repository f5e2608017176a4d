#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Who asks for a context by its name while it is being opened, and for whom a worker waits.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"a function that Python has called does not wait for one who waits for its worker", fun function/0},
        {"nor does one that would have the name", fun function_opens/0},
        {"an init that asks for its context by the name", fun itself/0},
        {"a copy of itself", fun copy_of_itself/0},
        {"who would have the name waits no longer than said, nor who copies the context", fun timeout/0},
        {"if it cannot be opened, who would have the name has it", fun next_owner/0}
    ])).

keepers() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_named, init, 1}].

openers() ->
    [Pid || Pid <- processes(), {links, [Keeper]} <- [process_info(Pid, links)], lists:member(Keeper, keepers())].

%% Ends its worker.
kill(Context) ->
    ?assertEqual({error, {worker_exit, {status, 3}}},
                 py:eval(<<"__import__('os')._exit(3)">>, #{}, #{context => Context})).

%% Another pool, of one worker; the test stops it, but for one that fails.
start_other(Options) ->
    _ = py:stop_pool(other),
    {ok, _} = py:start_pool(other, Options#{size => 1, python_path => [fixture:python_path()], init => <<"import wedge">>}),
    ok.

contexts() -> [N || #{contexts := N} <- fixture:workers(other)].

asks_keeper(Pid) -> process_info(Pid, current_function) =:= {current_function, {gen, do_call, 4}}.

%% Whoever asks first waits for the only worker, and that for a function that asks next.
function() ->
    ok = start_other(#{timeout => infinity}),
    {ok, C} = py_context:open(#{pool => other, name => cart, init => <<"def f(n): return 7 + n">>}),
    At = #{context => cart, pool => other},
    Self = self(),
    ok = py:register_function(in_cart, fun() ->
        Self ! {self(), begun},
        receive go_on -> ok end,
        py:eval(<<"f(1)">>, #{}, At)
    end),
    kill(C),
    Ref = py:spawn_call(builtins, eval, [<<"__import__('erlang').in_cart()">>], #{}, #{pool => other}),
    Function = receive {Pid, begun} -> Pid end,
    Waiter = spawn_link(fun() -> Self ! {self(), py:eval(<<"f(2)">>, #{}, At)} end),
    fixture:wait_until(fun() -> asks_keeper(Waiter) end),
    Function ! go_on,
    ?assertEqual({ok, {ok, 8}}, py:await(Ref, 30_000)),
    receive {Waiter, Result} -> ?assertEqual({ok, 9}, Result) after 30_000 -> error(not_woken) end,
    fixture:wait_until(fun() -> contexts() =:= [1] end),
    ?assertEqual(1, length(openers())),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> openers() =:= [] end),
    ok = py:unregister_function(in_cart),
    ok = py:stop_pool(other).

%% The first one who opens it waits for the only worker, and that for a function that would, too.
function_opens() ->
    ok = start_other(#{timeout => infinity}),
    Self = self(),
    Open = fun() -> element(1, py_context:open(#{pool => other, name => cart})) end,
    ok = py:register_function(opens, fun() -> Self ! {self(), begun}, receive go_on -> Open() end end),
    Ref = py:spawn_call(builtins, eval, [<<"__import__('erlang').opens()">>], #{}, #{pool => other}),
    Function = receive {Pid, begun} -> Pid end,
    First = spawn_link(fun() -> Self ! {self(), Open()}, receive stop -> ok end end),
    fixture:wait_until(fun() -> keepers() =/= [] andalso asks_keeper(First) end),
    Function ! go_on,
    ?assertEqual({ok, error}, py:await(Ref, 30_000)),
    receive {First, Result} -> ?assertEqual(ok, Result) after 30_000 -> error(not_woken) end,
    First ! stop,
    ok = py:unregister_function(opens),
    ok = py:stop_pool(other).

itself() ->
    ok = start_other(#{}),
    ok = py:register_function(ask, fun() -> element(1, py_context:find(other, cart)) =:= ok end),
    Open = fun(Init) -> py_context:open(#{pool => other, name => cart, init => Init}) end,
    ?assertMatch({error, {init, 1, {'AssertionError', _, _}}}, Open(<<"assert erlang.ask()">>)),
    fixture:wait_until(fun() -> keepers() =:= [] andalso openers() =:= [] end),
    fixture:wait_until(fun() -> contexts() =:= [0] end),
    ok = py:unregister_function(ask),
    ok = py:stop_pool(other).

copy_of_itself() ->
    ok = start_other(#{timeout => infinity}),
    Open = fun(Name, From) -> py_context:open(#{pool => other, name => Name, from => From}) end,
    ?assertEqual({error, {no_context, cart}}, Open(cart, cart)),
    {ok, A} = py_context:open(#{pool => other, name => a}),
    {ok, B} = Open(b, a),
    ok = py_context:close(A),
    {ok, _} = Open(a, b),
    kill(B),
    [?assertEqual({error, {no_context, Name}}, py_context:find(other, Name)) || Name <- [a, b]],
    ok = py:stop_pool(other).

timeout() ->
    ok = start_other(#{}),
    Held = fixture:hold(#{pool => other}),
    Owner = spawn(fun() -> _ = py_context:open(#{pool => other, name => cart}), receive stop -> ok end end),
    fixture:wait_until(fun() -> keepers() =/= [] end),
    Soon = #{pool => other, timeout => 50},
    ?assertEqual({error, timeout}, py_context:open(Soon#{name => cart})),
    ?assertEqual({error, timeout}, py_context:open(#{from => cart, pool => other, timeout => 50})),
    {ok, _} = fixture:release(Held),
    {ok, C} = py_context:find(other, cart),
    kill(C),
    Again = fixture:hold(#{pool => other}),
    ?assertEqual({error, timeout}, py_context:open(#{from => C, timeout => 50})),
    {ok, _} = fixture:release(Again),
    Owner ! stop,
    ok = py:stop_pool(other).

%% Those who wait meanwhile may have other options.
next_owner() ->
    ok = start_other(#{}),
    Self = self(),
    ok = py:register_function(begun, fun() -> Self ! {self(), begun}, receive go_on -> ok end end),
    Open = fun(Init) -> spawn_link(fun() -> Self ! {self(), py_context:open(#{pool => other, name => cart, init => Init})},
                                            receive stop -> ok end end) end,
    First = Open(<<"erlang.begun()\n1/0">>),
    Function = receive {Pid, begun} -> Pid end,
    Next = Open(<<"x = 1">>),
    fixture:wait_until(fun() -> asks_keeper(Next) end),
    Function ! go_on,
    receive {First, Failed} -> ?assertMatch({error, {init, 1, {'ZeroDivisionError', _, _}}}, Failed) end,
    receive {Next, Opened} -> ?assertMatch({ok, _}, Opened) end,
    ?assertEqual({ok, 1}, py:eval(<<"x">>, #{}, #{context => cart, pool => other})),
    [It ! stop || It <- [First, Next]],
    ok = py:unregister_function(begun),
    ok = py:stop_pool(other).
