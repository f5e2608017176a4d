#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A static Python without its module _sha2: nothing else is missing, and what
%% Python's own tests say of hashes and random numbers is true in the program.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"hashes and random numbers are there, however Python is linked", fun hashes/0}
        | [{What, 600_000, fun() -> without_sha2(Test) end}
           || {What, Test} <- [{"the symbols that are missing are those that there are stubs for",
                                fun missing/0},
                               {"the module cannot be imported", fun no_module/0}
                               | [{["Python's own ", Name], fun() -> own_test(Name) end}
                                  || Name <- ["test_hashlib", "test_hmac", "test_random"]]]]
    ]).

without_sha2(Test) ->
    is_chosen() orelse tap:skip("Python is linked with all of its modules"),
    Test().

is_chosen() ->
    {ok, Config} = file:read_file(filename:join(os:getenv("top_builddir", "."), "config.h")),
    binary:match(Config, <<"\n#define PYPORT_NO_SHA2 1\n">>) =/= nomatch.

%% What some object of the archive needs and none has, by the name that the stubs
%% have in common: all else comes from other libraries.
missing() ->
    os:find_executable("nm") =/= false orelse tap:skip("there is no nm"),
    Symbols = [string:lexemes(Line, " ")
               || Line <- string:lexemes(os:cmd("nm " ++ archive() ++ " 2>/dev/null"), "\n")],
    Needed = lists:usort([Name || ["U", Name] <- Symbols, string:prefix(Name, "python_") =/= nomatch]),
    ?assertEqual(stubs(), Needed -- [Name || [_, _, Name] <- Symbols]).

archive() ->
    Code = "import os, sysconfig; print(os.path.join(*map(sysconfig.get_config_var, ('LIBPL', 'LIBRARY'))))",
    string:trim(os:cmd(fixture:python() ++ " -c \"" ++ Code ++ "\"")).

stubs() ->
    Header = filename:join([os:getenv("top_srcdir", "."), "port", "loop", "sha2.h"]),
    {ok, Text} = file:read_file(Header),
    {match, Names} = re:run(Text, "\\bX\\((python_\\w+)\\)", [global, {capture, [1], list}]),
    lists:sort(lists:append(Names)).

no_module() ->
    Port = raw:open(),
    ?assertMatch({error, {'ModuleNotFoundError', _}}, raw:ask(Port, {exec, <<"import _sha2">>})),
    raw:close(Port).

hashes() ->
    Port = raw:open(),
    [?assertEqual({ok, crypto:hash(Type, <<"abc">>)},
                  raw:ask(Port, {eval, <<"getattr(__import__('hashlib'), n)(b'abc').digest()">>,
                                 #{n => atom_to_binary(Type)}}))
     || Type <- [sha224, sha256, sha384, sha512]],
    ?assertEqual({ok, true}, raw:ask(Port, {eval, <<"__import__('random').Random('a').random() < 1">>, #{}})),
    raw:close(Port).

own_test(Name) ->
    Port = raw:open(),
    Given = raw:ask(Port, {eval, <<"bool(__import__('importlib.util').util.find_spec('test.' + n))">>,
                           #{n => list_to_binary(Name)}}),
    Given =:= {ok, true} orelse tap:skip("Python's tests are not installed"),
    raw:send(Port, {1, {exec, ["import unittest\nresult = unittest.TextTestRunner(verbosity=0).run("
                               "unittest.defaultTestLoader.loadTestsFromName('test.", Name, "'))"]}}),
    {1, ok} = raw:recv(Port, 500_000),
    {ok, Ran} = raw:ask(Port, {eval, <<"result.testsRun">>, #{}}),
    ?assert(Ran > 20),
    ?assertEqual({ok, []}, raw:ask(Port, {eval, <<"[str(t) for t, _ in result.failures + result.errors]">>, #{}})),
    raw:close(Port).
