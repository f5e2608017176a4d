#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%
%% guides.escript DIRECTORY FILE.md...: the guides as HTML pages beside the reference.
%% Of Markdown it knows what they use: headings, paragraphs, lists, tables, blocks of
%% code, `code`, **bold** and links; those between pages lead to the HTML pages.
-mode(compile).

main([Dir | Files]) ->
    [page(Dir, File, Files) || File <- Files],
    ok.

page(Dir, File, Files) ->
    {ok, Text} = file:read_file(File),
    Lines = [unicode:characters_to_list(Line) || Line <- binary:split(Text, <<"\n">>, [global])],
    Output = filename:join(Dir, html_name(File)),
    Html = ["<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>py: ", title(Lines), "</title>\n",
            "<style>", style(), "</style></head>\n<body><nav>", nav(File, Files), "</nav><main>\n",
            blocks(Lines), "</main></body></html>\n"],
    ok = file:write_file(Output, unicode:characters_to_binary(Html)).

html_name(File) -> filename:basename(File, ".md") ++ ".html".

title(["# " ++ Title | _]) -> escape(Title);
title([_ | Lines]) -> title(Lines).

style() ->
    "body{font:16px/1.5 sans-serif;margin:0;display:flex}nav{padding:2em 1em;background:#f4f4f4}"
    "nav a{display:block;white-space:nowrap}main{padding:1em 2em;max-width:60em;min-width:0}"
    "pre{background:#f4f4f4;padding:.7em;overflow:auto}code{background:#f4f4f4}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left;"
    "vertical-align:top}".

nav(File, Files) ->
    ["<a href=\"index.html\">Modules</a>" |
     [["<a href=\"", html_name(Other), "\">", bold(Other =:= File, filename:basename(Other, ".md")),
       "</a>"] || Other <- Files]].

bold(true, Text) -> ["<b>", Text, "</b>"];
bold(false, Text) -> Text.

%% ---------------------------------------------------------------------------
%% Blocks

blocks([]) -> [];
blocks(["" | Lines]) -> blocks(Lines);
blocks(["<!--" ++ _ | Lines]) -> blocks(Lines);
blocks(["```" ++ _ | Lines]) ->
    {Code, [_ | Rest]} = lists:splitwith(fun(Line) -> Line =/= "```" end, Lines),
    [pre(Code) | blocks(Rest)];
blocks(["    " ++ _ | _] = Lines) ->
    {Code, Rest} = lists:splitwith(fun is_indented/1, Lines),
    [pre([strip(Line) || Line <- Code]) | blocks(Rest)];
blocks(["#" ++ _ = Line | Lines]) -> [heading(Line) | blocks(Lines)];
blocks(["|" ++ _ | _] = Lines) ->
    {Rows, Rest} = lists:splitwith(fun(Line) -> lists:prefix("|", Line) end, Lines),
    [table(Rows) | blocks(Rest)];
blocks(["- " ++ _ | _] = Lines) -> list(Lines, "- ", "ul");
blocks(["1. " ++ _ | _] = Lines) -> list(Lines, "", "ol");
blocks(Lines) ->
    {Text, Rest} = lists:splitwith(fun is_text/1, Lines),
    [["<p>", inline(joined(Text)), "</p>\n"] | blocks(Rest)].

is_indented(Line) -> Line =:= "" orelse lists:prefix("    ", Line).

strip("    " ++ Text) -> Text;
strip(Text) -> Text.

is_text(Line) ->
    Line =/= "" andalso not lists:any(fun(Mark) -> lists:prefix(Mark, Line) end, ["```", "#", "|", "- "]).

joined(Lines) -> lists:append(lists:join(" ", [string:trim(Line) || Line <- Lines])).

pre(Lines) ->
    ["<pre>", escape(string:trim(lists:append(lists:join("\n", Lines)), trailing)), "</pre>\n"].

heading(Line) ->
    {Marks, Text} = lists:splitwith(fun(C) -> C =:= $# end, Line),
    Level = integer_to_list(length(Marks)),
    ["<h", Level, " id=\"", slug(string:trim(Text)), "\">", inline(string:trim(Text)), "</h", Level, ">\n"].

%% As it is linked to.
slug(Text) ->
    [case C of $\s -> $-; _ -> C end
     || C <- string:lowercase(Text), C =:= $\s orelse C =:= $- orelse C =:= $_
            orelse (C >= $a andalso C =< $z) orelse (C >= $0 andalso C =< $9)].

%% An item goes on in the lines that are indented.
list(Lines, Mark, Tag) ->
    {Items, Rest} = lists:splitwith(fun(Line) -> is_item(Line) orelse lists:prefix(" ", Line) end, Lines),
    [["<", Tag, ">", [["<li>", inline(Item), "</li>\n"] || Item <- items(Items, Mark)], "</", Tag, ">\n"]
     | blocks(Rest)].

is_item(Line) -> re:run(Line, "^(- |[0-9]+\\. )", [unicode, {capture, none}]) =:= match.

items([], _) -> [];
items([First | Lines], Mark) ->
    {More, Rest} = lists:splitwith(fun(Line) -> not is_item(Line) end, Lines),
    [_, Text] = string:split(First, " "),
    [joined([Text | More]) | items(Rest, Mark)].

%% The first row is the head; it may be empty.
table([Head, _ | Rows]) ->
    ["<table>", head(cells(Head)), [row("td", cells(Row)) || Row <- Rows], "</table>\n"].

head(Cells) ->
    case lists:all(fun(Cell) -> Cell =:= "" end, Cells) of
        true -> "";
        false -> row("th", Cells)
    end.

row(Tag, Cells) ->
    ["<tr>", [["<", Tag, ">", inline(Cell), "</", Tag, ">"] || Cell <- Cells], "</tr>\n"].

%% A bar inside of code has a backslash in front.
cells(Row) ->
    Inner = string:trim(string:trim(Row), both, "|"),
    [string:trim(string:replace(Cell, "\\|", "|", all))
     || Cell <- re:split(Inner, "(?<!\\\\)\\|", [unicode, {return, list}])].

%% ---------------------------------------------------------------------------
%% Inside of a line

inline([]) -> [];
inline("`" ++ Rest) ->
    [Code | After] = string:split(Rest, "`"),
    ["<code>", escape(Code), "</code>" | inline(lists:append(After))];
inline("**" ++ Rest) ->
    [Text, After] = string:split(Rest, "**"),
    ["<b>", inline(Text), "</b>" | inline(After)];
inline("[" ++ Rest) -> link(re:run(Rest, "^(.*?)\\]\\(([^)]*)\\)(.*)$",
                                   [unicode, dotall, {capture, all_but_first, list}]), Rest);
inline([C | Rest]) -> [escape([C]) | inline(Rest)].

link({match, [Text, To, After]}, _) ->
    ["<a href=\"", target(To), "\">", inline(Text), "</a>" | inline(After)];
link(nomatch, Rest) ->
    ["[" | inline(Rest)].

%% All pages are in one folder here.
target("http" ++ _ = Url) -> Url;
target("#" ++ _ = Anchor) -> Anchor;
target(Path) ->
    [File | Anchor] = string:split(Path, "#"),
    case filename:extension(File) of
        ".md" -> [html_name(File), [["#", A] || A <- Anchor]];
        _ -> filename:basename(File)
    end.

escape(Text) ->
    [case C of $< -> "&lt;"; $> -> "&gt;"; $& -> "&amp;"; _ -> C end || C <- lists:flatten(Text)].
