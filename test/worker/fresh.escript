#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What a fresh worker has: what is not used is not imported, and nothing grows
%% before it is used.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"it has imported what it needs, and no more", fun imports/0},
        {"nor has one that counts its memory", fun counting/0},
        {"looking at it imports nothing", fun looked_at/0},
        {"it does not grow", fun same/0}
    ])).

%% These, and what they import themselves, which depends on Python's version.
%% `erlang._source' is what the eval needs that looks at them.
-define(NEEDED, "__future__, atexit, contextlib, faulthandler, gc, linecache, logging, "
                "threading, tokenize, traceback, warnings").
-define(OWN, [<<"_erlang">>, <<"_tracemalloc">>, <<"erlang">>, <<"erlang._locks">>,
              <<"erlang._log">>, <<"erlang._output">>, <<"erlang._setup">>,
              <<"erlang._signals">>, <<"erlang._source">>]).

imports() ->
    imports(default, ?OWN).

%% It waits for numpy, too.
counting() ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(counting, #{size => 1, memory => #{account => true}}),
    imports(counting, [<<"erlang._numpy">> | ?OWN]),
    ok = py:stop_pool(counting).

imports(Pool, Own) ->
    Command = [fixture:python(), " -c \"import sys, " ?NEEDED "; print(*sys.modules)\""],
    Ordinary = list_to_binary(string:trim(os:cmd(lists:flatten(Command)))),
    Modules = modules(Pool),
    tap:note("~b modules", [length(Modules)]),
    ?assertEqual([], (Modules -- Own) -- binary:split(Ordinary, <<" ">>, [global])).

modules(Pool) ->
    {ok, Modules} = py:eval(<<"sorted(__import__('sys').modules)">>, #{}, #{pool => Pool}),
    Modules.

looked_at() ->
    Before = modules(default),
    {ok, _} = py:memory_stats(),
    {ok, _} = py:gc(),
    {ok, _} = py:trim(),
    {ok, [_ | _]} = py_mem:gc_threshold({default, all}),
    ?assertEqual(Before, modules(default)).

%% It may shrink, when it is trimmed.
same() ->
    fixture:unless_sanitized(),
    {ok, #{rss := Before}} = py:memory_stats({default, 1}),
    [{ok, N} = py:call(operator, add, [N, 0]) || N <- lists:seq(1, 1000)],
    timer:sleep(2_500),
    {ok, #{rss := After}} = py:memory_stats({default, 1}),
    tap:note("~b kB, then ~b kB", [Before div 1024, After div 1024]),
    ?assert(After - Before < 500_000).
