%% SPDX-License-Identifier: Apache-2.0
%%
%% The sources in another folder, whose name has a blank, and what is run there.
-module(elsewhere).

-export([copy/1, run/4, edit/3]).

%% A repository with the files of this tree as they are now, in a folder of this
%% name below one for this test's own use.
-spec copy(string()) -> file:filename().
copy(Name) ->
    Dir = filename:join([fixture:tmpdir(), "folder with blanks", Name]),
    ok = filelib:ensure_dir(filename:join(Dir, "x")),
    {0, _} = run(fixture:srcdir(), [{"DIR", Dir}], "/bin/sh", ["-ec",
        "git ls-files -z --cached --others --exclude-standard |"
        " tar -c --null --ignore-failed-read -T - | tar -x -C \"$DIR\"\n"
        "cd \"$DIR\" && git init -q && git add -A\n"
        "git -c user.name=test -c user.email=test@localhost commit -q -m test"]),
    Dir.

%% Its exit status and all that it said. The end of that goes to the log, too, if it
%% fails. The tree and the build that are tested are unknown to it.
-spec run(file:filename(), [{string(), string()}], string(), [string()]) ->
          {non_neg_integer(), binary()}.
run(Dir, Env, Program, Arguments) ->
    Unknown = [{Name, false} || Name <- ["ERL_LIBS", "ERL_AFLAGS", "PYPORT", "top_srcdir",
                                         "top_builddir"]],
    Port = open_port({spawn_executable, os:find_executable(Program)},
                     [{cd, Dir}, {args, Arguments}, {env, Unknown ++ Env}, binary, exit_status,
                      stderr_to_stdout]),
    case said(Port, <<>>) of
        {0, _} = Done -> Done;
        {_, Text} = Failed -> tap:note("~ts ~0tp: ~ts", [Program, Arguments, tail(Text)]), Failed
    end.

said(Port, Text) ->
    receive
        {Port, {data, More}} -> said(Port, <<Text/binary, More/binary>>);
        {Port, {exit_status, Status}} -> {Status, Text}
    end.

tail(Text) ->
    Lines = string:lexemes(Text, "\n"),
    lists:join("\n", lists:nthtail(max(0, length(Lines) - 20), Lines)).

%% Replaces what is found first in a file, once.
-spec edit(file:filename(), iodata(), iodata()) -> ok.
edit(File, Regex, Text) ->
    {ok, Old} = file:read_file(File),
    New = re:replace(Old, Regex, [string:replace(Text, "\\", "\\\\", all)], [{return, binary}]),
    false = New =:= Old,
    file:write_file(File, New).
