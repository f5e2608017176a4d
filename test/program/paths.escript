#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Files of the user that have the name of a module of Python or of ours: they
%% are no obstacle where that can be, and named where it cannot.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        [{["a foreign ", Name, " in ", Where], fun() -> harmless(Where, Name) end}
         || Where <- ["--path", "PYTHONPATH", "PYTHONPATH, as the current directory", "cwd"],
            Name <- names()],
        {"a module that the program does not need is the user's", fun users/0},
        {"an archive that has a foreign logging", fun archive/0},
        {"a foreign logging that comes into sys.path later is the user's", fun later/0},
        {"the order of sys.path", fun order/0},
        [{["sitecustomize imports a foreign ", Name, ": it is named"], fun() -> loaded(Name) end}
         || Name <- ["logging", "erlang"]],
        {"sitecustomize puts something else in the place of sys.stdout", fun other_stdout/0},
        {"a foreign encodings, which Python itself needs: it is named", fun early/0},
        {"a start that fails for another reason names no file", fun another/0}
    ]).

%% Those that the program imports, or that are imported for it.
names() ->
    ["erlang", "logging", "traceback", "threading", "typing", "warnings", "re", "weakref",
     "collections", "tokenize", "string"].

%% A directory with a module of this name, which is good for nothing.
dir(Name) ->
    dir(Name, "raise ImportError('the foreign one')\n").

dir(Name, Text) ->
    Dir = fixture:tmpdir(),
    ok = file:write_file(filename:join(Dir, Name ++ ".py"), Text),
    Dir.

open(Args, Env, More) ->
    open_port({spawn_executable, fixture:program()},
              [{args, Args}, {env, [{"PYTHONPATH", false} | Env]}, {packet, 4}, binary, exit_status
               | More]).

open("--path", Dir) -> open(["--path", Dir], [], []);
open("PYTHONPATH", Dir) -> open([], [{"PYTHONPATH", "/no/such/dir:" ++ Dir}], []);
open("cwd", Dir) -> open([], [], [{cd, Dir}]);
open(_, Dir) -> open([], [{"PYTHONPATH", ":/no/such/dir"}], [{cd, Dir}]).

%% A worker that does what needs these modules.
harmless(Where, Name) ->
    knows_its_own(open(Where, dir(Name))).

knows_its_own(Port) ->
    {ok, #{}} = raw:ask(Port, hello),
    ok = raw:ask(Port, {listen, true, 1 bsl 20}),
    Log = <<"import erlang, logging; logging.getLogger('x').error(str(erlang.Atom('seen')))">>,
    raw:send(Port, {1, {exec, Log}}),
    ?assertMatch({event, log, #{level := error, text := <<"seen">>}}, raw:recv(Port)),
    ?assertEqual({1, ok}, raw:recv(Port)),
    raw:send(Port, {2, {exec, <<"1/0">>}, #{traceback => true}}),
    ?assertMatch({2, {error, {'ZeroDivisionError', _, #{frames := [_]}}}}, raw:recv(Port)),
    {ok, _} = raw:ask(Port, stack),
    raw:close(Port).

archive() ->
    Zip = filename:join(fixture:tmpdir(), "archive.zip"),
    {ok, _} = zip:create(Zip, [{"logging.py", <<"raise ImportError('the foreign one')">>}]),
    knows_its_own(open("--path", Zip)).

%% It is imported, nothing of it is followed, and the rest goes on.
later() ->
    Port = open([], [], []),
    ok = raw:ask(Port, {listen, true, 1 bsl 20}),
    Import = ["import sys; sys.path.insert(0, '", dir("logging", "x = 1\n"), "')\n"
              "import logging"],
    ok = raw:ask(Port, {exec, iolist_to_binary(Import)}),
    ?assertEqual({ok, 1}, raw:ask(Port, {eval, <<"logging.x">>, #{}})),
    raw:send(Port, {1, {exec, <<"print('seen')">>}}),
    ?assertMatch({event, log, #{text := <<"seen">>}}, raw:recv(Port)),
    ?assertEqual({1, ok}, raw:recv(Port)),
    raw:close(Port).

users() ->
    [begin
         Port = open(Where, dir("json", "mine = True\n")),
         ?assertEqual({Where, {ok, true}},
                      {Where, raw:ask(Port, {eval, <<"__import__('json').mine">>, #{}})}),
         raw:close(Port)
     end || Where <- ["--path", "PYTHONPATH"]].

%% The user's directories in front, in their order, and ours at the end.
order() ->
    [One, Two, Three] = [dir("a") || _ <- [1, 2, 3]],
    Port = open(["--path", One, "--path", Two], [{"PYTHONPATH", Three}], []),
    {ok, Path} = raw:ask(Port, {eval, <<"__import__('sys').path">>, #{}}),
    ?assertEqual([list_to_binary(Dir) || Dir <- [One, Two, Three]], lists:sublist(Path, 3)),
    ?assertEqual(filename:join(filename:dirname(fixture:program()), "python"),
                 binary_to_list(lists:last(Path))),
    ?assertEqual(length(Path), length(lists:usort(Path))),
    raw:close(Port).

%% It has been imported before ours could be.
loaded(Name) ->
    Dir = dir(Name, "x = 1\n"),
    ok = file:write_file(filename:join(Dir, "sitecustomize.py"), ["import ", Name, "\n"]),
    named(filename:join(Dir, Name ++ ".py"), Dir).

other_stdout() ->
    Dir = dir("sitecustomize", "import codecs, sys\n"
                               "sys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)\n"
                               "sys.stderr = None\n"),
    Port = open("PYTHONPATH", Dir),
    ok = raw:ask(Port, {listen, true, 1 bsl 20}),
    raw:send(Port, {1, {exec, <<"import sys\nprint('seen')\nprint('too', file=sys.stderr)">>}}),
    [?assertMatch({event, log, #{text := Text}}, raw:recv(Port))
     || Text <- [<<"seen">>, <<"too">>]],
    ?assertEqual({1, ok}, raw:recv(Port)),
    raw:close(Port).

early() ->
    Dir = dir("encodings"),
    named(filename:join(Dir, "encodings.py"), Dir).

named(File, Dir) ->
    Why = fails([{"PYTHONPATH", Dir}]),
    ?assertEqual({true, Why}, {fixture:contains(Why, File), Why}),
    ?assertEqual({true, Why}, {fixture:contains(Why, "rename it"), Why}).

fails(Env) ->
    Port = open([], Env, []),
    {undefined, {error, {start_failed, Why}}} = raw:recv(Port),
    raw:send(Port, {1, hello}),
    {exit_status, 70} = raw:recv(Port),
    Why.

another() ->
    Why = fails([{"PYTHONPATH", dir("mine")}, {"PYTHONHOME", "/no/such/home"}]),
    ?assertNot(fixture:contains(Why, "in the way")).
