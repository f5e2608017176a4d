#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Memory that comes back: freed blocks that malloc keeps go to the kernel when
%% they are trimmed, whatever the worker does meanwhile.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import ctypes, gc, wedge\n", (code())/binary>>}, [
        {"200 MB of small freed blocks", 120_000, fun blocks/0},
        {"while Python is busy", 120_000, fun() -> busy(loop) end},
        {"while C code holds the GIL", 120_000, fun() -> busy(keep_gil) end},
        {"cycles that hold blocks: gc with trim", 120_000, fun cycles/0},
        {"gc with trim of a pool, of a worker, of each", fun shapes/0},
        {"trim of a pool, of a worker, of each", fun targets/0},
        {"options that are none", fun options/0},
        {"nothing to give back", fun nothing/0}
    ])).

%% The last block is kept, and lies above the others: malloc by itself gives only
%% the end of its memory back.
code() ->
    <<"def fill(n):\n"
      "    global blocks, pin\n"
      "    blocks = [bytearray(1000) for _ in range(n)]\n"
      "    pin = [bytearray(1000) for _ in range(10)]\n"
      "def free():\n"
      "    blocks.clear()\n"
      "class Node: pass\n"
      "def ring(n):\n"
      "    global pin\n"
      "    for _ in range(n):\n"
      "        node = Node()\n"
      "        node.me, node.block = node, bytearray(1000)\n"
      "    del node\n"
      "    pin = [bytearray(1000) for _ in range(10)]\n">>.

rss() ->
    {ok, #{rss := Rss}} = py:memory_stats({default, worker()}),
    Rss.

%% This process stays with one worker, because it has used exec.
worker() ->
    ok = py:exec(<<"import os">>),
    {ok, OsPid} = py:eval(<<"os.getpid()">>),
    [Id] = [Id || #{id := Id, os_pid := P} <- fixture:workers(), P =:= OsPid],
    Id.

fill_and_free() ->
    _ = worker(),
    {ok, none} = py:call('__main__', fill, [200_000]),
    {ok, none} = py:call('__main__', free, []).

blocks() ->
    fixture:unless_sanitized(),
    Before = rss(),
    fill_and_free(),
    Kept = rss(),
    ?assert(Kept - Before > 180 * ?MB),
    {ok, Bytes} = py:trim({default, worker()}),
    Left = rss(),
    tap:note("~b MB before, ~b freed, ~b trimmed, ~b returned",
             [N div ?MB || N <- [Before, Kept, Left, Bytes]]),
    ?assert(Bytes > 180 * ?MB),
    ?assert(abs(Kept - Left - Bytes) < 5 * ?MB).

busy(How) ->
    fixture:unless_sanitized(),
    fill_and_free(),
    File = filename:join(fixture:tmpdir(), "started"),
    Worker = worker(),
    Ref = py:spawn_call(wedge, How, [list_to_binary(File)]),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    {ok, Bytes} = py:trim({default, Worker}),
    ok = py:cancel(Ref),
    ?assert(Bytes > 180 * ?MB).

cycles() ->
    fixture:unless_sanitized(),
    _ = worker(),
    {ok, none} = py:eval(<<"gc.disable()">>),
    {ok, none} = py:call('__main__', ring, [100_000]),
    {ok, Both} = py:gc({default, worker()}, #{trim => true}),
    {ok, none} = py:eval(<<"gc.enable()">>),
    #{collected := Found, returned := Bytes} = Both,
    tap:note("~b objects, ~b MB", [Found, Bytes div ?MB]),
    ?assert(Found >= 100_000 andalso Bytes > 80 * ?MB).

shapes() ->
    IsBoth = fun({ok, #{collected := N, returned := Bytes} = Map}) ->
                     map_size(Map) =:= 2 andalso N >= 0 andalso Bytes >= 0
             end,
    Options = #{trim => true, generation => 1},
    ?assert(IsBoth(py:gc(default, Options))),
    ?assert(IsBoth(py:gc({default, 2}, Options))),
    {ok, [{1, One}, {2, Two}]} = py:gc({default, all}, Options),
    ?assert(IsBoth(One) andalso IsBoth(Two)),
    ?assertMatch({ok, N} when is_integer(N), py:gc(default, #{generation => 0})),
    ?assertEqual({error, {no_pool, nowhere}}, py:gc(nowhere, Options)).

targets() ->
    ?assertMatch({ok, N} when N >= 0, py:trim()),
    ?assertMatch({ok, N} when N >= 0, py:trim({default, 1})),
    ?assertMatch({ok, [{1, {ok, _}}, {2, {ok, _}}]}, py:trim({default, all})),
    ?assertEqual({error, {no_worker, {default, 3}}}, py:trim({default, 3})),
    ?assertEqual({error, {no_pool, nowhere}}, py:trim(nowhere)),
    ?assertError(badarg, py:trim(<<"default">>)).

options() ->
    [?assertError(badarg, py:gc(default, Options))
     || Options <- [#{trim => 1}, #{generation => 3}, #{cut => true}, [trim], true]].

nothing() ->
    {ok, _} = py:trim(),
    {ok, Bytes} = py:trim(),
    ?assert(Bytes < 5 * ?MB).
