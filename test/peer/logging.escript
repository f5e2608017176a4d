#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: what Python logs, and spans. The cases have the names that they have in erlang_python's
%% py_logging_SUITE.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import logging, peer">>}, [
        {"basic_logging", fun basic_logging/0},
        {"log_levels", fun log_levels/0},
        {"log_from_thread", fun log_from_thread/0},
        {"configure_logging", fun configure_logging/0},
        {"trace_basic", fun trace_basic/0},
        {"trace_nested", fun trace_nested/0},
        {"trace_decorator", fun trace_decorator/0},
        {"trace_events", fun trace_events/0},
        {"trace_error", fun trace_error/0}
    ]))).

%% Level and text of what a module of Python's has logged.
logged(Count) ->
    Events = logbook:await(Count, fun(#{meta := Meta}) -> maps:get(source, Meta, none) =:= logging end),
    [{Level, logbook:text(Event)} || #{level := Level} = Event <- Events].

run(Code) ->
    logbook:clear(),
    ok = py:exec(Code).

%% ---------------------------------------------------------------------------

basic_logging() ->
    run("logging.getLogger('peer').warning('test message from Python')"),
    ?assertEqual([{warning, <<"test message from Python">>}], logged(1)).

%% Python's own level says what is kept back.
log_levels() ->
    Each = "for level in ('debug', 'info', 'warning', 'error'): getattr(logging.getLogger('peer'), level)(level + ' msg')",
    run(Each),
    ?assertEqual([{warning, <<"warning msg">>}, {error, <<"error msg">>}], logged(2)),
    run(["logging.getLogger('peer').setLevel(logging.DEBUG)\n", Each]),
    ?assertEqual([{debug, <<"debug msg">>}, {info, <<"info msg">>}, {warning, <<"warning msg">>}, {error, <<"error msg">>}],
                 logged(4)).

log_from_thread() ->
    logbook:clear(),
    {ok, none} = py:call(peer, log_in_thread, [<<"message from thread">>]),
    ?assertEqual([{warning, <<"message from thread">>}], logged(1)).

%% Formats are Python's, too.
configure_logging() ->
    run("logging.basicConfig(level=logging.DEBUG, format='%(name)s - %(levelname)s - %(message)s', force=True)\n"
        "logging.getLogger('peer').info('formatted message')"),
    ?assertEqual([{info, <<"peer - INFO - formatted message">>}], logged(1)).

%% ---------------------------------------------------------------------------

%% Spans in the order of their ends.
spans(Count) ->
    Spans = fun() -> [Span || #{meta := #{span := Span}} <- logbook:all()] end,
    fixture:wait_until(fun() -> length(Spans()) >= Count end),
    Spans().

trace_basic() ->
    run("with erlang.span('test-span', key='value'): pass"),
    [#{name := <<"test-span">>, error := none, duration := Duration, attributes := Attributes}] = spans(1),
    ?assert(Duration >= 0),
    ?assertEqual(#{<<"key">> => <<"value">>}, Attributes).

trace_nested() ->
    run("with erlang.span('parent'):\n    with erlang.span('child'): pass"),
    [#{name := <<"child">>, parent_id := Parent}, #{name := <<"parent">>, span_id := Id}] = spans(2),
    ?assertEqual(Id, Parent).

trace_decorator() ->
    run("@erlang.span('my_traced_function')\ndef my_traced_function(): return 42"),
    ?assertEqual({ok, 42}, py:eval("my_traced_function()")),
    ?assertMatch([#{name := <<"my_traced_function">>}], spans(1)).

%% An event within a span is a span without a length, or an attribute that is added.
trace_events() ->
    run("with erlang.span('work') as span:\n"
        "    with erlang.span('checkpoint', items=10): pass\n"
        "    span.set(percent=50)"),
    [#{name := <<"checkpoint">>, parent_id := Id, attributes := #{<<"items">> := 10}},
     #{name := <<"work">>, span_id := Id, attributes := #{<<"percent">> := 50}}] = spans(2).

trace_error() ->
    run("try:\n    with erlang.span('failing'): raise ValueError('intentional error')\nexcept ValueError: pass"),
    ?assertMatch([#{name := <<"failing">>, error := {<<"ValueError">>, <<"intentional error">>}}], spans(1)).
