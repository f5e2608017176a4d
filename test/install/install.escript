#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% `make install' of this build, in a folder with a blank in its name; and what
%% ./bootstrap and ./configure say where there is nothing to build.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Prefix = filename:join(fixture:tmpdir(), "in stalled"),
    tap:run([
        {must, "make install", 300_000, fun() -> installs(Prefix) end},
        {"its last line says how erl finds it", fun() -> is_found(Prefix) end},
        {"documents, examples and the licence are there", fun() -> has_documents(Prefix) end},
        {"make uninstall leaves no file", fun() -> uninstalls(Prefix) end},
        {"where erl looks, there is nothing to set", fun found_at_once/0},
        {"DESTDIR stands in no path", fun staged/0},
        {"a Python that is not there is named", fun no_python/0},
        {"off Linux one sentence, and a stop", fun not_linux/0}
    ]).

builddir() ->
    os:getenv("top_builddir", fixture:srcdir()).

make(Arguments) ->
    elsewhere:run(builddir(), [], "make", ["-s" | Arguments]).

last_line(Text) ->
    lists:last(string:lexemes(Text, "\n")).

installs(Prefix) ->
    {0, Text} = make(["install", "prefix=" ++ Prefix]),
    ok = file:write_file(Prefix ++ ".log", Text),
    ?assertEqual(nomatch, string:find(Text, "strip")).

is_found(Prefix) ->
    {ok, Text} = file:read_file(Prefix ++ ".log"),
    {match, [Libs]} = re:run(last_line(Text), "export ERL_LIBS=\"(.*)\"$",
                             [{capture, all_but_first, list}]),
    Run = "{ok, _} = application:ensure_all_started(py), {ok, N} = py:eval(<<\"6 * 7\">>), "
          "io:format(\"~b ~s\", [N, code:lib_dir(py)]), halt().",
    ?assertEqual({0, iolist_to_binary(["42 ", Libs, "/py-", version()])},
                 elsewhere:run("/", [{"ERL_LIBS", Libs}], "erl", ["-noshell", "-eval", Run])).

version() ->
    _ = application:load(py),
    {ok, Version} = application:get_key(py, vsn),
    Version.

%% Each link from one of the pages to another leads somewhere, but for that which is
%% for those who have the sources.
has_documents(Prefix) ->
    Doc = filename:join(Prefix, "share/doc/pyport"),
    [?assert(filelib:is_regular(filename:join(Doc, Name)))
     || Name <- ["README.md", "NEWS.md", "LICENSE", "docs/operation.md", "examples/survey.py"]],
    {0, _} = elsewhere:run(Doc, [{"ERL_LIBS", os:getenv("ERL_LIBS")}], "escript",
                           ["examples/raw_port.escript"]),
    Pages = filelib:wildcard(filename:join(Doc, "**/*.md")),
    ?assertEqual([], [{Page, Link} || Page <- Pages, Link <- links(Page),
                                      not filelib:is_regular(filename:join(filename:dirname(Page), Link))]).

links(Page) ->
    {ok, Text} = file:read_file(Page),
    Sources = ["test/README.md", "bench/README.md"],
    {match, Found} = re:run([Text, "[](test/README.md)"], "\\]\\(([^):#]+)(?:#[^)]*)?\\)",
                            [global, {capture, all_but_first, list}]),
    [Link || [Link] <- Found, not lists:member(Link, Sources)].

uninstalls(Prefix) ->
    {0, _} = make(["uninstall", "prefix=" ++ Prefix]),
    ?assertEqual([], [File || File <- filelib:wildcard(filename:join(Prefix, "**")),
                              filelib:is_regular(File)]).

%% Without installing anything.
found_at_once() ->
    Installed = filename:join(fixture:srcdir(), "build-aux/installed"),
    ?assertEqual({0, <<"pyport: erl finds the application: /a b/lib/py-1\n">>},
                 elsewhere:run("/", [], "sh", [Installed, "/a b/lib/py-1", "/a b/lib"])).

%% The byte code names its sources where they will be.
staged() ->
    Stage = filename:join(fixture:tmpdir(), "sta ge"),
    {0, _} = make(["install", "prefix=/opt/somewhere", "DESTDIR=" ++ Stage]),
    [File | _] = filelib:wildcard(filename:join(Stage, "**/__pycache__/_log.*.pyc")),
    {ok, Code} = file:read_file(File),
    ?assertEqual(nomatch, binary:match(Code, <<"sta ge">>)),
    ?assertNotEqual(nomatch, binary:match(Code, <<"/opt/somewhere/">>)).

%% ---------------------------------------------------------------------------

%% A copy, because an attempt must not change how this tree is configured.
no_python() ->
    Dir = elsewhere:copy("no python"),
    {1, Said} = elsewhere:run(Dir, [], "/bin/sh", ["bootstrap", "PYTHON=/no/such/python3"]),
    ?assertEqual(<<"bootstrap: PYTHON=/no/such/python3: there is no such program\n">>, Said),
    {0, _} = elsewhere:run(Dir, [], "/bin/sh", ["bootstrap", "--no-install", "--generate"]),
    {Status, Words} = elsewhere:run(Dir, [], "/bin/sh", ["configure", "PYTHON=/no/such/python3"]),
    ?assertNotEqual(0, Status),
    ?assertEqual(<<"configure: error: PYTHON=/no/such/python3 is not a CPython 3.10 or newer">>,
                 last_line(Words)).

%% What uname says is all that is asked.
not_linux() ->
    Dir = elsewhere:copy("not linux"),
    Uname = filename:join(Dir, "bin/uname"),
    ok = filelib:ensure_dir(Uname),
    {0, _} = elsewhere:run(Dir, [], "/bin/sh", ["bootstrap", "--no-install", "--generate"]),
    ok = file:write_file(Uname, "#!/bin/sh\necho FreeBSD\n"),
    ok = file:change_mode(Uname, 8#755),
    Env = [{"PATH", filename:dirname(Uname) ++ ":" ++ os:getenv("PATH")}],
    ?assertEqual({1, <<"bootstrap: pyport runs on Linux only\n">>},
                 elsewhere:run(Dir, Env, "/bin/sh", ["bootstrap"])),
    {1, Words} = elsewhere:run(Dir, Env, "/bin/sh", ["configure"]),
    ?assertEqual(<<"configure: error: pyport runs on Linux only: this is FreeBSD">>,
                 last_line(Words)).
