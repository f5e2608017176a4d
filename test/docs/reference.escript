#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What h(py, call) says in the shell: of each function and type of the public modules
%% something, and of the others nothing. And the guides as HTML: every link leads
%% somewhere.
-mode(compile).
-include_lib("kernel/include/eep48.hrl").
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    _ = application:load(py),
    tap:run([
        {"the modules that have a text are those with chunks", fun public/0},
        [{[atom_to_list(Module), ": ", What], fun() -> Test(Module) end}
         || Module <- documented(),
            {What, Test} <- [{"the module", fun module/1}, {"each function", fun functions/1},
                             {"each type", fun types/1}]],
        {"h(py, call)", fun call/0},
        {"paragraphs, lists and code", fun layout/0},
        {"the guides as HTML: links and anchors", 60_000, fun guides/0}
    ]).

documented() ->
    Dir = filename:join([filename:dirname(code:which(py)), "..", "doc", "chunks"]),
    lists:sort([list_to_atom(filename:basename(File, ".chunk"))
                || File <- filelib:wildcard("*.chunk", Dir)]).

%% Those whose file begins with a text for users.
public() ->
    Files = filelib:wildcard(filename:join(fixture:srcdir(), "erl/src/**/*.erl")),
    ?assertEqual([list_to_atom(filename:basename(File, ".erl"))
                  || File <- lists:sort(Files), {ok, Text} <- [file:read_file(File)],
                     binary:match(hd(binary:split(Text, <<"\n-module">>)), <<"@doc">>) =/= nomatch],
                 documented()).

docs(Module) ->
    {ok, #docs_v1{beam_language = erlang, format = <<"application/erlang+html">>} = Docs} =
        code:get_doc(Module),
    Docs.

entries(Kind, #docs_v1{docs = Entries}) ->
    [{{Name, Arity}, Doc} || {{K, Name, Arity}, _, _, Doc, _} <- Entries, K =:= Kind].

module(Module) ->
    #docs_v1{module_doc = #{<<"en">> := Blocks}} = Docs = docs(Module),
    ok = shell_docs:validate(Docs),
    [{p, [], [First | _]} | _] = Blocks,
    ?assertEqual(nomatch, string:find(First, "@")).

functions(Module) ->
    Entries = entries(function, docs(Module)),
    ?assertEqual(lists:sort(Module:module_info(exports)) -- [{module_info, 0}, {module_info, 1}],
                 lists:sort([Function || {Function, _} <- Entries])),
    ?assertEqual([], [Function || {Function, none} <- Entries]).

types(Module) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(Module), [abstract_code]),
    Exported = lists:append([Types || {attribute, _, export_type, Types} <- Forms]),
    Entries = entries(type, docs(Module)),
    ?assertEqual(lists:sort(Exported), lists:sort([Type || {Type, _} <- Entries])).

said(Docs, Name) ->
    unicode:characters_to_list(shell_docs:render(py, Name, Docs, #{ansi => false, columns => 200})).

call() ->
    Text = said(docs(py), call),
    [?assert(fixture:contains(Text, Part))
     || Part <- ["call(callee(), name(), args()) -> result().", "The same as call(Module, Function",
                 "Calls a Python function: {ok, 2.0} = py:call(math, sqrt, [4])."]].

layout() ->
    #docs_v1{module_doc = #{<<"en">> := Blocks}} = docs(py),
    ?assertMatch([_ | _], [Title || {h3, [], [Title]} <- Blocks]),
    [{dl, [], Items}] = [Block || {dl, _, _} = Block <- Blocks],
    ?assertMatch([{dt, [], [{code, [], [<<"{Class, Message}">>]}]}, {dd, [], [_ | _]} | _], Items).

guides() ->
    Dir = fixture:tmpdir(),
    Root = fixture:srcdir(),
    Files = [filename:join(Root, Name) || Name <- ["README.md", "HACKING.md", "NEWS.md", "SECURITY.md"],
                                          filelib:is_file(filename:join(Root, Name))]
        ++ filelib:wildcard(filename:join(Root, "docs/*.md")),
    "" = os:cmd(lists:join(" ", ["escript", filename:join(Root, "build-aux/guides.escript"), Dir | Files])
                ++ " 2>&1"),
    Pages = [{filename:basename(Page), element(2, file:read_file(Page))}
             || Page <- filelib:wildcard(filename:join(Dir, "*.html"))],
    ?assertEqual(length(Files), length(Pages)),
    ?assertEqual([], [{Page, Link} || {Page, Html} <- Pages, Link <- found("href=\"([^\"]*)\"", Html),
                                      not leads(Link, Page, Pages)]).

found(Regex, Html) ->
    case re:run(Html, Regex, [global, unicode, {capture, all_but_first, list}]) of
        {match, All} -> lists:append(All);
        nomatch -> []
    end.

leads("http" ++ _, _, _) -> true;
leads("index.html", _, _) -> true;
leads("LICENSE", _, _) -> true;
leads(Link, Page, Pages) ->
    case string:split(Link, "#") of
        ["", Anchor] -> has(Anchor, Page, Pages);
        [Other, Anchor] -> has(Anchor, Other, Pages);
        [Other] -> lists:keymember(Other, 1, Pages)
    end.

has(Anchor, Page, Pages) ->
    {_, Html} = lists:keyfind(Page, 1, Pages),
    lists:member(Anchor, found("id=\"([^\"]*)\"", Html)).
