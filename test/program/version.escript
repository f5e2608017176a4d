#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The Python in the workers is the one that configure was told to take.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        {"the same version", fun version/0},
        {"the same library", fun library/0},
        {"the same modules in C", fun modules_in_c/0},
        {"the same place for packages", fun packages/0},
        {"the program says it too", fun program/0},
        {"sys.executable is that Python", fun executable/0}
    ])).

%% What $PYTHON prints of an expression.
ask_python(Expression) ->
    Command = fixture:python() ++ " -c 'import sys, sysconfig; print(" ++ Expression ++ ")'",
    list_to_binary(string:trim(os:cmd(Command))).

same(Expression) ->
    ok = py:exec(<<"import sys, sysconfig">>),
    {ok, Embedded} = py:eval(["str(", Expression, ")"]),
    ?assertEqual(ask_python(Expression), Embedded).

version() -> same("sys.version.split()[0]").
library() -> same("sysconfig.get_path(\"stdlib\")").
packages() -> same("sysconfig.get_path(\"purelib\")").

modules_in_c() ->
    Code = <<"(__import__(name), name in __import__('sys').modules)[1]">>,
    [?assertEqual({ok, true}, py:eval(Code, #{name => Module}))
     || Module <- [<<"math">>, <<"_ctypes">>, <<"_decimal">>, <<"zlib">>]].

program() ->
    #{code := 0, stdout := Text} = raw:run(["--version"], <<>>),
    ?assert(fixture:contains(Text, ask_python("sys.version.split()[0]"))).

executable() ->
    {ok, Executable} = py:eval(<<"__import__('sys').executable">>),
    Says = os:cmd(binary_to_list(Executable) ++ " -c 'import sys; print(sys.version.split()[0])'"),
    ?assertEqual(ask_python("sys.version.split()[0]"), list_to_binary(string:trim(Says))).
