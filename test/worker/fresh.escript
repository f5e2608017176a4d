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
        {"its stacks, while it is busy", fun stack/0},
        {"logging that comes before somebody listens, and after", fun logging/0},
        {"it has little more memory of its own than Python has", fun own_memory/0},
        {"its package is compiled, whatever time its files have", fun compiled/0},
        {"it does not grow", fun same/0}
    ])).

%% These, and what they import themselves, which depends on Python's version.
%% `erlang._source' is what the eval needs that looks at them.
-define(NEEDED, "__future__, atexit, faulthandler, gc, warnings").
-define(OWN, [<<"_erlang">>, <<"_tracemalloc">>, <<"erlang">>, <<"erlang._imports">>,
              <<"erlang._locks">>, <<"erlang._log">>, <<"erlang._output">>, <<"erlang._setup">>,
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

%% They are shown by another thread, and until 3.13 that one would be the main thread
%% if it were the first to import threading.
stack() ->
    {ok, _} = py:start_pool(stacks, #{size => 1}),
    Sleep = <<"__import__('time').sleep(1)">>,
    spawn_link(fun() -> ok = py:exec(Sleep, #{}, #{pool => stacks}) end),
    fixture:wait_until(fun() -> sleeps(py:stack({stacks, 1})) end),
    Main = <<"__import__('threading').current_thread() is threading.main_thread()">>,
    ok = py:exec(<<"import threading">>, #{}, #{pool => stacks}),
    ?assertEqual({ok, true}, py:eval(Main, #{}, #{pool => stacks})),
    ok = py:unbind(stacks),
    ok = py:stop_pool(stacks).

sleeps({ok, [#{thread := <<"MainThread">>}]}) -> true;
sleeps({ok, []}) -> false.

%% Where it goes is said by the event, or by its not being one.
logging() ->
    [begin
         Port = raw:open(),
         [ok = raw:ask(Port, Op) || Op <- Ops],
         raw:send(Port, {1, {exec, <<"logging.warning('seen')">>}}),
         ?assertMatch({event, log, #{source := logging, text := <<"seen">>}}, raw:recv(Port)),
         ?assertEqual({1, ok}, raw:recv(Port)),
         ok = raw:ask(Port, {listen, false, 0}),
         ok = raw:ask(Port, {exec, <<"logging.warning('on standard error')">>}),
         raw:close(Port)
     end || Ops <- [[import(), listen()], [listen(), import()],
                    [listen(), {listen, false, 0}, import(), listen()]]].

import() -> {exec, <<"import logging">>}.
listen() -> {listen, true, 1 bsl 20}.

%% What the kernel says of both, in kB: pages that nobody shares.
own_memory() ->
    fixture:unless_sanitized(),
    {ok, _} = py:start_pool(own, #{size => 1}),
    #{workers := [#{os_pid := OsPid}]} = py:info(own),
    {ok, Worker} = file:read_file(["/proc/", integer_to_list(OsPid), "/smaps_rollup"]),
    ok = py:stop_pool(own),
    Python = os:cmd(fixture:python() ++ " -c 'print(open(\"/proc/self/smaps_rollup\").read())'"),
    [Own, Pythons] = [private(Text) || Text <- [Worker, Python]],
    tap:note("~b kB, Python ~b kB", [Own, Pythons]),
    ?assert(Own - Pythons < 1_600).

private(Text) ->
    {match, [Kb]} = re:run(Text, "Private_Dirty: +([0-9]+)", [{capture, [1], list}]),
    list_to_integer(Kb).

%% Flags of a .pyc file: made for a text (1), which is not compared (no 2).
compiled() ->
    [?assertMatch({Module, {ok, <<_:4/binary, 1:32/little, _/binary>>}},
                  {Module, file:read_file(cached(Module))})
     || Module <- [<<"erlang">>, <<"erlang._setup">>, <<"erlang._log">>]].

cached(Module) ->
    {ok, File} = py:eval(<<"__import__('sys').modules[name].__cached__">>, #{name => Module}),
    File.

%% It may shrink, when it is trimmed.
same() ->
    fixture:unless_sanitized(),
    {ok, #{rss := Before}} = py:memory_stats({default, 1}),
    [{ok, N} = py:call(operator, add, [N, 0]) || N <- lists:seq(1, 1000)],
    timer:sleep(2_500),
    {ok, #{rss := After}} = py:memory_stats({default, 1}),
    tap:note("~b kB, then ~b kB", [Before div 1024, After div 1024]),
    ?assert(After - Before < 500_000).
