#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `loop': coroutines are awaited by uvloop's loop, or the pool does not
%% start. The real one is used where it is installed.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"there is none: the pool says so", fun none/0},
        {"what cannot be imported", fun broken/0},
        {"another module of that name", fun another/0},
        {"asyncio's own is there without a word", fun default/0},
        {"no other value", fun wrong/0},
        {"the real one", fun real/0},
        {"the real one: await in init, contexts, streams, what is printed", fun uses/0},
        {"the real one: time is up", fun time_is_up/0},
        {"the real one: a loop that is held up", fun held_up/0},
        {"the real one: a forked child ends with its step", fun fork/0},
        {"the real one: the pool stops", fun stop/0}
    ])).

%% A pool for whose Python this is uvloop.
start_with(Code) ->
    Dir = fixture:tmpdir(),
    ok = file:write_file(filename:join(Dir, "uvloop.py"), Code),
    Started = start(#{python_path => [Dir, fixture:python_path()]}),
    ok = file:del_dir_r(Dir),
    Started.

start(More) ->
    Options = #{size => 1, loop => uvloop, interrupt_grace => 100, python_path => [fixture:python_path()],
                init => <<"import forks, waits, asyncio">>},
    py:start_pool(other, maps:merge(Options, More)).

call(Function, Args, Options) -> py:call(forks, Function, Args, #{}, Options#{pool => other}).
waits(Function, Args, Options) -> py:call(waits, Function, Args, #{}, Options#{pool => other}).

fails(Code, Text) ->
    {error, Reason} = start_with(Code),
    Said = unicode:characters_to_binary(io_lib:format("~tp", [Reason])),
    ?assertNotEqual({nomatch, Said}, {string:find(Said, Text), Said}).

none() ->
    fails("raise ModuleNotFoundError(\"No module named 'uvloop'\")",
          "loop => uvloop: ModuleNotFoundError: No module named 'uvloop'").

broken() ->
    fails("", "loop => uvloop: AttributeError: module 'uvloop' has no attribute 'new_event_loop'"),
    fails("1/0", "loop => uvloop: ZeroDivisionError").

another() ->
    {ok, _} = start_with("import asyncio\nclass Loop(asyncio.SelectorEventLoop): pass\nnew_event_loop = Loop\n"),
    ?assertEqual({ok, {<<"uvloop">>, true}}, call(loop, [], #{})),
    ?assertEqual({ok, {0, 6, <<"child ">>}}, call(fork, [none, 2], #{})),
    ok = py:stop_pool(other).

default() ->
    {ok, _} = start(#{loop => asyncio, init => <<"import sys">>}),
    ?assertEqual({ok, [false, false]},
                 py:eval("[name in sys.modules for name in ('uvloop', 'asyncio')]", #{}, #{pool => other})),
    {ok, {Module, true}} = call(loop, [], #{}),
    ?assertEqual(<<"asyncio.unix_events">>, Module),
    ok = py:stop_pool(other).

wrong() ->
    {error, {badarg, {option, loop, _}}} = start(#{loop => trio}).

%% ---------------------------------------------------------------------------

with_real(Fun) ->
    case py:eval("__import__('importlib.util').util.find_spec('uvloop') is None") of
        {ok, true} -> tap:skip("Python has no uvloop (Debian: python3-uvloop)");
        {ok, false} ->
            {ok, _} = start(#{}),
            try Fun() after py:stop_pool(other) end
    end.

real() ->
    with_real(fun() ->
        ?assertEqual({ok, {<<"uvloop">>, false}}, call(loop, [], #{})),
        Refs = [py:spawn_call(waits, echo, [N], #{seconds => 0.05}, #{pool => other}) || N <- lists:seq(1, 50)],
        ?assertEqual([{ok, N} || N <- lists:seq(1, 50)], [py:await(Ref) || Ref <- Refs])
    end).

uses() ->
    with_real(fun() ->
        ok = py:exec_all(<<"import asyncio\nasync def three(): return 3\nn = await three()">>, #{pool => other}),
        {ok, C} = py_context:open(#{pool => other}),
        ok = py:exec("async def said(n):\n    print(n)\n    yield n", #{}, #{context => C}),
        ?assertEqual({ok, 4}, py:eval("n + 1", #{}, #{pool => other})),
        ?assertEqual({ok, [7]}, py:stream('__main__', said, [7], #{}, #{context => C})),
        ?assertEqual({ok, 3, <<"three\n">>}, py:eval("await three() if print('three') is None else 0", #{},
                                                     #{pool => other, capture => true}))
    end).

time_is_up() ->
    with_real(fun() ->
        ?assertEqual({error, timeout}, waits(echo, [1, 60], #{timeout => 100})),
        Ref = py:spawn_call(waits, echo, [1, 60], #{}, #{pool => other}),
        fixture:wait_until(fun() -> [1] =:= [N || #{awaited := N} <- maps:get(workers, py:info(other))] end),
        ok = py:cancel(Ref),
        ?assertEqual({error, cancelled}, py:await(Ref)),
        fixture:wait_until(fun() -> [0] =:= [N || #{awaited := N} <- maps:get(workers, py:info(other))] end)
    end).

held_up() ->
    with_real(fun() ->
        Ref = py:spawn_call(waits, echo, [1, 60], #{}, #{pool => other}),
        ?assertEqual({error, timeout}, waits(block, [60], #{timeout => 100})),
        ?assertMatch({error, {worker_exit, {loop_blocked, <<_/binary>>}}}, py:await(Ref))
    end).

%% Nothing of what others have to do is done twice.
fork() ->
    with_real(fun() ->
        [?assertEqual({ok, {Code, 30, <<"child ">>}}, call(fork, [Exit, 10], #{}))
         || {Exit, Code} <- [{none, 0}, {7, 7}, {none, 0}]]
    end).

stop() ->
    with_real(fun() ->
        Ref = py:spawn_call(waits, echo, [1, 0.2], #{}, #{pool => other}),
        fixture:wait_until(fun() -> [1] =:= [N || #{awaited := N} <- maps:get(workers, py:info(other))] end),
        ok = py:stop_pool(other),
        ?assertEqual({ok, 1}, py:await(Ref))
    end).
