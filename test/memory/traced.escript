#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A leak is found by where its memory was allocated: file, line and function, of a
%% worker, of a pool, in what has changed between two snapshots.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import wedge">>}, [
        {"no tracing, no answer", fun off/0},
        {"a leak is named by its line and function", fun leak/0},
        {"a leak is what has grown between two snapshots", fun grown/0},
        {"what was freed is below zero", fun freed/0},
        {"by file and by traceback", fun by/0},
        {"only some files", fun filters/0},
        {"a pool's rows are its workers' together", fun merged/0},
        {"of a pool of which one worker traces", fun one_traces/0},
        {"snapshots of other workers", fun replaced/0},
        {"a worker that is busy", fun busy/0},
        {"a snapshot stays small", fun bounded/0},
        {"functions in functions, methods, lambdas", fun names/0},
        {"names that are no text", fun no_text/0},
        {"nothing is imported before it is used", fun imports/0},
        {"wrong options", fun wrong/0}
    ])).

leaky(Options, Fun) ->
    {ok, _} = py:start_pool(leaky, Options#{python_path => [fixture:python_path()],
                                            init => <<"import leaky">>}),
    try Fun() after ok = py:stop_pool(leaky) end.

handle(N) ->
    [{ok, <<"SOME WORDS">>} = py:call(leaky, handle, [<<"some words">>], #{}, #{pool => leaky})
     || _ <- lists:seq(1, N)].

off() ->
    leaky(#{size => 2}, fun() ->
        ?assertEqual({error, {not_tracing, leaky}}, py_mem:traced(leaky)),
        ?assertEqual({error, {not_tracing, {leaky, 2}}}, py_mem:traced({leaky, 2})),
        ?assertEqual({error, {not_tracing, leaky}}, py_mem:snapshot(leaky)),
        ?assertMatch({ok, [{1, {error, {not_tracing, {leaky, 1}}}}, {2, {error, _}}]},
                     py_mem:traced({leaky, all})),
        ?assertEqual({error, {no_pool, nowhere}}, py_mem:traced(nowhere)),
        ?assertEqual({error, {no_worker, {leaky, 3}}}, py_mem:snapshot({leaky, 3}))
    end).

leak() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky),
        handle(1000),
        {ok, [Most | _]} = py_mem:traced(leaky),
        #{file := File, line := 16, function := <<"remember">>, bytes := Bytes, count := Count,
          workers := [1]} = Most,
        ?assertEqual("leaky.py", filename:basename(binary_to_list(File))),
        ?assert(Bytes > 1_000_000 andalso Bytes < 1_500_000),
        ?assert(Count >= 1000 andalso Count < 3010)
    end).

grown() ->
    leaky(#{size => 2}, fun() ->
        ok = py:tracemalloc_start(leaky, 5),
        handle(10),
        {ok, Before} = py_mem:snapshot(leaky),
        handle(1000),
        {ok, After} = py_mem:snapshot(leaky),
        {ok, [#{line := 16, function := <<"remember">>, bytes_diff := Diff, bytes := Bytes,
                count_diff := Count} | Others]} = py_mem:diff(Before, After),
        ?assert(Diff > 1_000_000 andalso Diff < Bytes andalso Count >= 1000),
        %% The words are its own, too, though another function makes them.
        ?assert(lists:all(fun(#{bytes_diff := Other}) -> Other < Diff div 4 end, Others)),
        ?assertMatch({ok, [#{frames := [#{function := <<"handle">>},
                                        #{function := <<"remember">>, line := 16}]}]},
                     py_mem:diff(Before, After, #{by => traceback, top => 1})),
        ?assertEqual({ok, []}, py_mem:diff(Before, Before))
    end).

freed() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky),
        handle(1000),
        {ok, Before} = py_mem:snapshot(leaky),
        ok = py:exec(<<"leaky._seen.clear()">>, #{pool => leaky}),
        {ok, After} = py_mem:snapshot(leaky),
        {ok, Rows} = py_mem:diff(Before, After, #{top => 1000}),
        #{line := 16, bytes_diff := Diff, bytes := Left} = lists:last(Rows),
        %% Python keeps some of the freed lists for the next ones.
        ?assert(Diff < -1_000_000 andalso Left < 10_000)
    end).

by() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky, 5),
        handle(1000),
        {ok, [#{file := File, bytes := Sum} = Row]} = py_mem:traced(leaky, #{by => file, top => 1}),
        ?assertNot(is_map_key(line, Row)),
        {ok, Lines} = py_mem:traced(leaky, #{include => File, top => 1000}),
        ?assertEqual(Sum, lists:sum([Bytes || #{bytes := Bytes} <- Lines])),
        {ok, [#{frames := Frames} = Traced]} = py_mem:traced(leaky, #{by => traceback, top => 1}),
        ?assertNot(is_map_key(line, Traced)),
        ?assertEqual([{<<"handle">>, 25}, {<<"remember">>, 16}],
                     [{Function, Line} || #{function := Function, line := Line} <- Frames])
    end).

filters() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky),
        handle(100),
        {ok, [_ | _] = Own} = py_mem:traced(leaky, #{include => "*/leaky.py"}),
        ?assertEqual([<<"leaky.py">>], lists:usort([filename:basename(F) || #{file := F} <- Own])),
        ?assertEqual({ok, Own}, py_mem:traced(leaky, #{include => [<<"*/leak?.py">>, "nothing"]})),
        {ok, Others} = py_mem:traced(leaky, #{exclude => ["*leaky.py"], top => 1000}),
        ?assertEqual([], [F || #{file := F} <- Others, filename:basename(F) =:= <<"leaky.py">>]),
        ?assertEqual({ok, []}, py_mem:traced(leaky, #{include => "leaky.py"})),
        ?assertEqual({ok, []}, py_mem:traced(leaky, #{include => []})),
        ?assertEqual({ok, []}, py_mem:traced(leaky, #{include => "*", exclude => "*"}))
    end).

merged() ->
    leaky(#{size => 2}, fun() ->
        ok = py:tracemalloc_start(leaky),
        ok = py:exec_all(<<"for _ in range(1000): leaky.remember('a')">>, #{pool => leaky}),
        {ok, [#{line := 16, bytes := Both, workers := [1, 2]} | _]} = py_mem:traced(leaky),
        {ok, [{1, {ok, [#{bytes := One, workers := [1]} | _]}},
              {2, {ok, [#{bytes := Two, workers := [2]} | _]}}]} = py_mem:traced({leaky, all}),
        ?assertEqual(Both, One + Two),
        ?assertMatch({ok, [#{bytes := One}]}, py_mem:traced({leaky, 1}, #{top => 1})),
        {ok, [{1, {ok, First}}, {2, {ok, _}}]} = py_mem:snapshot({leaky, all}),
        {ok, Pool} = py_mem:snapshot(leaky),
        ?assertEqual({ok, []}, py_mem:diff(First, Pool, #{include => "*leaky.py"}))
    end).

one_traces() ->
    leaky(#{size => 2}, fun() ->
        ok = py:tracemalloc_start({leaky, 2}),
        ok = py:exec_all(<<"for _ in range(1000): leaky.remember('a')">>, #{pool => leaky}),
        ?assertMatch({ok, [#{line := 16, workers := [2]} | _]}, py_mem:traced(leaky)),
        ?assertMatch({ok, [{1, {error, {not_tracing, {leaky, 1}}}}, {2, {ok, [_ | _]}}]},
                     py_mem:traced({leaky, all}))
    end).

replaced() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky),
        {ok, Before} = py_mem:snapshot(leaky),
        ok = py:restart_workers(leaky),
        {ok, After} = py_mem:snapshot(leaky),
        ?assertEqual({error, no_worker_in_both}, py_mem:diff(Before, After)),
        [?assertError(badarg, py_mem:diff(Wrong, After)) || Wrong <- [leaky, {ok, Before}, [1]]]
    end).

busy() ->
    ok = py:tracemalloc_start(),
    Held = fixture:hold(#{}),
    {ok, [_ | _]} = py_mem:traced({default, 1}),
    {ok, _} = fixture:release(Held),
    ok = py:tracemalloc_stop().

%% Many lines and deep stacks: what is beyond them is still in their lines' sums.
bounded() ->
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky, 50),
        Lines = <<"kept = []\n"
                  "code = compile('kept.append(bytes(1000))', 'many', 'exec')\n"
                  "def line(n):\n"
                  "    exec(code.replace(co_firstlineno=n))\n"
                  "def deep(n, m):\n"
                  "    return deep(n - 1, m) if n else line(m)\n"
                  "for n in range(1, 25000):\n"
                  "    line(n)\n"
                  "deep(60, 30000)\n">>,
        ok = py:exec(Lines, #{pool => leaky}),
        {ok, [#{sites := Sites, frames := Frames}] = Snapshot} = py_mem:snapshot(leaky),
        ?assert(length(Sites) =< 20_000),
        ?assert(lists:all(fun({Stack, _, _}) -> length(Stack) =< 32 end, Sites)),
        ?assert(tuple_size(Frames) < 40_000),
        ?assert(erlang:external_size(Snapshot) < 8_000_000),
        {ok, Rows} = py_mem:traced(leaky, #{include => "many", top => 100_000}),
        ?assert(length(Rows) > 15_000)
    end).

%% A folder's name need not be UTF-8, and there are half characters.
no_text() ->
    Code = <<"import threading\n"
             "odd = 'caf\\udce9'\n"
             "done = threading.Event()\n"
             "exec(compile('''\n"
             "kept = []\n"
             "def keep():\n"
             "    kept.append(bytes(500_000))\n"
             "    done.wait()\n"
             "''', odd, 'exec'))\n"
             "keep.__code__ = keep.__code__.replace(co_name=odd)\n"
             "if hasattr(keep.__code__, 'co_qualname'):\n"
             "    keep.__code__ = keep.__code__.replace(co_qualname=odd)\n"
             "keep.__qualname__ = odd\n"
             "threading.Thread(target=keep, name=odd, daemon=True).start()\n">>,
    Odd = <<"caf\\udce9">>,
    leaky(#{size => 1}, fun() ->
        ok = py:tracemalloc_start(leaky),
        ok = py:exec_all(Code, #{pool => leaky}),
        fixture:wait_until(fun() -> {ok, true} =:= py:eval(<<"bool(kept)">>, #{}, #{pool => leaky}) end),
        ?assertMatch({ok, [#{file := Odd, function := Odd, line := 4}]}, py_mem:traced(leaky, #{top => 1})),
        {ok, [#{thread := Odd, frames := Frames}]} = fixture:stack({leaky, 1}),
        ?assertMatch([_], [Frame || #{file := File, function := Function} = Frame <- Frames,
                                    {File, Function} =:= {Odd, Odd}])
    end),
    Port = raw:open(),
    raw:send(Port, {1, {tracemalloc_start, 1}}),
    {1, ok} = raw:recv(Port),
    raw:send(Port, {2, {exec, <<"exec(compile('kept = bytes(500_000)', 'caf\\udce9', 'exec'))">>}}),
    {2, ok} = raw:recv(Port),
    raw:send(Port, {3, {tracemalloc_top, 1}}),
    ?assertMatch({3, {ok, [#{file := Odd}]}}, raw:recv(Port)),
    ok = raw:close(Port).

names() ->
    leaky(#{size => 1}, fun() ->
        ok = py:exec(<<"import sys\n"
                       "kept = []\n"
                       "class Shop:\n"
                       "    def sell(self):\n"
                       "        def wrap(n):\n"
                       "            kept.append(bytes(10_000))\n"
                       "        for n in range(10): wrap(n)\n"
                       "        kept.append([\n"
                       "            bytes(20_000) for n in range(10)])\n"
                       "pack = lambda: kept.append(\n"
                       "    bytes(300_000))\n"
                       "def step():\n"
                       "    yield bytes(400_000)\n">>, #{pool => leaky}),
        ok = py:tracemalloc_start(leaky),
        ok = py:exec(<<"Shop().sell(); pack(); kept.extend(step()); kept.append(bytes(500_000))">>,
                     #{pool => leaky}),
        {ok, Rows} = py_mem:traced(leaky, #{include => "<exec *>", top => 5}),
        Names = [Name || #{function := Name} <- Rows],
        ?assertMatch([<<"<module>">>, <<"step">>, <<"<lambda>">>, <<"Shop.sell">>, _], Names),
        %% 3.10 has no more of its name.
        ?assert(lists:member(lists:last(Names), [<<"Shop.sell.<locals>.wrap">>, <<"wrap">>]))
    end).

imports() ->
    leaky(#{size => 1}, fun() ->
        Known = <<"[name for name in ('erlang._sites', 'tracemalloc', 'linecache')"
                  " if name in __import__('sys').modules]">>,
        {ok, Fresh} = py:eval(Known, #{}, #{pool => leaky}),
        ?assertNot(lists:member(<<"erlang._sites">>, Fresh)),
        {error, _} = py_mem:traced(leaky),
        ?assertEqual({ok, Fresh}, py:eval(Known, #{}, #{pool => leaky})),
        ok = py:tracemalloc_start(leaky),
        {ok, _} = py_mem:traced(leaky),
        {ok, Used} = py:eval(Known, #{}, #{pool => leaky}),
        ?assertEqual([<<"erlang._sites">>], Used -- Fresh)
    end).

wrong() ->
    [?assertError(badarg, py_mem:traced(default, Options))
     || Options <- [[by], #{by => function}, #{top => 0}, #{include => 1}, #{exclude => [a]},
                    #{other => 1}]],
    [?assertError(badarg, py_mem:traced(Target)) || Target <- [<<"default">>, {default, 0}]].
