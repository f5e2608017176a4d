#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% As a dependency of a rebar3 project, in a folder with blanks in its name: fetched,
%% built, used. `make check-install' runs it, because it builds everything.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    case os:find_executable("rebar3") of
        false -> tap:skip_all("rebar3 was not found (Debian: rebar3)");
        _ -> tap:run(tests(elsewhere:copy("repository")))
    end.

tests(Repository) ->
    Dir = filename:join(filename:dirname(Repository), "a project"),
    [{must, "a dependency on the repository is built", 900_000,
      fun() -> builds(Dir, Repository) end},
     {"a project that depends on it runs", fun() -> runs(Dir) end},
     {"a release runs elsewhere", 120_000, fun() -> release(Dir) end}].

rebar3(Dir, Arguments) ->
    elsewhere:run(Dir, [{"REBAR_COLOR", "none"}], "rebar3", Arguments).

builds(Dir, Repository) ->
    write(Dir, "rebar.config",
          ["{deps, [{py, {git, \"", Repository, "\", {branch, \"", branch(Repository), "\"}}}]}.\n"
           "{relx, [{release, {one, \"1\"}, [one]}, {mode, prod}, {include_erts, false}]}.\n"]),
    write(Dir, "src/one.app.src",
          "{application, one, [{vsn, \"1\"}, {applications, [kernel, stdlib, py]}]}.\n"),
    write(Dir, "src/one.erl",
          "-module(one).\n-export([two/0]).\n"
          "two() -> {ok, _} = application:ensure_all_started(one),\n"
          "         {ok, 2} = py:eval(<<\"1 + 1\">>), io:format(\"~s\", [code:priv_dir(py)]).\n"),
    ?assertMatch({0, _}, rebar3(Dir, ["compile"])).

write(Dir, Name, Text) ->
    File = filename:join(Dir, Name),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, Text).

branch(Repository) ->
    {0, Branch} = elsewhere:run(Repository, [], "git", ["rev-parse", "--abbrev-ref", "HEAD"]),
    string:trim(Branch).

runs(Dir) ->
    {0, Private} = erl(Dir, "-pa _build/default/lib/*/ebin"),
    ?assertNotEqual(nomatch, string:find(Private, "_build/default/lib/py")).

erl(Dir, Path) ->
    elsewhere:run(Dir, [], "/bin/sh", ["-c", "erl -noshell " ++ Path ++ " -s one two -s init stop"]).

%% Its libraries alone, for its start script does not know folders with blanks.
release(Dir) ->
    ?assertMatch({0, _}, rebar3(Dir, ["release"])),
    Moved = filename:join(filename:dirname(Dir), "moved"),
    ok = file:rename(filename:join(Dir, "_build/default/rel/one"), Moved),
    ok = file:rename(Dir, Dir ++ " hidden"),
    {0, Private} = erl(Moved, "-pa lib/*/ebin"),
    ?assertNotEqual(nomatch, string:find(Private, "lib/py")).
