%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program says by an event, as a line for Erlang's logger. The frame may
%% have anything in it, because user code can make events of its own: here it is
%% checked, and nowhere else. What is odd is left out or shown as text. Pure,
%% and total.
-module(py_talk_line).

-export([read/1, text/1]).
-export_type([line/0]).

-type line() :: {logger:level(), io:format(), [term()], logger:metadata()}.

-define(LEVELS, [emergency, alert, critical, error, warning, notice, info, debug]).
-define(SOURCES, [stdout, stderr, logging, warnings, unraisable, thread]).

%% The program cuts lines at 8192 characters, and says so.
-define(MOST_BYTES, (4 * 8192 + 1024)).
%% The most of a name that goes into the metadata, and of a term that is shown.
-define(NAME_BYTES, 4096).
-define(SHOWN_BYTES, 1024).

-spec read(binary()) -> line().
read(Frame) ->
    try binary_to_term(Frame, [safe]) of
        {event, log, #{level := Level, text := Text} = Line} ->
            {level(Level), "~ts", [shown(Text)], where(Line)};
        {event, span, Span} = Event ->
            span(py_talk_span:line(Span), Event);
        Other ->
            odd(Other)
    catch
        error:badarg ->
            {warning, "what Python sent cannot be decoded: ~tp",
             [py_unknown_atom:explain(Frame)], #{}}
    end.

span(none, Event) -> odd(Event);
span(Line, _) -> Line.

odd(Term) ->
    {debug, "pyport said what nobody asked for: ~ts", [shown(Term)], #{}}.

level(Level) ->
    case lists:member(Level, ?LEVELS) of
        true -> Level;
        false -> notice
    end.

%% A text as it is, anything else as a term. A large one is not worth its cost.
shown(Term) ->
    case text(Term) of
        none -> shown_term(erlang:external_size(Term), Term);
        Text -> Text
    end.

shown_term(Bytes, Term) when Bytes =< ?SHOWN_BYTES ->
    unicode:characters_to_binary(io_lib:format("~0tP", [Term, 30]));
shown_term(Bytes, _) ->
    unicode:characters_to_binary(io_lib:format("(a term of ~b bytes)", [Bytes])).

%% UTF-8, cut and copied from its frame; none: it is something else.
-spec text(term()) -> binary() | none.
text(Text) when is_binary(Text) ->
    case unicode:characters_to_binary(Text) of
        Text -> binary:copy(cut(Text));
        _ -> none
    end;
text(_) ->
    none.

%% At the end of a character.
cut(Text) when byte_size(Text) =< ?MOST_BYTES ->
    Text;
cut(Text) ->
    case unicode:characters_to_binary(binary:part(Text, 0, ?MOST_BYTES)) of
        {incomplete, Whole, _} -> Whole;
        Whole -> Whole
    end.

%% The name of Python's logger has a key of its own: Erlang's loggers have no
%% name.
where(Line) ->
    maps:from_list([Pair || {Key, Value} <- maps:to_list(Line), Pair <- meta(Key, Value)]).

meta(source, Source) -> [{source, Source} || lists:member(Source, ?SOURCES)];
meta(logger, Name) -> [{python_logger, Text} || Text <- name(Name)];
meta(file, File) -> [{file, unicode:characters_to_list(Text)} || Text <- name(File)];
meta(line, Line) when is_integer(Line), Line >= 0, Line < 1 bsl 31 -> [{line, Line}];
meta(_, _) -> [].

name(Name) when is_binary(Name), byte_size(Name) =< ?NAME_BYTES ->
    [Text || Text <- [text(Name)], Text =/= none];
name(_) ->
    [].
