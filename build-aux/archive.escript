#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% archive.escript OUTPUT MODULE EBIN FILE...: an escript that consists of these files of
%% an application's ebin, and calls MODULE:main/1. It needs nothing but Erlang.
-mode(compile).

main([Output, Module, Ebin | Names]) ->
    Files = [{"py/ebin/" ++ Name, read(filename:join(Ebin, Name))} || Name <- Names],
    Flags = "-escript main " ++ Module ++ " -noinput",
    ok = escript:create(Output ++ ".tmp", [shebang, {emu_args, Flags}, {archive, Files, []}]),
    ok = file:change_mode(Output ++ ".tmp", 8#755),
    ok = file:rename(Output ++ ".tmp", Output).

read(File) ->
    {ok, Bytes} = file:read_file(File),
    Bytes.
