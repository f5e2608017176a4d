%% SPDX-License-Identifier: Apache-2.0
%%
%% The fenced blocks of a Markdown page. Pure text in, list out.
%%
%% A block starts with a line ```LANGUAGE [no-run], may be indented (in a
%% list), and ends with ```. An HTML comment <!-- LANGUAGE: CODE --> is a
%% hidden block: it is run like the others but not shown to readers, to bind
%% what an example takes for granted.
-module(markdown).

-export([blocks/1]).
-export_type([block/0]).

-type block() :: #{line := pos_integer(),       % of the fence or comment
                   language := string(),
                   run := boolean(),            % false: only an illustration
                   text := string()}.

-spec blocks(unicode:chardata()) -> [block()].
blocks(Page) ->
    Lines = string:split(unicode:characters_to_list(Page), "\n", all),
    outside(lists:zip(lists:seq(1, length(Lines)), Lines)).

outside([]) ->
    [];
outside([{Number, Line} | Rest]) ->
    case opening(Line) of
        {fence, Indent, Info} -> inside(Number, Indent, words(Info), Rest, []);
        {comment, Language, Start} -> hidden(Number, Language, [{Number, Start} | Rest], []);
        no -> outside(Rest)
    end.

opening(Line) ->
    case re:run(Line, "^(\\s*)(```+)\\s*([^`]*)$", [{capture, all_but_first, list}, unicode]) of
        {match, [Indent, _, Info]} -> {fence, length(Indent), Info};
        nomatch -> comment(Line)
    end.

comment(Line) ->
    case re:run(Line, "^\\s*<!--\\s*(erlang|sh|elixir|python):(.*)$",
                [{capture, all_but_first, list}, unicode]) of
        {match, [Language, Start]} -> {comment, Language, Start};
        nomatch -> no
    end.

words(Info) ->
    string:lexemes(Info, " \t\r").

inside(Number, _, _, [], _) ->
    error({fence_never_closed, {line, Number}});
inside(Number, Indent, Info, [{_, Line} | Rest], Text) ->
    case string:trim(Line) of
        "```" -> [block(Number, Info, lists:reverse(Text)) | outside(Rest)];
        _ -> inside(Number, Indent, Info, Rest, [unindent(Indent, Line) | Text])
    end.

unindent(0, Line) -> Line;
unindent(N, [$\s | Line]) -> unindent(N - 1, Line);
unindent(_, Line) -> Line.

hidden(Number, _, [], _) ->
    error({comment_never_closed, {line, Number}});
hidden(Number, Language, [{_, Line} | Rest], Text) ->
    case string:split(Line, "-->") of
        [Last, _] -> [block(Number, [Language], lists:reverse([Last | Text])) | outside(Rest)];
        [_] -> hidden(Number, Language, Rest, [Line | Text])
    end.

block(Number, Info, Lines) ->
    {Language, Flags} = case Info of
        [] -> {"", []};
        [Name | More] -> {Name, More}
    end,
    #{line => Number, language => Language, run => not lists:member("no-run", Flags),
      text => lists:flatten(lists:join("\n", Lines))}.
