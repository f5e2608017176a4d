#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Logs: what Python prints, logs and warns of reaches Erlang's logger with its
%% level and where it came from; long lines and floods are bounded; it can be
%% switched off.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(LINE_MAX, 8192).
-define(MARK, "say that it is over").

main(_) ->
    Settings = #{size => 1, init => <<"import os, sys, chatty\nprint('from init')">>},
    tap:run(logbook:kept(fixture:with_app(Settings, [
        {"what init prints", fun from_init/0},
        [logs(Row) || Row <- sources()],
        {"metadata: pool, worker, os pid, time", fun metadata/0},
        {"logging: levels, logger, file, line", fun logging/0},
        {"logging: what Python's own settings keep back", fun quiet_logging/0},
        [{["logging: ", What], fun() -> configured(Code, Expected) end}
         || {What, Code, Expected} <- configurations()],
        [{["one line: ", What], fun() -> one_line(Code, Expected) end}
         || {What, Code, Expected} <- progress()],
        {"a line that takes long is shown now and then", fun slow_line/0},
        {"a thread's bar is shown now and then, however many calls end", fun slow_thread/0},
        {"a line without an end does not wait for another caller's", fun unended/0},
        {"logging with a traceback", fun log_exception/0},
        {"warnings: file and line", fun warnings/0},
        {"an exception that nobody can take", fun unraisable/0},
        {"an exception that ends a thread", fun thread_fails/0},
        {"a line that is printed when the call is over", fun later/0},
        {"lines come in order", fun in_order/0},
        {"what goes past Python is no event", fun below/0},
        {"a line that is too long is cut, and says so", fun long_line/0},
        {"a flood is bounded, and what is left out is counted", 60_000, fun flood/0},
        {"a slow handler of the logger delays no deadline", fun slow_handler/0},
        {"a line that is printed while a line is printed", fun interrupted/0},
        {"a forked child does not log in our name", fun forked/0},
        {"a child that is forked while a thread prints", fun forked_in_print/0},
        {"sys.stdout has all that a text file has", fun text_file/0},
        {"sys.stdout can be reconfigured and detached", fun changed_stdout/0},
        {"another pool's name", fun other_pool/0},
        {"logs => false", fun switched_off/0},
        {"logs that is no boolean", fun bad_option/0}
    ]))).

%% ---------------------------------------------------------------------------

is_python(#{meta := #{application := py, source := _}}) -> true;
is_python(_) -> false.

python_events() ->
    logbook:find(fun is_python/1).

%% What the fun makes Python log, up to a last line of our own.
logged(Fun) ->
    logged(Fun, #{}).

logged(Fun, In) ->
    logbook:clear(),
    _ = Fun(),
    {ok, _} = py:call(chatty, complain, [<<?MARK>>], #{}, In),
    _ = logbook:await(fun(Event) -> is_python(Event) andalso text(Event) =:= <<?MARK>> end),
    [Event || Event <- python_events(), text(Event) =/= <<?MARK>>].

text(Event) ->
    logbook:text(Event).

%% Level, where from, text.
summary(#{level := Level, meta := #{source := Source}} = Event) ->
    {Level, Source, text(Event)}.

call(Function, Args) ->
    fun() -> {ok, _} = py:call(chatty, Function, Args) end.

from_init() ->
    #{level := notice} = logbook:await(fun(Event) ->
        is_python(Event) andalso text(Event) =:= <<"from init">>
    end).

%% {What, what is done, levels, sources and texts}
sources() ->
    [{"print", call(say, [<<"hello">>]), [{notice, stdout, <<"hello">>}]},
     {"print to standard error", call(complain, [<<"oh">>]), [{warning, stderr, <<"oh">>}]},
     {"what is no format", call(say, [<<"100 ~p %s {}">>]), [{notice, stdout, <<"100 ~p %s {}">>}]},
     {"not ASCII", call(say, [<<"grün ☃"/utf8>>]), [{notice, stdout, <<"grün ☃"/utf8>>}]},
     {"what is not Unicode", fun() -> py:exec(<<"print('\\ud800')">>) end,
      [{notice, stdout, <<"\\ud800">>}]},
     {"lines in pieces", call(in_pieces, []),
      [{notice, stdout, Line} || Line <- [<<"abc">>, <<"first">>, <<"second">>, <<"not ended">>]]},
     {"print in exec", fun() -> py:exec(<<"print('in', 'exec')">>) end,
      [{notice, stdout, <<"in exec">>}]},
     {"print in eval", fun() -> py:eval(<<"print('in eval')">>) end,
      [{notice, stdout, <<"in eval">>}]},
     {"print in a stream", fun() -> py:stream_eval(<<"(print(n) for n in 'ab')">>) end,
      [{notice, stdout, <<"a">>}, {notice, stdout, <<"b">>}]},
     {"print and raise", fun() -> py:call(chatty, say_and_fail, [<<"before">>]) end,
      [{notice, stdout, <<"before">>}]}].

logs({What, Do, Expected}) ->
    {["logged: ", What], fun() ->
        ?assertEqual(Expected, [summary(Event) || Event <- logged(Do)])
    end}.

metadata() ->
    [#{meta := Meta}] = logged(call(say, [<<"hello">>])),
    [OsPid] = fixture:os_pids(),
    ?assertMatch(#{application := py, pool := default, worker := 1, os_pid := OsPid,
                   source := stdout, time := _}, Meta).

logging() ->
    logbook:clear(),
    {ok, Lines} = py:call(chatty, log_all, []),
    Events = logbook:await(6, fun is_python/1),
    ?assertEqual([{debug, logging, <<"a debug">>}, {info, logging, <<"an info">>},
                  {warning, logging, <<"a warning">>}, {error, logging, <<"an error">>},
                  {critical, logging, <<"a critical">>}, {warning, logging, <<"between">>}],
                 [summary(Event) || Event <- Events]),
    ?assertEqual(Lines, [Line || #{meta := #{line := Line}} <- Events]),
    [begin
         #{python_logger := Logger, file := File} = Meta,
         ?assertEqual(<<"chatty.talk">>, Logger),
         ?assertEqual("chatty.py", filename:basename(unicode:characters_to_list(File)))
     end || #{meta := Meta} <- Events].

quiet_logging() ->
    ?assertEqual([], logged(call(log_quietly, []))).

%% Each in a pool of its own, because it configures logging for good:
%% {What, code, levels and texts}
configurations() ->
    Error = <<"\nlogging.getLogger('lib').error('after')">>,
    [{"logging.warning() configures it by chance", [<<"logging.warning('first')">>, Error],
      [{warning, <<"first">>}, {error, <<"after">>}]},
     {"basicConfig of a level", [<<"logging.basicConfig(level=logging.DEBUG)\nlogging.debug('d')">>, Error],
      [{debug, <<"d">>}, {error, <<"after">>}]},
     {"basicConfig of a format", [<<"logging.basicConfig(format='%(name)s says %(message)s')">>, Error],
      [{error, <<"lib says after">>}]},
     {"basicConfig for standard output", [<<"logging.basicConfig(stream=sys.stdout)">>, Error],
      [{error, <<"after">>}]},
     {"basicConfig for a file", [<<"logging.basicConfig(filename=os.devnull)">>, Error], []},
     {"a handler of a library's own class",
      [<<"class H(logging.StreamHandler): pass\nlogging.getLogger().addHandler(H())">>, Error],
      [{error, <<"after">>}]},
     {"a record that is odd",
      [<<"logging.getLogger('x').handle(logging.LogRecord('x', 40, None, 0, 'odd', None, None))">>,
       Error], [{error, <<"odd">>}, {error, <<"after">>}]},
     {"a handler that has no stream yet",
      [<<"class H(logging.StreamHandler):\n"
         "    def __init__(self): logging.Handler.__init__(self)\n"
         "logging.raiseExceptions = False\n"
         "logging.getLogger('x').addHandler(H())\n"
         "logging.getLogger('x').error('lost')">>, Error], [{error, <<"after">>}]},
     {"a record without a place",
      [<<"record = logging.makeLogRecord({'levelno': 40, 'msg': 'made'})\n"
         "del record.name, record.pathname, record.lineno\n"
         "logging.getLogger('x').handle(record)">>, Error],
      [{error, <<"made">>}, {error, <<"after">>}]}].

configured(Code, Expected) ->
    with_pool(#{init => <<"import chatty, logging, os, sys">>}, fun(In) ->
        Events = logged(fun() -> ok = py:exec(Code, In) end),
        ?assertEqual([{Level, logging, Text} || {Level, Text} <- Expected],
                     [summary(Event) || Event <- Events])
    end).

%% What is written over, and what comes in pieces: {What, code, lines}
progress() ->
    [{"a progress bar", <<"for i in range(5): print(end=f'\\r{25 * i}%', flush=True)\nprint()">>,
      [<<"100%">>]},
     {"a progress bar with the return behind", <<"for i in range(5): print(i, end='\\r', flush=True)">>,
      [<<"4">>]},
     {"dots", <<"for i in range(5): print('.', end='', flush=True)\nprint(' done')">>,
      [<<"..... done">>]},
     {"dots without an end", <<"for i in range(5): print('.', end='', flush=True)">>, [<<".....">>]},
     {"lines as on another system", <<"print('a\\r\\nb\\r')">>, [<<"a">>, <<"b">>]},
     {"nothing but returns", <<"print('\\r\\r')">>, [<<>>]},
     {"a line behind a bar", <<"print('50%', end='\\r'); print('done')">>, [<<"done">>]}].

one_line(Code, Expected) ->
    Events = logged(fun() -> ok = py:exec(Code) end),
    ?assertEqual([{notice, stdout, Line} || Line <- Expected], [summary(Event) || Event <- Events]).

%% Once a second, not at each of thirty updates.
slow_line() ->
    Code = <<"import time\nfor i in range(30): print(end=f'\\r{i}', flush=True); time.sleep(0.1)">>,
    Lines = [text(Event) || Event <- logged(fun() -> ok = py:exec(Code) end)],
    tap:note("shown: ~p", [Lines]),
    ?assertEqual(<<"29">>, lists:last(Lines)),
    ?assert(length(Lines) >= 2 andalso length(Lines) =< 5).

%% It goes on while calls of others come and go.
slow_thread() ->
    Code = <<"import threading, time\n"
             "def bar():\n"
             "    for i in range(60):\n"
             "        print(end=f'\\r{i}', flush=True)\n"
             "        time.sleep(0.02)\n"
             "thread = threading.Thread(target=bar)\n"
             "thread.start()">>,
    Lines = [text(Event) || Event <- logged(fun() ->
        ok = py:exec(Code),
        calls_while_alive(),
        ok = py:exec(<<"print()">>)
    end)],
    tap:note("shown: ~p", [Lines]),
    ?assert(lists:member(<<"59">>, Lines)),
    ?assert(length(Lines) >= 2 andalso length(Lines) =< 5).

calls_while_alive() ->
    case py:eval(<<"thread.is_alive()">>) of
        {ok, true} -> calls_while_alive();
        {ok, false} -> ok
    end.

unended() ->
    Events = logged(fun() ->
        ok = py:exec(<<"print('mine', end='')">>),
        {error, _} = py:eval(<<"print('failed', end='') or 1 / 0">>),
        {ok, [none]} = py:stream_eval(<<"(print('streamed', end='') for _ in 'x')">>),
        ok = py:exec(<<"print('theirs')">>)
    end),
    ?assertEqual([<<"mine">>, <<"failed">>, <<"streamed">>, <<"theirs">>],
                 [text(Event) || Event <- Events]).

log_exception() ->
    [#{level := error} = Event] = logged(call(log_exception, [])),
    [?assert(fixture:contains(text(Event), Part))
     || Part <- ["something was missing", "KeyError: 'missing'", "chatty.py"]].

warnings() ->
    logbook:clear(),
    {ok, Line} = py:call(chatty, warn, []),
    #{level := warning, meta := Meta} = Event = logbook:await(fun is_python/1),
    ?assertMatch(#{source := warnings, line := Line, file := _}, Meta),
    ?assertEqual(<<"DeprecationWarning: mind the gap">>, text(Event)).

unraisable() ->
    [Event] = logged(call(unraisable, [])),
    ?assertMatch({error, unraisable, _}, summary(Event)),
    [?assert(fixture:contains(text(Event), Part)) || Part <- ["_Broken", "ValueError: in __del__"]].

thread_fails() ->
    [Event] = logged(call(thread_fails, [<<"the weaver">>])),
    ?assertMatch({error, thread, _}, summary(Event)),
    [?assert(fixture:contains(text(Event), Part))
     || Part <- ["the weaver", "LookupError: in a thread"]].

later() ->
    logbook:clear(),
    {ok, none} = py:call(chatty, later, [<<"at last">>, 0.1]),
    ?assertEqual({notice, stdout, <<"at last">>}, summary(logbook:await(fun is_python/1))).

in_order() ->
    Lines = [integer_to_binary(N) || N <- lists:seq(1, 300)],
    ?assertEqual(Lines, [text(Event) || Event <- logged(call(say, Lines))]).

below() ->
    ?assertEqual([], logged(call(below, []))).

%% ---------------------------------------------------------------------------
%% Bounds

long_line() ->
    [Text | Others] = [text(Event) || Event <- logged(call(shout, [100_000]))],
    ?assert(string:length(Text) =< ?LINE_MAX + 100),
    ?assert(fixture:contains(Text, "more characters")),
    tap:note("~ts", [binary:part(Text, byte_size(Text), -40)]),
    ?assertEqual([], Others).

%% Every line is an event, or counted by a later one.
flood() ->
    timer:sleep(2500),
    logbook:clear(),
    {Ms, {ok, Count}} = figure:timed(fun() -> py:call(chatty, flood, [50_000]) end),
    timer:sleep(500),
    {ok, _} = py:call(chatty, say, [<<"after the flood">>]),
    _ = logbook:await(fun(Event) -> text(Event) =:= <<"after the flood">> end),
    Texts = [text(Event) || Event <- python_events()],
    Lines = [Text || <<"line ", _/binary>> = Text <- Texts],
    Dropped = lists:sum([dropped(Text) || Text <- Texts]),
    tap:note("~b lines in ~.1f ms: ~b events, ~b dropped", [Count, Ms, length(Lines), Dropped]),
    ?assert(length(Lines) =< 1000 + round(Ms / 2) + 100),
    ?assertEqual(Count, length(Lines) + Dropped).

dropped(Text) ->
    case string:split(Text, " lines were dropped") of
        [Number, _] -> binary_to_integer(Number);
        [_] -> 0
    end.

%% In the same thread, as a handler of signals or a __del__ may.
interrupted() ->
    Self = self(),
    Lines = logged(fun() ->
        Options = #{timeout => 10_000},
        Self ! py:call(chatty, interrupt_print, [<<"again">>], #{}, Options)
    end),
    {ok, Count} = receive Result -> Result end,
    ?assert(Count > 10),
    ?assertEqual(lists:duplicate(Count, <<"again">>), [text(Event) || Event <- Lines]).

forked_in_print() ->
    {ok, Ends} = py:call(chatty, fork_in_print, [<<"a parent">>]),
    ?assert(length(Ends) > 10),
    ?assertEqual([], [false || false <- Ends]).

text_file() ->
    ?assertEqual({ok, []}, py:call(chatty, no_text_file, [])).

changed_stdout() ->
    Self = self(),
    Events = logged(fun() -> Self ! py:call(chatty, change_stdout, [<<"still here">>]) end),
    ?assertEqual({ok, [false, true, true, false]}, receive Result -> Result end),
    ?assertEqual([{notice, stdout, <<"still here">>}], [summary(Event) || Event <- Events]).

forked() ->
    [OsPid] = fixture:os_pids(),
    ?assertEqual([], logged(call(fork_and_say, [<<"I am a child">>]))),
    ?assertEqual([OsPid], fixture:os_pids()),
    ?assertMatch([_], logged(call(say, [<<"I am not">>]))).

%% ---------------------------------------------------------------------------
%% Pools and switches

with_pool(Options, Fun) ->
    Base = #{size => 1, python_path => [fixture:python_path()], init => <<"import chatty">>},
    {ok, _} = py:start_pool(p, maps:merge(Base, Options)),
    try Fun(#{pool => p}) after ok = py:stop_pool(p) end.

other_pool() ->
    with_pool(#{}, fun(In) ->
        [OsPid] = fixture:os_pids(p),
        [Event] = logged(fun() -> py:call(chatty, say, [<<"hello">>], #{}, In) end),
        ?assertMatch(#{meta := #{pool := p, worker := 1, os_pid := OsPid}}, Event)
    end).

%% It goes where it went before: to standard error.
switched_off() ->
    with_pool(#{logs => false}, fun(In) ->
        ?assertEqual([], logged(fun() ->
            {ok, none} = py:call(chatty, say, [<<"to nobody">>], #{}, In),
            {ok, none} = py:call(chatty, unraisable, [], #{}, In),
            {ok, _} = py:call(chatty, log_all, [], #{}, In)
        end)),
        ?assertEqual({ok, none, <<"to me\n">>},
                     py:call(chatty, say, [<<"to me">>], #{}, In#{capture => true}))
    end).

%% A handler runs in whoever logs.
slow_handler() ->
    ok = logger:add_handler(slow, logbook, #{sleep => 30}),
    {Ms, Result} = figure:within(500, fun() ->
        py:eval(<<"[print(n) for n in range(50)], __import__('time').sleep(5)">>, #{}, 200)
    end),
    ok = logger:remove_handler(slow),
    ?assertEqual({error, timeout}, Result),
    _ = logbook:await(fun(Event) -> is_python(Event) andalso text(Event) =:= <<"49">> end),
    tap:note("told after ~.1f ms, with a limit of 200", [Ms]).

bad_option() ->
    [?assertMatch({error, {badarg, {option, logs, _}}}, py:start_pool(wrong, #{logs => Value}))
     || Value <- [1, yes, <<"true">>]].
