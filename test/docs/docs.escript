#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Every example in the documents: the fenced blocks of README.md, HACKING.md
%% and docs/*.md are run, each page in one session of its own (see
%% test/lib/session.erl for what a block may hold, test/lib/markdown.erl for
%% how blocks are marked). After ```LANGUAGE:
%%
%%   erlang   evaluated; what is expected stands in comments "%% => Term"
%%   python   given to py:exec, in the worker of the page's session
%%   sh       run by sh -e in the build tree; with lines "$ COMMAND", these
%%   elixir   all of a page's blocks together, where elixir is installed
%%   no-run   behind the language: only an illustration
%%
%% Blocks of other languages, and of none, are not run.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        self_test(),
        [page(File) || File <- pages()],
        {"test/README.md has a line for each file of the tests", fun tests_are_told/0}
    ])).

pages() ->
    [filename:join(fixture:srcdir(), Name) || Name <- ["README.md", "HACKING.md"]]
        ++ [File || File <- filelib:wildcard(filename:join([fixture:srcdir(), "docs", "*.md"])),
                    filename:basename(File) =/= "limits.md" orelse not is_sanitized()].

%% A sanitizer reserves more address space than any limit leaves.
is_sanitized() ->
    os:getenv("PYPORT_SANITIZERS", "") =/= "".

%% ---------------------------------------------------------------------------

page(File) ->
    {ok, Text} = file:read_file(File),
    Name = lists:nthtail(length(fixture:srcdir()) + 1, File),
    Blocks = markdown:blocks(Text),
    Session = list_to_atom(Name),
    [[{[Name, ": a session"], fun() -> start(Session) end}],
     [block(Name, Session, Block) || Block <- Blocks, is_language(Block)],
     elixir(Name, [Code || #{language := "elixir", run := true, text := Code} <- Blocks]),
     [{[Name, ": the end of the session"], fun() -> session:stop(whereis(Session)) end}]].

%% The session outlives the test that starts it.
start(Name) ->
    Self = self(),
    spawn(fun() ->
        Session = session:start(),
        register(Name, Session),
        Self ! started,
        receive never -> ok end
    end),
    receive started -> ok end.

is_language(#{language := Language}) ->
    lists:member(Language, ["erlang", "python", "sh"]).

block(Name, Session, #{line := Line, language := Language, run := Run, text := Text}) ->
    {io_lib:format("~ts:~b ~ts", [Name, Line, Language]), 150_000,
     fun() ->
         Run orelse tap:skip("an illustration (no-run)"),
         lists:member(Name, ["docs/memory.md", "docs/profile.md"])
             andalso fixture:unless_sanitized(),
         run(Language, Session, Text)
     end}.

run("erlang", Session, Text) -> session:run(whereis(Session), Text);
run("python", Session, Text) -> session:run(whereis(Session), python, Text);
run("sh", _, Text) -> shell(Text).

%% Each by its name, in its folder's section.
tests_are_told() ->
    Dir = filename:join(fixture:srcdir(), "test"),
    {ok, Text} = file:read_file(filename:join(Dir, "README.md")),
    [Top | Sections] = binary:split(Text, <<"\n## ">>, [global]),
    Told = [filename:join(hd(binary:split(Section, <<"/">>)), Name)
            || Section <- Sections, Name <- names(Section)] ++ names(Top),
    Files = filelib:wildcard("**/*.{escript,erl,py,c,h}", Dir),
    ?assert(length(Files) > 80),
    ?assertEqual([], [File || File <- Files, not lists:member(list_to_binary(File), Told)]),
    ?assertEqual([], [Name || Name <- Told, not filelib:is_file(filename:join(Dir, Name))]).

%% What stands in the first column of a table.
names(Section) ->
    Rows = [hd(binary:split(Row, <<" |">>)) || <<"| ", Row/binary>> <- binary:split(Section, <<"\n">>, [global])],
    [Name || Row <- Rows,
             {match, Names} <- [re:run(Row, "`([^`]+)`", [global, {capture, all_but_first, binary}])],
             [Name] <- Names].

%% ---------------------------------------------------------------------------
%% Other languages

shell(Text) ->
    File = filename:join(fixture:tmpdir(), "block.sh"),
    ok = file:write_file(File, unicode:characters_to_binary(commands(Text))),
    execute("sh -e " ++ File).

%% Of a terminal's text only the commands: lines with "$ " in front.
commands(Text) ->
    Lines = string:split(Text, "\n", all),
    case [Command || "$ " ++ Command <- Lines] of
        [] -> Text;
        Commands -> lists:join("\n", Commands)
    end.

execute(Command) ->
    Output = os:cmd(Command ++ " 2>&1 </dev/null; echo \"=$?\""),
    lists:suffix("=0\n", Output) orelse error({failed, Command, Output}).

elixir(_, []) ->
    [];
elixir(Name, Blocks) ->
    [{[Name, ": elixir"], 150_000, fun() ->
        os:find_executable("elixir") =/= false orelse tap:skip("elixir is not installed"),
        File = filename:join(fixture:tmpdir(), "page.exs"),
        ok = file:write_file(File, unicode:characters_to_binary(lists:join("\n", Blocks))),
        execute("elixir " ++ File)
    end}].

%% ---------------------------------------------------------------------------
%% The runner itself

self_test() ->
    [{"self-test: " ++ What, fun() -> ?assertEqual(Expected, outcome(Page)) end}
     || {What, Page, Expected} <- samples()]
        ++ [{"self-test: blocks, flags, hidden ones", fun extraction/0},
            {"self-test: commands of a terminal's text", fun terminal_text/0}].

%% {What, a page, whether its blocks pass}
samples() ->
    [{"expressions that hold",
      "```erlang\nX = 1,\nX + 1.\n%% => 2\n{X, #{a => 1, b => 2}}.\n"
      "%% => {1, #{a => 1}}\n```", passes},
     {"one that does not hold", "```erlang\n1 + 1.\n%% => 3\n```", differs},
     {"a map without the key that is shown", "```erlang\n#{}.\n%% => #{a => _}\n```", differs},
     {"an expectation of several lines",
      "```erlang\n{a, [1, 2]}.\n%% => {a,\n%%      [1, ...]}\n```", passes},
     {"bindings go from block to block",
      "```erlang\nY = 7.\n```\ntext\n```erlang\nY.\n%% => 7\n```", passes},
     {"a match that fails", "```erlang\n{ok, _} = error.\n```", raises},
     {"an error of syntax", "```erlang\nfoo(.\n```", raises},
     {"a shell session",
      "```erlang\n1> A = 1,\n   A + 1.\n2\n2> {A, self()}.\n{1,...}\n3> ok.\nok\n```", passes},
     {"a shell session with comments",
      "```erlang\n1> B = 1.\n2> {B, self()}.\n%% => {1,...}\n```", passes},
     {"a shell session that lies", "```erlang\n1> 1 + 1.\n3\n```", differs},
     {"functions, then a call of one", "```erlang\n%% Doubles.\ntwice(N) ->\n    N + plus(N).\n\n"
      "plus(N) -> N.\n```\n```erlang\ntwice(4).\n%% => 8\n```", passes},
     {"functions that do not compile", "```erlang\ntwice(N) ->\n    M * 2.\n```", raises},
     {"a hidden block binds", "<!-- erlang: Z = 5. -->\n```erlang\nZ.\n%% => 5\n```", passes},
     {"Python", "```python\ndef f():\n    return '☃'\n```\n```erlang\npy:eval(<<\"f()\">>).\n"
      "%% => {ok, <<\"☃\"/utf8>>}\n```", passes},
     {"Python that raises", "```python\n1/0\n```", raises},
     {"calls of the application",
      "```erlang\n{ok, N} = py:eval(<<\"1 + 1\">>), N.\n%% => 2\n```", passes}].

outcome(Page) ->
    Session = session:start(),
    try
        [session:run(Session, list_to_existing_atom(Language), Text)
         || #{language := Language, run := true, text := Text} <- markdown:blocks(Page)],
        passes
    catch
        error:{differs, _} -> differs;
        _:_ -> raises
    after
        session:stop(Session)
    end.

extraction() ->
    Page = "a\n```erlang\n1.\n```\n\n  ```sh no-run\n  x\n    y\n  ```\n"
           "<!-- erlang: A = 1,\n  B. -->\n```\nplain\n```\n",
    ?assertEqual([#{line => 2, language => "erlang", run => true, text => "1."},
                  #{line => 6, language => "sh", run => false, text => "x\n  y"},
                  #{line => 10, language => "erlang", run => true, text => " A = 1,\n  B. "},
                  #{line => 12, language => "", run => true, text => "plain"}],
                 markdown:blocks(Page)),
    ?assertError({fence_never_closed, {line, 1}}, markdown:blocks("```erlang\n1.\n")).

terminal_text() ->
    ?assertEqual("true\nls", lists:flatten(commands("$ true\n$ ls\nfile\n"))),
    ?assertEqual(true, shell("true\n")),
    ?assertError({failed, _, _}, shell("$ false\n$ true\n")).
