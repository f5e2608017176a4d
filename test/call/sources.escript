#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The lines of what eval and exec have run, as tracebacks, stacks and Python's
%% own inspect show them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import raiser">>}, [
        {"a traceback of code from eval and exec shows its line", fun code_frames/0},
        {"each text has a name of its own, the same text the same one", fun text_names/0},
        {"a traceback names the file and the line that an option says", fun given_names/0},
        {"several texts in one file are all shown, each at its line", fun one_file/0},
        {"where texts in one file overlap, the newest is shown until it is gone", fun overlap/0},
        {"a file that is there is shown as it is", fun real_file/0},
        {"the source of a function that exec defined", fun source/0},
        {"the lines of a text with odd characters in it", fun odd_lines/0},
        {"a stack shows the lines of code that runs", fun stack/0},
        {"a text is kept as long as there is code of it", fun kept/0}
    ])).

code_frames() ->
    {error, {'ZeroDivisionError', _, #{frames := [Eval]}}} =
        py:eval(<<"[0,\n 1/0]">>, #{}, #{traceback => true}),
    ?assertMatch(#{function := <<"<module>">>, line := 2, text := <<"1/0]">>}, Eval),
    {error, {'ZeroDivisionError', _, #{frames := Exec, formatted := Formatted}}} =
        py:exec(<<"def f():\n    return 1/0\n\nf()\n">>, #{traceback => true}),
    ?assertMatch([#{line := 4, text := <<"f()">>},
                  #{line := 2, function := <<"f">>, text := <<"return 1/0">>}], Exec),
    ?assert(fixture:contains(Formatted, "    return 1/0\n")).

text_names() ->
    ok = py:exec(<<"def one(): return 1/0">>),
    ok = py:exec(<<"def two(): return one()">>),
    [#{file := <<"<eval ", _/binary>>}, Two, One] = Frames = raised_at("two()", #{}),
    ?assertMatch({#{file := <<"<exec ", _/binary>>, text := <<"def two(): return one()">>},
                  #{file := <<"<exec ", _/binary>>, text := <<"def one(): return 1/0">>}},
                 {Two, One}),
    ?assertEqual(3, length(lists:usort([File || #{file := File} <- Frames]))),
    ok = py:exec(<<"def one(): return 1/0">>),
    ?assertEqual(Frames, raised_at("two()", #{})).

raised_at(Code, Options) ->
    {error, {_, _, #{frames := Frames}}} = py:eval(Code, #{}, Options#{traceback => true}),
    Frames.

given_names() ->
    Named = #{filename => "shop/ü.py", line => 10},
    ok = py:exec(<<"\ndef sell():\n    return 1/0">>, Named),
    [_, Frame] = raised_at("sell()", #{}),
    ?assertEqual(#{file => <<"shop/ü.py"/utf8>>, line => 12, function => <<"sell">>,
                   text => <<"return 1/0">>}, Frame),
    ?assertMatch([#{file := <<"shop/ü.py"/utf8>>, line := 11, text := <<"1/0">>}],
                 raised_at("\n1/0", Named)),
    {error, {'SyntaxError', Text}} = py:exec(<<"a\nb = = 2">>, Named),
    ?assertEqual(<<"invalid syntax (ü.py, line 11)"/utf8>>, Text),
    ?assertEqual({error, {'SyntaxError', <<"invalid syntax (<eval>, line 1)">>}}, py:eval("1 +* 2")),
    Chunks = py:stream_fold(fun(X, Xs) -> [X | Xs] end, [], <<"(1/x for x in [1, 0])">>,
                            Named#{traceback => true}),
    ?assertMatch({error, {'ZeroDivisionError', _, #{frames := [#{file := <<"shop/", _/binary>>} | _]}}},
                 Chunks).

at(File, Line) -> #{filename => File, line => Line}.

lines_at(Code, Options) ->
    [{Line, Text} || #{line := Line, text := Text} <- raised_at(Code, Options)].

one_file() ->
    ok = py:exec(<<"def late():\n    return early()">>, at("a.tmpl", 20)),
    ok = py:exec(<<"def early():\n    return 1/0">>, at("a.tmpl", 3)),
    ?assertEqual([{40, <<"late()">>}, {21, <<"return early()">>}, {4, <<"return 1/0">>}],
                 lines_at("late()", at("a.tmpl", 40))),
    ?assertEqual({ok, {<<"def early():\n    return 1/0\n">>, <<"def late():\n    return early()\n">>}},
                 py:eval("tuple(map(__import__('inspect').getsource, (early, late)))")).

overlap() ->
    ok = py:exec(<<"def old():\n    a = 0\n    return 1/a">>, at("b.tmpl", 1)),
    ok = py:exec(<<"def new():\n    return old()">>, at("b.tmpl", 2)),
    ?assertEqual([{3, <<"return old()">>}, {3, <<"return old()">>}],
                 tl(lines_at("new()", #{}))),
    ok = py:exec(<<"del new">>),
    ?assertEqual([{3, <<"return 1/a">>}], tl(lines_at("old()", #{}))),
    ok = py:exec(<<"del old">>),
    _ = py:gc(),
    ?assertEqual({ok, false}, py:eval("'b.tmpl' in __import__('linecache').cache")).

real_file() ->
    {ok, File} = py:eval("raiser.__file__"),
    ?assertMatch([#{line := 1, text := <<"# SPDX-License-Identifier: Apache-2.0">>}],
                 raised_at("1/0", #{filename => File})).

source() ->
    Text = <<"def source(x):\n    return x\n">>,
    ok = py:exec(<<"# first\n", Text/binary>>),
    ?assertEqual({ok, Text}, py:eval("__import__('inspect').getsource(source)")).

%% Python's lines end at \n, \r and both; those of str.splitlines at others, too.
odd_lines() ->
    [?assertMatch({Char, #{line := 3, text := <<"1/0">>}}, {Char, third_line(Char)})
     || Char <- [$\v, $\f, 16#1c, 16#85, 16#2028]].

third_line(Char) ->
    Code = ["x = 'a", Char, "b'\r\ny = 2\r1/0\n"],
    {error, {_, _, #{frames := [Frame]}}} = py:exec(Code, #{}, #{traceback => true}),
    Frame.

stack() ->
    Go = filename:join(fixture:tmpdir(), "go"),
    Code = ["import os, time\nwhile not os.path.exists('", Go, "'):\n    time.sleep(0.01)"],
    Runner = spawn_monitor(fun() -> ok = py:exec(Code) end),
    fixture:wait_until(fun() -> lists:member(<<"time.sleep(0.01)">>, stack_lines()) end),
    ok = file:write_file(Go, <<>>),
    {Pid, Monitor} = Runner,
    receive {'DOWN', Monitor, process, Pid, Reason} -> ?assertEqual(normal, Reason) end.

%% Of what exec runs, in any worker.
stack_lines() ->
    {ok, Workers} = fixture:stack(default),
    [Text || {_, {ok, Stacks}} <- Workers, #{frames := Frames} <- Stacks,
             #{file := <<"<exec ", _/binary>>, text := Text} <- Frames].

kept() ->
    ok = py:exec(<<"class Kept:\n    def m(self): return lambda: 'here to stay'\nkept = Kept().m()">>),
    Lines = "str(__import__('linecache').cache).count('here to ' + 'stay')",
    ?assertEqual({ok, 1}, py:eval(Lines)),
    ok = py:exec(<<"del Kept">>),
    _ = py:gc(),
    ?assertEqual({ok, 1}, py:eval(Lines)),
    ok = py:exec(<<"del kept">>),
    %% Code that is kept to be run again goes when there is much other.
    [ok = py:exec(["once = ", integer_to_list(N)]) || N <- lists:seq(1, 2000)],
    ?assertEqual({ok, 0}, py:eval(Lines)),
    ?assertEqual({ok, true}, py:eval("len(__import__('linecache').cache) < 1000")).
