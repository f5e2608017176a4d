#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_worker_boot: hello, the logs, then the pool's steps; what fails says why.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"hello comes first", fun first/0},
        {"then what to do with the logs", fun logs/0},
        {"whether the lane was opened is said if there is one", fun lane/0},
        {"then which loop is meant", fun loop/0},
        {"then its first numbers about memory are learnt", fun memory/0},
        {"then the pool is asked, and its steps are run in order", fun steps/0},
        {"too late, and where it is", fun late_where/0},
        {"code has a name for Python, and a traceback", fun options/0},
        {"what the program said of itself", fun hello/0},
        {"what a live worker has to hear", fun mail/0},
        [{"why not: " ++ Name, fun() -> failure(Result, Text) end} || {Name, Result, Text} <- hellos()],
        [{"why not: " ++ Name, fun() -> failure(Step, Result, Text) end}
         || {Name, Step, Result, Text} <- failures()],
        [{"too late: " ++ Text, fun() -> late(Boot, Text) end} || {Boot, Text} <- lates()]
    ]).

said() -> #{protocol => 1, python => <<"3.11">>}.

new() ->
    {run, hello, Boot} = py_worker_boot:new(#{logs => true, loop => asyncio}),
    Boot.

greeted() ->
    {run, {listen, true, _, true, true}, Listening} = py_worker_boot:result({ok, said()}, new()),
    {run, memory_stats, Boot} = py_worker_boot:result(ok, Listening),
    Boot.

running(Steps) ->
    {run, _, Boot} = py_worker_boot:steps(Steps, greeted()),
    Boot.

first() ->
    ?assertMatch({run, hello, _}, py_worker_boot:new(#{logs => false, loop => asyncio})).

logs() ->
    Window = py_talk_events:window(),
    {run, hello, Boot} = py_worker_boot:new(#{logs => false, loop => asyncio}),
    ?assertMatch({run, {listen, false, Window, true, true}, _}, py_worker_boot:result({ok, said()}, Boot)).

lane() ->
    Said = fun(Lane) -> py_worker_boot:result({ok, (said())#{lane => Lane}}, new()) end,
    [begin
         Next = py_worker_boot:lane(IsOpen, Said({9, 1 bsl 20})),
         {run, {listen, true, _, true, true}, Listening} = Next,
         {run, {lane, IsOpen}, Boot} = py_worker_boot:result(ok, Listening),
         ?assertMatch({run, memory_stats, _}, py_worker_boot:result(ok, Boot))
     end || IsOpen <- [true, false]],
    {run, _, Without} = py_worker_boot:lane(false, Said(none)),
    ?assertMatch({run, memory_stats, _}, py_worker_boot:result(ok, Without)).

memory() ->
    ?assertEqual(#{}, py_worker_boot:memory(greeted())),
    {done, Boot} = py_worker_boot:result({ok, #{gc_count => {1, 2, 3}}}, greeted()),
    ?assertEqual(#{gc_count => {1, 2, 3}}, py_worker_boot:memory(Boot)).

steps() ->
    {done, Asking} = py_worker_boot:result({ok, #{}}, greeted()),
    {run, A, One} = py_worker_boot:steps([code(<<"a">>), code(<<"b">>)], Asking),
    {run, B, Two} = py_worker_boot:result(ok, One),
    ?assertEqual([{exec, <<"a">>}, {exec, <<"b">>}], [py_worker_boot:op(A), py_worker_boot:op(B)]),
    {done, Done} = py_worker_boot:result({ok, none}, Two),
    ?assertMatch({done, _}, py_worker_boot:steps([], Done)).

loop() ->
    {run, hello, Boot} = py_worker_boot:new(#{logs => true, loop => uvloop}),
    {run, {listen, _, _, _, _}, Listening} = py_worker_boot:result({ok, said()}, Boot),
    {run, Use, Using} = py_worker_boot:result(ok, Listening),
    ?assertEqual({call, 'erlang._aio', use, [uvloop], #{}}, py_worker_boot:op(Use)),
    ?assertMatch({run, memory_stats, _}, py_worker_boot:result({ok, none}, Using)),
    ?assertEqual({failed, <<"loop => uvloop: ModuleNotFoundError: No module named 'uvloop'">>},
                 py_worker_boot:result({error, {'ModuleNotFoundError', <<"No module named 'uvloop'">>}}, Using)).

options() ->
    ?assertEqual(#{filename => <<"<init 2>">>, traceback => true}, py_worker_boot:opts(code(<<"a">>))),
    ?assertEqual(#{filename => <<"<definition 5>">>, traceback => true},
                 py_worker_boot:opts(code({definition, 5}, <<"a">>))),
    ?assertEqual(#{}, py_worker_boot:opts(memory_stats)),
    ?assertEqual("init, piece 2", lists:flatten(py_worker_boot:step(running([code(<<"a">>)])))).

hello() ->
    ?assertEqual(#{}, py_worker_boot:hello(new())),
    ?assertEqual(said(), py_worker_boot:hello(greeted())).

mail() ->
    Kept = lists:foldl(fun py_worker_boot:mail/2, greeted(), [{on_message, worker, <<N>>} || N <- [1, 2]]),
    ?assertEqual({[], [{on_message, worker, <<1>>}, {on_message, worker, <<2>>}]},
                 {py_worker_boot:mail(greeted()), py_worker_boot:mail(Kept)}).

hellos() ->
    [{"another protocol", {ok, #{protocol => 2}}, <<"unexpected hello: {ok,#{protocol => 2}}">>},
     {"no hello", {error, timeout}, <<"unexpected hello: {error,timeout}">>}].

failure(Result, Text) ->
    ?assertEqual({failed, Text}, py_worker_boot:result(Result, new())).

failures() ->
    [{"init code raises", code(<<"x">>), {error, {'NameError', <<"no x">>}},
      <<"init, piece 2: NameError: no x">>},
     {"init code raises at a line", code(<<"x">>),
      {error, {'NameError', <<"no x">>,
               #{frames => [#{file => <<"<init 2>">>, line => 7, function => <<"<module>">>,
                              text => <<"load('secret')">>},
                            #{file => <<"/a/b.py">>, line => 3, function => <<"load">>,
                              text => <<"return x">>},
                            #{file => <<"<init 1>">>, line => 1, function => <<"f">>,
                              text => <<"secret">>},
                            #{file => <<"...">>, function => <<"...">>, text => <<"more">>}]}}},
      <<"init, piece 2, line 7: NameError: no x\n"
        "  File \"<init 2>\", line 7, in <module>\n"
        "  File \"/a/b.py\", line 3, in load\n"
        "    return x\n"
        "  File \"<init 1>\", line 1, in f\n"
        "  File \"...\", line unknown, in ...\n"
        "    more">>},
     {"init code is no Python", code(<<"x">>),
      {error, {'SyntaxError', <<"invalid syntax">>,
               #{frames => [], position => #{file => <<"<init 2>">>, line => 4, text => <<"secret">>}}}},
      <<"init, piece 2, line 4: SyntaxError: invalid syntax">>},
     {"a definition raises", code({definition, 5}, <<"x">>),
      {error, {'NameError', <<"no x">>,
               #{frames => [#{file => <<"<definition 5>">>, line => 1, function => <<"<module>">>}]}}},
      <<"exec_all, definition 5, line 1: NameError: no x\n"
        "  File \"<definition 5>\", line 1, in <module>">>},
     {"a class that is no atom", code(<<"x">>), {error, {<<"Mine">>, <<"ñ"/utf8>>}},
      <<"init, piece 2: Mine: ñ"/utf8>>},
     {"another step", tracemalloc_stop, {error, {badarg, 1}},
      <<"tracemalloc_stop: {badarg,1}">>}].

failure(Step, Result, Text) ->
    ?assertEqual({failed, Text}, py_worker_boot:result(Result, running([Step]))).

lates() ->
    [{new(), <<"Python's start: not done within start_timeout (50 ms)">>},
     {running([code(<<"x">>)]), <<"init, piece 2: not done within start_timeout (50 ms)">>}].

late(Boot, Text) ->
    ?assertEqual(Text, py_worker_boot:late(50, {error, timeout}, Boot)).

late_where() ->
    Stacks = [#{thread => <<"MainThread">>,
                frames => [#{file => <<"<init 2>">>, line => 3, function => <<"<module>">>,
                             text => <<"load('secret')">>},
                           #{file => <<"/a/b.py">>, line => 7, function => <<"load">>,
                             text => <<"time.sleep(9)">>}]},
              #{thread => <<"other">>, frames => [#{file => <<"x">>, line => 1, function => <<"f">>,
                                                    text => <<>>}]}],
    ?assertEqual(<<"init, piece 2: not done within start_timeout (50 ms)\n"
                   "  File \"<init 2>\", line 3, in <module>\n"
                   "  File \"/a/b.py\", line 7, in load\n"
                   "    time.sleep(9)">>,
                 py_worker_boot:late(50, {ok, Stacks}, running([code(<<"x">>)]))),
    [?assertEqual(<<"init, piece 2: not done within start_timeout (50 ms)">>,
                  py_worker_boot:late(50, Said, running([code(<<"x">>)])))
     || Said <- [ok, {ok, []}, {ok, none}]].

%% Code is out of sight.
code(Text) -> code({init, 2}, Text).

code(From, Text) -> {code, From, py_secret:hide({exec, Text})}.
