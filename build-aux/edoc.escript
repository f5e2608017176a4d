#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% edoc.escript DIRECTORY SOURCE...: the public modules' reference as HTML, with an
%% overview that leads to the guides, which are there already.
-mode(compile).

main([Dir | Names]) ->
    case code:which(edoc) of
        non_existing -> io:format("docs: SKIP: edoc was not found (Debian: erlang-edoc)~n");
        _ -> make(Dir, Names)
    end.

make(Dir, Names) ->
    Sources = [filename:join(os:getenv("top_srcdir", "."), Name) || Name <- Names],
    Overview = filename:join(Dir, "overview.edoc"),
    ok = file:write_file(Overview, unicode:characters_to_binary(overview(Dir, Names))),
    ok = edoc:files(Sources, [{application, py}, {dir, Dir}, {new, true}, {overview, Overview},
                              {file_suffix, ".html"}]),
    io:format("docs: ~ts~n", [filename:absname(filename:join(Dir, "index.html"))]).

overview(Dir, Names) ->
    Guides = filelib:wildcard("*.html", Dir) -- own(Names),
    ["@title py: Python for Erlang\n@doc Python in supervised operating-system processes. "
     "The module {@link py} is for every day, {@link py_context} for names of one's own, "
     "{@link py_handle} for objects that stay in Python, "
     "{@link py_mem} for who investigates memory, {@link py_profile} for what has it, "
     "{@link py_state} for what workers share.\n"
     "<h2>Guides</h2>\n<ul>\n", [guide(Guide) || Guide <- ["README.html" | Guides -- ["README.html"]]],
     "</ul>\n"].

%% What edoc makes.
own(Names) ->
    ["index.html", "overview-summary.html", "modules-frame.html", "packages-frame.html"
     | [filename:basename(Name, ".erl") ++ ".html" || Name <- Names]].

guide(Name) ->
    ["<li><a href=\"", Name, "\" target=\"_top\">", filename:basename(Name, ".html"), "</a></li>\n"].
