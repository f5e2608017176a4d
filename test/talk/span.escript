#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Spans of Python's: what is told of them, whose children they are, and how a trace goes
%% on from Erlang into Python and out of it.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(TRACE, "0af7651916cd43dd8448eb211c80319c").
-define(PARENT, "b7ad6b7169203331").
-define(SAMPLED, <<"00-", ?TRACE, "-", ?PARENT, "-01">>).

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import spans">>}, [
        {"spans within each other", fun nested/0},
        {"how long it took, and when it was", fun times/0},
        {"what it is said of", fun metadata/0},
        {"exceptions", fun exceptions/0},
        {"a decorator", fun decorator/0},
        {"a decorated generator", fun generator/0},
        {"coroutines", fun coroutines/0},
        {"a trace from outside goes on", fun goes_on/0},
        {"a trace that nobody keeps is not told", fun not_sampled/0},
        {"a traceparent that is not valid is ignored", fun ignored/0},
        {"what is no text is badarg", fun wrong/0},
        {"a call leaves no span to the next one", fun left/0},
        {"nor does one that is used for the first time", fun first_left/0},
        {"spans that end in another order, or in another call", fun overlapping/0},
        {"streams have spans of their own", fun streams/0},
        {"streams of asynchronous generators, too", fun asynchronous/0},
        {"streams keep no other variables", fun variables/0},
        {"streams that a trace goes on in", fun stream_goes_on/0},
        {"in a context", fun in_context/0},
        {"a thread begins a trace of its own", fun thread/0},
        {"what a function of Erlang's asks for is within the span", fun nested_call/0},
        {"a call that is interrupted ends its spans", fun interrupted/0},
        {"long names, values and messages are cut", fun cut/0},
        {"more spans than are taken are counted", fun dropped/0},
        {"misuse", fun misuse/0},
        {"telemetry hears of it, if it is loaded", fun telemetry/0},
        {"telemetry that fails harms nobody", fun broken_telemetry/0},
        {"a pool without logs tells telemetry only", fun no_logs/0},
        {"an event that is no span", fun no_span/0},
        {"who has no span imports nothing", fun unused/0}
    ]))).

call(Function, Args) -> call(Function, Args, #{}).

call(Function, Args, Options) ->
    logbook:clear(),
    py:call(spans, Function, Args, #{}, Options).

%% The spans that the log has of the calls since it was cleared, by their names, once there are as many.
spans(Count) ->
    fixture:wait_until(fun() -> length(logged()) >= Count end),
    maps:from_list([{Name, Span} || #{name := Name} = Span <- logged()]).

logged() ->
    [Span || #{meta := #{span := Span}} <- logbook:all()].

-define(IS_CHILD(Child, Parent), ?assertEqual({maps:get(span_id, Parent), maps:get(trace_id, Parent)},
                                              {maps:get(parent_id, Child), maps:get(trace_id, Child)})).

nested() ->
    {ok, [Id, Traceparent]} = call(nested, []),
    #{<<"outer">> := Outer, <<"inner">> := Inner, <<"second">> := Second} = spans(3),
    ?assertMatch(#{parent_id := none, span_id := Id, error := none, dropped := 0,
                   attributes := #{<<"n">> := 1}}, Outer),
    ?IS_CHILD(Inner, Outer),
    ?IS_CHILD(Second, Outer),
    ?assertEqual(#{<<"text">> => <<"ü"/utf8>>, <<"items">> => [1, #{<<"a">> => none}], <<"n">> => 2,
                   <<"other">> => <<"<class 'object'>">>}, maps:get(attributes, Inner)),
    ?assertEqual(Traceparent, <<"00-", (maps:get(trace_id, Outer))/binary, $-, Id/binary, "-01">>),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")).

times() ->
    Before = erlang:system_time(),
    {ok, _} = call(nested, [30]),
    After = erlang:system_time(),
    #{<<"outer">> := #{start := Start, duration := Outer}, <<"inner">> := #{duration := Inner}} = spans(3),
    Ms = erlang:convert_time_unit(Inner, native, millisecond),
    ?assert(Ms >= 30),
    ?assert(Inner =< Outer andalso Outer =< After - Before),
    ?assert(Before =< Start andalso Start =< After).

metadata() ->
    {ok, _} = call(nested, []),
    _ = spans(3),
    [#{level := info, meta := #{pool := default, worker := 1, os_pid := OsPid}} = Event | _] =
        [Event || #{meta := #{span := #{name := <<"outer">>}}} = Event <- logbook:all()],
    ?assertEqual([OsPid], fixture:os_pids()),
    ?assertMatch({match, _}, re:run(logbook:text(Event), "^span outer: [0-9.]+ ms$")).

exceptions() ->
    {error, {'LookupError', _}} = call(fails, []),
    #{<<"kept">> := Kept, <<"failed">> := Failed, <<"left">> := Left} = spans(3),
    ?assertMatch(#{error := none}, Kept),
    ?assertMatch(#{error := {<<"ValueError">>, <<"nö"/utf8>>}}, Failed),
    ?assertMatch(#{error := {<<"LookupError">>, <<"out">>}}, Left),
    [Event] = [Event || #{meta := #{span := #{name := <<"failed">>}}} = Event <- logbook:all()],
    ?assertMatch({match, _}, re:run(logbook:text(Event), "ms, ValueError: nö$", [unicode])).

decorator() ->
    ?assertEqual({ok, 2}, call(decorated, [2])),
    fixture:wait_until(fun() -> length(logged()) =:= 3 end),
    [Third, Second, First] = logged(),
    ?IS_CHILD(Third, Second),
    ?IS_CHILD(Second, First),
    ?assertMatch(#{parent_id := none, attributes := #{<<"by">> := <<"decorator">>}}, First),
    ?assertEqual({ok, {<<"decorated">>, <<"Its own text.">>}},
                 py:eval("(spans.decorated.__name__, spans.decorated.__doc__)")).

generator() ->
    logbook:clear(),
    ?assertEqual({ok, [0, 1]}, py:eval("list(spans.generated(2))")),
    #{<<"generated">> := Whole, <<"item 0">> := Item, <<"item 1">> := Next} = spans(3),
    ?IS_CHILD(Item, Whole),
    ?IS_CHILD(Next, Whole),
    %% One that is closed before its end has not failed.
    logbook:clear(),
    {ok, 0} = py:eval("next(spans.generated(2))"),
    #{<<"generated">> := #{error := none}, <<"item 0">> := #{error := none}} = spans(2).

coroutines() ->
    {ok, Traceparents} = call(gathered, []),
    fixture:wait_until(fun() -> length(logged()) =:= 7 end),
    #{<<"all">> := All} = Spans = spans(7),
    Awaited = [Span || #{name := <<"awaited">>} = Span <- logged()],
    [?IS_CHILD(Span, All) || Span <- Awaited],
    Ids = [Id || #{span_id := Id} <- Awaited],
    ?assertEqual(lists:sort(Ids),
                 lists:sort([Id || <<"00-", _:32/binary, $-, Id:16/binary, "-01">> <- Traceparents])),
    ?assertEqual(lists:sort(Ids),
                 lists:sort([maps:get(parent_id, maps:get(<<"within ", N>>, Spans)) || N <- "012"])).

%% ---------------------------------------------------------------------------
%% Traces

goes_on() ->
    ?assertEqual({ok, ?SAMPLED}, py:eval("erlang.traceparent()", #{}, #{traceparent => ?SAMPLED})),
    {ok, [Id, Out]} = call(nested, [], #{traceparent => binary_to_list(?SAMPLED)}),
    ?assertMatch(#{<<"outer">> := #{trace_id := <<?TRACE>>, parent_id := <<?PARENT>>}}, spans(3)),
    ?assertEqual(<<"00-", ?TRACE, "-", Id/binary, "-01">>, Out),
    ?assertEqual(ok, py:exec("here = erlang.traceparent()", #{}, #{traceparent => ?SAMPLED})),
    ?assertEqual({ok, {?SAMPLED, none}}, py:eval("(here, erlang.traceparent())")),
    ok = py:unbind(),
    Later = <<"01-", ?TRACE, "-", ?PARENT, "-01-more">>,
    ?assertEqual({ok, ?SAMPLED}, py:eval("erlang.traceparent()", #{}, #{traceparent => Later})),
    ?assertEqual([{ok, ?SAMPLED}], [py:await(py:spawn_call(erlang, traceparent, [], #{}, #{traceparent => ?SAMPLED}))]),
    ?assertEqual({ok, [?SAMPLED, ?SAMPLED]},
                 py:parallel([{erlang, traceparent, []}, {erlang, traceparent, []}], #{traceparent => ?SAMPLED})).

not_sampled() ->
    Unsampled = <<"00-", ?TRACE, "-", ?PARENT, "-00">>,
    {ok, [_, Out]} = call(nested, [], #{traceparent => Unsampled}),
    ?assertMatch(<<"00-", ?TRACE, "-", _:16/binary, "-00">>, Out),
    {ok, _} = py:call(spans, decorated, [0]),
    _ = spans(1),
    ?assertMatch([#{name := <<"decorated">>}], logged()).

ignored() ->
    [?assertEqual({Text, {ok, none}}, {Text, py:eval("erlang.traceparent()", #{}, #{traceparent => Text})})
     || Text <- [<<>>, <<"00">>, undefined, <<"00-", ?TRACE, "-", ?PARENT, "-01-">>,
                 <<"ff-", ?TRACE, "-", ?PARENT, "-01">>, <<"01-", ?TRACE, "-", ?PARENT, "-01more">>,
                 <<"00-00000000000000000000000000000000-", ?PARENT, "-01">>,
                 <<"00-", ?TRACE, "-0000000000000000-01">>, <<"00-", ?TRACE, "-B7AD6B7169203331-01">>,
                 <<"00-", ?TRACE, "-", ?PARENT, "-0g">>]].

wrong() ->
    [?assertError(badarg, py:eval("1", #{}, #{traceparent => Wrong})) || Wrong <- [1, none, {a}, <<255>>]].

left() ->
    ok = py:exec("left = erlang.span('never ends').__enter__()", #{}, #{traceparent => ?SAMPLED}),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")),
    ok = py:exec("left = erlang.span('never ends').__enter__()"),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")),
    ok = py:unbind(),
    %% Nor to the one that waits for it.
    ok = py:register_function(back, fun() -> py:call(spans, leaves, []) end),
    {ok, {ok, _}} = call(calls_back, []),
    #{<<"caller">> := #{parent_id := none}} = spans(1),
    ?assertEqual({ok, true}, call(calls_back_within, [])),
    ok = py:unregister_function(back).

first_left() ->
    {ok, _} = py:start_pool(fresh, #{size => 1, python_path => [fixture:python_path()]}),
    {ok, _} = py:call(spans, leaves, [], #{}, #{pool => fresh}),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()", #{}, #{pool => fresh})),
    ok = py:stop_pool(fresh).

overlapping() ->
    {ok, Depth} = call(overlap, [100]),
    ?assert(Depth =< 3),
    fixture:wait_until(fun() -> length(logged()) =:= 101 end),
    logbook:clear(),
    {ok, [true, none]} = py:call(spans, crossed, []),
    #{<<"outer">> := Outer, <<"item 0">> := Item, <<"generated">> := Generated} = spans(3),
    ?IS_CHILD(Generated, Outer),
    ?IS_CHILD(Item, Generated),
    %% A generator that another call closes is not in that one's spans.
    ok = py:exec("import spans; kept = spans.generated(2); next(kept)"),
    ?assertEqual({ok, true}, py:eval("spans.closes(kept)")),
    ok = py:unbind().

asynchronous() ->
    logbook:clear(),
    Options = #{chunk => 1, traceparent => ?SAMPLED},
    {ok, [Whole, Whole, Whole]} = py:stream(spans, asynchronous, [3], #{}, Options),
    #{<<"whole">> := #{parent_id := <<?PARENT>>} = Parent, <<"item 1">> := One, <<"item 2">> := Two} = spans(4),
    ?IS_CHILD(One, Parent),
    ?IS_CHILD(Two, Parent),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")).

%% What a generator has set it may take back, whoever has spans.
variables() ->
    {ok, _} = py:call(spans, decorated, [0]),
    ?assertEqual({ok, [1, 1]}, py:stream(spans, sets_variable, [], #{}, #{chunk => 1})).

%% Each stands still within its span while the other, and calls, go on: from the first
%% stream on that has spans.
streams() ->
    {ok, _} = py:start_pool(fresh, #{size => 1, python_path => [fixture:python_path()]}),
    logbook:clear(),
    {ok, S1} = py:stream_open({spans, items, [<<"one">>, 100]}, #{chunk => 1, pool => fresh}),
    {ok, S2} = py:stream_open({spans, items, [<<"two">>, 100]}, #{chunk => 1, pool => fresh}),
    Seen = [begin
                {ok, One} = py:stream_next(S1),
                {ok, Two} = py:stream_next(S2),
                {ok, none} = py:eval("erlang.traceparent()", #{}, #{pool => fresh}),
                {One, Two}
            end || _ <- lists:seq(1, 10)],
    ok = py:stream_close(S1),
    ok = py:stream_close(S2),
    Over = fun() -> [Name || #{name := Name} <- logged(), lists:member(Name, [<<"one">>, <<"two">>])] end,
    fixture:wait_until(fun() -> length(Over()) =:= 2 end),
    Spans = spans(2),
    [begin
         Whole = maps:get(Name, Spans),
         ?assertMatch(#{parent_id := none, error := none}, Whole),
         [?IS_CHILD(maps:get(<<Name/binary, " ", N>>, Spans), Whole) || N <- "012"]
     end || Name <- [<<"one">>, <<"two">>]],
    ?assertMatch([_], lists:usort([One || {One, _} <- Seen])),
    ?assertMatch([_], lists:usort([Two || {_, Two} <- Seen])),
    ok = py:stop_pool(fresh).

stream_goes_on() ->
    logbook:clear(),
    {ok, [_, _]} = py:stream(spans, items, [<<"s">>, 2], #{}, #{chunk => 1, traceparent => ?SAMPLED}),
    ?assertMatch(#{<<"s">> := #{trace_id := <<?TRACE>>, parent_id := <<?PARENT>>}}, spans(3)),
    ?assertEqual({ok, [?SAMPLED]}, py:stream_eval("(erlang.traceparent() for _ in [1])", #{}, #{traceparent => ?SAMPLED})),
    %% One that is closed before its end.
    logbook:clear(),
    {ok, Stream} = py:stream_open({spans, items, [<<"s">>, 1000]}, #{chunk => 1, traceparent => ?SAMPLED}),
    {ok, _} = py:stream_next(Stream),
    ok = py:stream_close(Stream),
    fixture:wait_until(fun() -> [ok || #{name := <<"s">>} <- logged()] =:= [ok] end),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")).

in_context() ->
    {ok, C} = py_context:open(),
    ok = py:exec("import spans; x = erlang.traceparent()", #{}, #{context => C, traceparent => ?SAMPLED}),
    ?assertEqual({ok, {?SAMPLED, none}}, py:eval("(x, erlang.traceparent())", #{}, #{context => C})),
    ok = py_context:close(C).

thread() ->
    ?assertEqual({ok, [none]}, call(in_a_thread, [])).

nested_call() ->
    ok = py:register_function(back, fun() ->
        {ok, Inner} = py:eval("erlang.traceparent()"),
        {ok, Inner} = py:call(spans, here, []),
        {ok, Other} = py:eval("erlang.traceparent()", #{}, #{traceparent => ?SAMPLED}),
        {ok, Inner} = py:eval("erlang.traceparent()"),
        {Inner, Other}
    end),
    {ok, {Inner, Other}} = call(calls_back, []),
    #{<<"caller">> := #{trace_id := Trace, span_id := Id}} = spans(1),
    ?assertEqual({<<"00-", Trace/binary, $-, Id/binary, "-01">>, ?SAMPLED}, {Inner, Other}),
    ok = py:unregister_function(back).

interrupted() ->
    ?assertEqual({error, timeout}, call(sleeps, [], #{timeout => 100, traceparent => ?SAMPLED})),
    ?assertMatch(#{<<"sleeps">> := #{error := {<<"erlang.Cancelled">>, _}}}, spans(1)),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")),
    %% It may come where the span has begun and the `with' statement has not.
    ?assertEqual({error, timeout}, call(begins, [], 100)),
    ?assertEqual({ok, none}, py:eval("erlang.traceparent()")).

%% ---------------------------------------------------------------------------
%% What is told

cut() ->
    {error, {'RuntimeError', _}} = call(cut, []),
    [#{name := Name, error := {_, Message}, attributes := Attributes}] = maps:values(spans(1)),
    ?assertEqual({200, 1000}, {byte_size(Name), byte_size(Message)}),
    ?assert(erlang:external_size(Attributes) < 30_000).

%% The log is held up, so that the window is full.
dropped() ->
    ok = logger:add_handler(slow, logbook, #{sleep => 5}),
    {ok, none} = call(many, [3000]),
    ok = logger:remove_handler(slow),
    %% Each is told or counted, by one that comes later.
    fixture:wait_until(fun() ->
        {ok, _} = py:call(spans, decorated, [0]),
        Many = length([many || #{name := <<"many">>} <- logged()]),
        Dropped = lists:sum([N || #{dropped := N} <- logged()]),
        Many < 3000 andalso Many + Dropped >= 3000
    end),
    fixture:wait_until(fun() ->
        {ok, _} = call(decorated, [0]),
        #{<<"decorated">> := #{dropped := N}} = spans(1),
        N =:= 0
    end).

misuse() ->
    ?assertEqual({ok, [<<"TypeError">>, <<"RuntimeError">>, <<"RuntimeError">>, <<"TypeError">>]}, call(misused, [])),
    ?assertEqual({ok, #{<<"self">> => 1}}, call(says_self, [])).

telemetry() ->
    with_telemetry("execute(Name, Numbers, About) -> test ! {Name, Numbers, About}, ok.", fun() ->
        {error, {'LookupError', _}} = call(fails, []),
        receive {[py, span, exception], #{duration := D, system_time := T}, Failed} ->
            ?assertMatch(#{name := <<"failed">>, error := {<<"ValueError">>, _}, pool := default, worker := 1,
                           attributes := #{}, trace_id := _, span_id := _, parent_id := _}, Failed),
            ?assert(D >= 0 andalso abs(erlang:system_time() - T) < erlang:convert_time_unit(60, second, native))
        end,
        receive {[py, span, stop], _, Kept} -> ?assertMatch(#{name := <<"kept">>, error := none}, Kept) end,
        receive {[py, span, exception], _, Left} -> ?assertMatch(#{name := <<"left">>}, Left) end
    end).

broken_telemetry() ->
    with_telemetry("execute(_, _, _) -> error(broken).", fun() ->
        {ok, 0} = call(decorated, [0]),
        _ = spans(1),
        {ok, 0} = call(decorated, [0]),
        _ = spans(1)
    end).

no_logs() ->
    {ok, _} = py:start_pool(quiet, #{size => 1, logs => false, python_path => [fixture:python_path()]}),
    with_telemetry("execute(Name, _, _) -> test ! Name, ok.", fun() ->
        {ok, 0} = call(decorated, [0], #{pool => quiet}),
        receive [py, span, stop] -> ok end,
        ?assertEqual([], logged())
    end),
    ok = py:stop_pool(quiet).

%% A module of that name, which tells this process.
with_telemetry(Code, Fun) ->
    true = register(test, self()),
    Forms = [begin {ok, Tokens, _} = erl_scan:string(Text), {ok, Form} = erl_parse:parse_form(Tokens), Form end
             || Text <- ["-module(telemetry).", "-export([execute/3]).", Code]],
    {ok, telemetry, Beam} = compile:forms(Forms),
    {module, telemetry} = code:load_binary(telemetry, "telemetry", Beam),
    try
        Fun()
    after
        true = code:delete(telemetry),
        code:purge(telemetry),
        unregister(test)
    end.

no_span() ->
    logbook:clear(),
    [{ok, true} = py:eval("__import__('_erlang').event('span', data, False)", #{data => Data})
     || Data <- [1, #{}, #{name => 1}]],
    fixture:wait_until(fun() ->
        length([ok || #{level := debug} = Event <- logbook:all(),
                      fixture:contains(logbook:text(Event), "nobody asked for")]) =:= 3
    end).

unused() ->
    {ok, _} = py:start_pool(fresh, #{size => 1}),
    ?assertEqual({ok, [false, false, false]},
                 py:eval("[name in __import__('sys').modules for name in ('erlang._span', 'erlang._state', 'contextvars')]",
                         #{}, #{pool => fresh})),
    ok = py:stop_pool(fresh).
