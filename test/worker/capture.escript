#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The option `capture': what a call prints comes with its result, as a terminal
%% would have shown it, and nothing else does.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MARK, "say that it is over").

main(_) ->
    Settings = #{size => 1, init => <<"import os, sys, chatty">>},
    tap:run(logbook:kept(fixture:with_app(Settings, [
        [captures(Row) || Row <- captured()],
        {"standard error, too, in order", fun both/0},
        [{["as on a terminal: ", What], fun() -> captured_text(Code, Expected) end}
         || {What, Code, Expected} <- terminal()],
        {"a call that is awaited", fun awaited/0},
        {"a call that comes too late", fun timeout/0},
        {"it is bounded, and says so", fun bounded/0},
        {"a text that no frame could hold", fun cut/0},
        {"it ends with its call", fun ends/0},
        {"it ends when a cancel comes too late", fun ends_anyway/0},
        {"it ends, whatever sys.stdout is by then", fun ends_elsewhere/0},
        {"a request that overtakes a job", fun urgent/0},
        {"a call that is cancelled, or has no pool", fun refused/0},
        {"where there is no place for it", fun nowhere/0},
        {"a value that is no boolean", fun bad/0}
    ]))).

%% What the fun makes Python log, up to a last line of our own.
logged(Fun) ->
    logbook:clear(),
    _ = Fun(),
    {ok, _} = py:call(chatty, complain, [<<?MARK>>]),
    _ = logbook:await(fun(Event) -> is_python(Event) andalso logbook:text(Event) =:= <<?MARK>> end),
    [Event || Event <- logbook:find(fun is_python/1), logbook:text(Event) =/= <<?MARK>>].

is_python(#{meta := #{application := py, source := _}}) -> true;
is_python(_) -> false.

%% What is printed becomes an event again.
is_free() ->
    [#{level := notice, meta := #{source := stdout}} = Event] =
        logged(fun() -> {ok, _} = py:call(chatty, say, [<<"free">>]) end),
    ?assertEqual(<<"free">>, logbook:text(Event)).

%% {What, the call, its result}
captured() ->
    On = #{capture => true},
    [{"a call", fun() -> py:call(chatty, say, [<<"a">>, <<"b">>], #{}, On) end,
      {ok, none, <<"a\nb\n">>}},
     {"eval", fun() -> py:eval(<<"print('x', end='') or 42">>, #{}, On) end, {ok, 42, <<"x">>}},
     {"exec", fun() -> py:exec(<<"print('x')">>, On) end, {ok, <<"x\n">>}},
     {"what prints nothing", fun() -> py:eval(<<"1">>, #{}, On) end, {ok, 1, <<>>}},
     {"what raises", fun() -> py:call(chatty, say_and_fail, [<<"before">>], #{}, On) end,
      {error, {'ValueError', <<"after all">>}, <<"before\n">>}},
     {"not ASCII", fun() -> py:call(chatty, say, [<<"☃"/utf8>>], #{}, On) end,
      {ok, none, <<"☃\n"/utf8>>}},
     {"capture => false", fun() -> py:eval(<<"1">>, #{}, #{capture => false}) end, {ok, 1}}].

captures({What, Call, Expected}) ->
    {["captured: ", What], fun() ->
        Events = logged(fun() -> ?assertEqual(Expected, Call()) end),
        ?assertEqual([], Events)
    end}.

both() ->
    ?assertEqual({ok, <<"x">>, <<"x out\nx err\n">>},
                 py:call(chatty, say_all, [<<"x">>], #{}, #{capture => true})).

%% {What, code, what it ends with}
terminal() ->
    [{"a warning", <<"import warnings; warnings.warn('mind', stacklevel=1)">>,
      <<"UserWarning: mind\n  import warnings; warnings.warn('mind', stacklevel=1)\n">>},
     {"a record", <<"import logging; logging.getLogger('lib').error('wrong')">>, <<"wrong\n">>},
     {"a thread's exception",
      <<"import threading\nt = threading.Thread(target=lambda: 1/0); t.start(); t.join()">>,
      <<"ZeroDivisionError: division by zero\n">>},
     {"an exception in __del__", <<"class D:\n    def __del__(self): 1/0\nD()">>,
      <<"ZeroDivisionError: division by zero\n">>},
     {"bytes", <<"sys.stdout.buffer.write('\\u2603\\n'.encode()); sys.stdout.buffer.flush()">>,
      <<"☃\n"/utf8>>},
     {"a line without an end", <<"print('x', end='')">>, <<"x">>},
     {"a progress bar", <<"print(1, end='\\r'); print(2)">>, <<"1\r2\n">>}].

captured_text(Code, Expected) ->
    Events = logged(fun() ->
        {ok, Text} = py:exec(Code, #{capture => true}),
        ?assertEqual(Expected, string:slice(Text, max(0, string:length(Text) - string:length(Expected))))
    end),
    ?assertEqual([], Events).

awaited() ->
    Ref = py:spawn_call(chatty, say, [<<"later">>], #{}, #{capture => true}),
    ?assertEqual({ok, none, <<"later\n">>}, py:await(Ref)).

timeout() ->
    Options = #{capture => true, timeout => 100},
    ?assertMatch({error, timeout, _}, py:call(chatty, say_slowly, [<<"x">>, 60], #{}, Options)).

bounded() ->
    {ok, 3_000_000, Text} = py:eval(<<"sys.stdout.write('x' * 3_000_000)">>, #{}, #{capture => true}),
    ?assertEqual(1 bsl 20, byte_size(Text)),
    ?assert(is_cut(Text)),
    {ok, 1_048_576, Whole} =
        py:eval(<<"sys.stdout.write('x' * (1 << 20))">>, #{}, #{capture => true}),
    ?assertEqual(binary:copy(<<"x">>, 1 bsl 20), Whole),
    {ok, 1_000_000, Wide} =
        py:eval(<<"sys.stdout.write('☃' * 1_000_000)"/utf8>>, #{}, #{capture => true}),
    ?assert(byte_size(Wide) =< 1 bsl 20),
    ?assert(is_cut(Wide)).

%% The last line says so; the others are whole characters.
is_cut(Text) ->
    is_list(unicode:characters_to_list(Text)) andalso
        lists:suffix("\n… (the rest was cut)\n", unicode:characters_to_list(Text)).

%% Of each length there is an output, and it is cut only where it has to be.
cut() ->
    Port = raw:open(["--max-frame", "1024"]),
    Cut = [is_cut(snowmen(Port, N)) || N <- lists:seq(300, 400)],
    ok = raw:close(Port),
    ?assertEqual([false, true], lists:usort(Cut)),
    ?assertEqual(lists:sort(Cut), Cut).

snowmen(Port, N) ->
    raw:send(Port, {N, {eval, <<"print(end='☃' * n)"/utf8>>, #{n => N}}, #{capture => true}}),
    {N, {output, Text}} = raw:recv(Port),
    {N, {ok, none}} = raw:recv(Port),
    is_cut(Text) orelse ?assertEqual(3 * N, byte_size(Text)),
    Text.

ends() ->
    {ok, none, <<"caught\n">>} = py:call(chatty, say, [<<"caught">>], #{}, #{capture => true}),
    is_free().

%% The search never looks for signals, nor does the end of the job behind it.
ends_anyway() ->
    Port = raw:open(),
    {ok, _} = raw:ask(Port, hello),
    raw:send(Port, {1, {eval, <<"0.5 in range(30_000_000)">>, #{}}, #{capture => true}}),
    timer:sleep(100),
    raw:send(Port, {cancel, 1}),
    ?assertEqual({1, {output, <<>>}}, raw:recv(Port, 30_000)),
    ?assertEqual({1, {ok, false}}, raw:recv(Port)),
    ?assertEqual(ok, raw:ask(Port, {listen, true, 0})),
    raw:send(Port, {2, {exec, <<"print('free')">>}}),
    ?assertMatch({event, log, #{text := <<"free">>}}, raw:recv(Port)),
    ?assertEqual({2, ok}, raw:recv(Port)),
    ok = raw:close(Port).

ends_elsewhere() ->
    Away = <<"print('caught')\nours, sys.stdout = sys.stdout, open(os.devnull, 'w')">>,
    ?assertEqual({ok, <<"caught\n">>}, py:exec(Away, #{capture => true})),
    ok = py:exec(<<"sys.stdout = ours">>),
    is_free().

%% It runs in a thread of its own, and must not take what the job prints.
urgent() ->
    Port = raw:open(),
    Job = <<"import time; print('one'); time.sleep(1); print('two')">>,
    raw:send(Port, {1, {exec, Job}, #{capture => true}}),
    timer:sleep(100),
    raw:send(Port, {2, memory_stats, #{capture => true}}),
    {2, {error, {badarg, Why}}} = raw:recv(Port),
    ?assert(fixture:contains(Why, "capture")),
    ?assertEqual({1, {output, <<"one\ntwo\n">>}}, raw:recv(Port)),
    ?assertEqual({1, ok}, raw:recv(Port)),
    ok = raw:close(Port).

refused() ->
    On = #{capture => true},
    Ref = py:spawn_call(chatty, say_slowly, [<<"x">>, 60], #{}, On),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled, <<>>}, py:await(Ref)),
    ?assertEqual({error, {no_pool, nobody}, <<>>},
                 py:eval(<<"1">>, #{}, On#{pool => nobody})).

nowhere() ->
    On = #{capture => true},
    [?assertError(badarg, Call())
     || Call <- [fun() -> py:parallel([{math, sqrt, [4]}], On) end,
                 fun() -> py:cast(math, sqrt, [4], #{}, On) end,
                 fun() -> py:stream(builtins, range, [3], #{}, On) end,
                 fun() -> py:stream_eval(<<"[]">>, #{}, On) end,
                 fun() -> py:stream_open(<<"[]">>, On) end,
                 fun() -> py:stream_fold(fun max/2, 0, <<"[]">>, On) end,
                 fun() -> py:exec_all(<<"pass">>, On) end,
                 fun() -> py:exec_all(<<"pass">>, #{traceback => true}) end]].

bad() ->
    [?assertError(badarg, py:eval(<<"1">>, #{}, #{capture => Value})) || Value <- [1, yes]].
