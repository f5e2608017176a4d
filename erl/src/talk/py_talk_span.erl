%% SPDX-License-Identifier: Apache-2.0
%%
%% A span of Python's (erlang.span) that is over: a line of the log, and an event for
%% telemetry, if that is loaded. The frame may have anything in it, as in py_talk_line.
-module(py_talk_span).

-export([line/1, tell/1]).
-export_type([span/0]).

%% More nanoseconds are no time: so many make no float.
-define(IS_COUNT(N), (is_integer(N) andalso N >= 0 andalso N < 1 bsl 63)).

%% Times are in Erlang's native unit, the start since the epoch.
-type span() :: #{name := binary(), trace_id := binary(), span_id := binary(),
                  parent_id := binary() | none, start := integer(), duration := non_neg_integer(),
                  attributes := map(), error := {Class :: binary(), Message :: binary()} | none,
                  dropped := non_neg_integer()}.

%% The line, with the span in its metadata; none: it is no span. Pure.
-spec line(term()) -> py_talk_line:line() | none.
line(#{name := Name, trace_id := <<_:32/binary>> = Trace, span_id := <<_:16/binary>> = Id,
       parent_id := Parent, start := Start, duration := Duration, attributes := Attributes,
       error := Error, dropped := Dropped})
  when ?IS_COUNT(Start), ?IS_COUNT(Duration), is_map(Attributes), ?IS_COUNT(Dropped) ->
    case lists:all(fun is_text/1, [Name, Trace, Id | parent(Parent) ++ failure(Error)]) of
        true ->
            Span = #{name => Name, trace_id => Trace, span_id => Id, parent_id => Parent,
                     start => native(Start), duration => native(Duration),
                     attributes => Attributes, error => pair(Error), dropped => Dropped},
            {info, "~ts", [text(Span)], #{span => Span}};
        false ->
            none
    end;
line(_) ->
    none.

parent(none) -> [];
parent(Parent) -> [Parent].

failure(none) -> [];
failure([Class, Message]) -> [Class, Message];
failure(Other) -> [Other].

is_text(Term) -> py_talk_line:text(Term) =/= none.

pair([Class, Message]) -> {Class, Message};
pair(_) -> none.

native(Ns) -> erlang:convert_time_unit(Ns, nanosecond, native).

text(#{name := Name, duration := Duration, error := Error}) ->
    Ms = erlang:convert_time_unit(Duration, native, microsecond) / 1000,
    unicode:characters_to_binary([io_lib:format("span ~ts: ~.3f ms", [Name, Ms]), failed(Error)]).

failed(none) -> "";
failed({Class, Message}) -> io_lib:format(", ~ts: ~ts", [Class, Message]).

%% What has this metadata is over.
-spec tell(logger:metadata()) -> ok.
tell(#{span := Span} = Meta) ->
    case erlang:function_exported(telemetry, execute, 3) of
        true -> execute(telemetry, Span, maps:with([pool, worker, os_pid], Meta));
        false -> ok
    end;
tell(_) ->
    ok.

%% The module is an argument because the application does not depend on it.
execute(Telemetry, #{start := Start, duration := Duration, error := Error} = Span, Where) ->
    Name = [py, span, case Error of none -> stop; _ -> exception end],
    Numbers = #{system_time => Start, duration => Duration},
    try
        _ = Telemetry:execute(Name, Numbers, maps:merge(maps:without([start, duration], Span), Where)),
        ok
    catch
        _:_ -> ok   % telemetry is being stopped
    end.
