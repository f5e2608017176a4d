#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% edoc.escript DIRECTORY SOURCE...: the modules' reference as HTML.
-mode(compile).

main([Dir | Names]) ->
    case code:which(edoc) of
        non_existing -> io:format("docs: SKIP: edoc was not found (Debian: erlang-edoc)~n");
        _ -> make(Dir, Names)
    end.

make(Dir, Names) ->
    Sources = [filename:join(os:getenv("top_srcdir", "."), Name) || Name <- Names],
    ok = edoc:files(Sources, [{application, py}, {dir, Dir}, {new, true}]),
    io:format("docs: ~ts~n", [filename:absname(filename:join(Dir, "index.html"))]).
