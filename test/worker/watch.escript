#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What is no job and may block all the same is watched like one: another
%% thread of Python that keeps the GIL, a generator's last words, the start and
%% the end of Python. The program ends with its input whatever it is at, and no
%% request to a stream is lost because it came early.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% How long the program may take to be gone (ms), and when Python has to clean
%% up first.
-define(GONE, 2_000).
-define(CLEAN_UP, 5_000).

main(_) ->
    tap:run([
        {"another thread keeps the GIL: the end of input", fun thread_keeps_gil/0},
        {"another thread keeps the GIL: the end of input while a request waits",
         fun thread_keeps_gil_busy/0},
        {"another thread keeps the GIL for a while: cancel", fun thread_keeps_gil_cancel/0},
        {"Python's start blocks: the end of input", fun start_blocks/0},
        {"Python's start blocks: SIGTERM", fun start_blocks_term/0},
        {"input that ends while Python starts is answered", fun short_input/0},
        {"a stream's last words come before its reply", fun last_words/0},
        {"a stream's last words block: the end of input", fun last_words_block/0},
        {"an item that cannot be sent ends its generator", fun bad_item/0},
        {"streams that are parked end when the program does", fun parked/0},
        {"cancel of a stream whose opening takes no notice", fun cancel_opening/0},
        {"stop of a stream that waits or is being opened", fun early_stop/0},
        {"more for a stream that waits or is being opened", fun early_more/0},
        {"a chunk that fills its frame", fun full_chunk/0},
        {"more than there can be", fun too_much/0},
        {"an Id that leaves no room for an answer", fun large_id/0},
        {"a thread that waits for room ends with the input", fun waiting_sender/0},
        {"what atexit functions say is as ever", fun atexit_says/0}
    ]).

exec(Port, Code) ->
    ok = raw:ask(Port, {exec, unicode:characters_to_binary(Code)}).

eval(Port, Code) ->
    raw:ask(Port, {eval, Code, #{}}).

%% Ends the program's input, and waits for its end.
gone(Port) ->
    gone(Port, ?GONE).

gone(Port, Limit) ->
    {Ms, ok} = figure:within(Limit, fun() -> raw:close(Port) end),
    tap:note("gone after ~b ms", [round(Ms)]).

%% ---------------------------------------------------------------------------

%% A thread that keeps the GIL for so many seconds from now on.
keep_gil(Port, Seconds) ->
    exec(Port, ["import ctypes, threading\n"
                "timer = threading.Timer(0.05, ctypes.PyDLL(None).sleep, (", Seconds, ",))\n"
                "timer.daemon = True\ntimer.start()\n"]),
    timer:sleep(100).

thread_keeps_gil() ->
    Port = raw:open(),
    keep_gil(Port, "60"),
    gone(Port, ?CLEAN_UP).

thread_keeps_gil_busy() ->
    Port = raw:open(),
    keep_gil(Port, "60"),
    raw:send(Port, {7, {eval, <<"1">>, #{}}}),
    timer:sleep(100),
    gone(Port).

%% The loop makes system calls: ThreadSanitizer hands on a signal only there.
thread_keeps_gil_cancel() ->
    Port = raw:open(),
    keep_gil(Port, "1"),
    raw:send(Port, {7, {exec, <<"import time\nwhile True: time.sleep(0)">>}}),
    raw:send(Port, {8, {eval, <<"8">>, #{}}}),
    timer:sleep(100),
    raw:send(Port, {cancel, 8}),
    ?assertEqual({8, {error, cancelled}}, raw:recv(Port)),
    raw:send(Port, {cancel, 7}),
    ?assertEqual({7, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({ok, 2}, eval(Port, <<"1 + 1">>)),
    gone(Port).

%% A directory with a sitecustomize.py that is imported while Python starts.
blocked() ->
    Dir = fixture:tmpdir(),
    Mark = filename:join(Dir, "started"),
    ok = file:write_file(filename:join(Dir, "sitecustomize.py"),
                         ["import time\nopen('", Mark, "', 'w').close()\ntime.sleep(60)\n"]),
    true = os:putenv("PYTHONPATH", Dir),
    Port = raw:open(),
    true = os:unsetenv("PYTHONPATH"),
    fixture:wait_until(fun() -> filelib:is_file(Mark) end),
    Port.

start_blocks() ->
    Port = blocked(),
    raw:send(Port, {1, hello}),
    timer:sleep(50),
    gone(Port).

start_blocks_term() ->
    Port = blocked(),
    fixture:kill("TERM", raw:os_pid(Port)),
    {_, Exit} = figure:within(?GONE, fun() -> raw:recv(Port) end),
    ?assertEqual({exit_status, 128 + 15}, Exit).

short_input() ->
    File = filename:join(fixture:tmpdir(), "in"),
    ok = file:write_file(File, [raw:frame({1, {eval, <<"1 + 1">>, #{}}}), raw:frame({2, version})]),
    [begin
         Out = os:cmd(["{ ", Command, "; } >", File, ".out 2>", File, ".err; echo code=$?"]),
         ?assertEqual({Command, "code=0\n"}, {Command, Out}),
         {ok, <<N:32, First:N/binary, M:32, Second:M/binary>>} = file:read_file(File ++ ".out"),
         ?assertEqual({1, {ok, 2}}, binary_to_term(First)),
         ?assertMatch({2, {ok, _}}, binary_to_term(Second)),
         ?assertEqual({ok, <<>>}, file:read_file(File ++ ".err"))
     end || Command <- [["cat ", File, " | ", fixture:program()],
                        [fixture:program(), " <", File]]].

%% ---------------------------------------------------------------------------

%% Generators behind an iterator that has no close().
generators() ->
    "import os, time, erlang\n"
    "said = []\n"
    "def count(n=9, last=lambda: said.append('closed')):\n"
    "    try:\n        yield from range(n)\n"
    "    finally:\n        last()\n"
    "def wrapped(*args):\n    return map(abs, count(*args))\n".

open_stream(Port, Id, Code, Options) ->
    raw:send(Port, {Id, {stream, {eval, Code, #{}}}, Options}).

last_words() ->
    Port = raw:open(),
    exec(Port, generators()),
    Last = <<"wrapped(9, lambda: erlang.send('nobody', 'closed'))">>,
    open_stream(Port, 1, Last, #{chunk => 2, credit => 2}),
    ?assertEqual({1, {chunk, [0, 1]}}, raw:recv(Port)),
    raw:send(Port, {stop, 1}),
    ?assertEqual({event, send, {nobody, <<"closed">>}}, raw:recv(Port)),
    ?assertEqual({1, ok}, raw:recv(Port)),
    gone(Port).

last_words_block() ->
    Port = raw:open(),
    exec(Port, generators()),
    open_stream(Port, 1, <<"wrapped(9, lambda: time.sleep(60))">>, #{chunk => 2, credit => 2}),
    ?assertEqual({1, {chunk, [0, 1]}}, raw:recv(Port)),
    raw:send(Port, {stop, 1}),
    timer:sleep(100),
    gone(Port).

bad_item() ->
    Port = raw:open(),
    exec(Port, [generators(), "def objects():\n    for n in count():\n        yield object()\n"]),
    open_stream(Port, 1, <<"objects()">>, #{}),
    ?assertMatch({1, {error, {'TypeError', _}}}, raw:recv(Port)),
    ?assertEqual({ok, [<<"closed">>]}, eval(Port, <<"said">>)),
    gone(Port).

parked() ->
    Port = raw:open(),
    File = filename:join(fixture:tmpdir(), "closed"),
    exec(Port, [generators(), "def note():\n    open('", File, "', 'w').close()\n"]),
    open_stream(Port, 1, <<"count(9, note)">>, #{chunk => 2, credit => 2}),
    ?assertEqual({1, {chunk, [0, 1]}}, raw:recv(Port)),
    gone(Port),
    ?assert(filelib:is_file(File)).

cancel_opening() ->
    Port = raw:open(),
    exec(Port, [generators(),
                "def deaf():\n    try:\n        time.sleep(60)\n"
                "    except BaseException:\n        pass\n    return count()\n"]),
    open_stream(Port, 1, <<"deaf()">>, #{chunk => 2, credit => 2}),
    timer:sleep(100),
    raw:send(Port, {cancel, 1}),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    gone(Port).

early_stop() ->
    {Port, Open} = gated(),
    [open_stream(Port, Id, <<"gate(itertools.count())">>, #{chunk => 2, credit => 2})
     || Id <- [1, 2]],
    [raw:send(Port, {stop, Id}) || Id <- [1, 2]],
    Open(),
    ?assertEqual([{1, ok}, {2, ok}], lists:sort([raw:recv(Port), raw:recv(Port)])),
    gone(Port).

%% A program in which gate(x) is x once Open has been called, which first waits
%% until all that was sent has been read: urgent requests are answered meanwhile.
gated() ->
    Port = raw:open(),
    Gate = filename:join(fixture:tmpdir(), "gate"),
    exec(Port, ["import itertools, os, time\n"
                "def gate(x):\n"
                "    while not os.path.exists('", Gate, "'): time.sleep(0.01)\n"
                "    return x\n"]),
    Open = fun() ->
        {ok, _} = raw:ask(Port, memory_stats),
        ok = file:write_file(Gate, <<>>)
    end,
    {Port, Open}.

early_more() ->
    {Port, Open} = gated(),
    [open_stream(Port, Id, <<"gate(range(2))">>, #{chunk => 1, credit => 1}) || Id <- [1, 2]],
    [raw:send(Port, {more, Id, 5}) || Id <- [1, 2]],
    Open(),
    Frames = [raw:recv(Port) || _ <- lists:seq(1, 6)],
    [?assertEqual([{Id, {chunk, [0]}}, {Id, {chunk, [1]}}, {Id, ok}],
                  [Frame || {I, _} = Frame <- Frames, I =:= Id]) || Id <- [1, 2]],
    gone(Port).

%% Whatever the limit, the items stop where the end of the list still fits.
full_chunk() ->
    [begin
         Port = raw:open(["--max-frame", integer_to_list(Max)]),
         open_stream(Port, 1, <<"[7] * 2000">>, #{chunk => 2000, credit => 2001}),
         ?assertEqual({Max, lists:duplicate(2000, 7)}, {Max, all_items(Port, 1)}),
         gone(Port)
     end || Max <- lists:seq(1024, 1030)].

all_items(Port, Id) ->
    case raw:recv(Port) of
        {Id, {chunk, Items}} -> Items ++ all_items(Port, Id);
        {Id, ok} -> []
    end.

too_much() ->
    Port = raw:open(),
    raw:send(Port, {more, 1, 1 bsl 31}),
    ?assertMatch({undefined, {error, {badarg, _}}}, raw:recv(Port)),
    ?assertEqual({ok, 2}, eval(Port, <<"1 + 1">>)),
    gone(Port).

large_id() ->
    Port = raw:open(["--max-frame", "1024"]),
    raw:send(Port, {binary:copy(<<"x">>, 980), version}),
    {undefined, {error, {badarg, Why}}} = raw:recv(Port),
    ?assert(fixture:contains(Why, "Id")),
    ?assertMatch({ok, <<_/binary>>}, raw:ask(Port, version)),
    gone(Port).

%% ---------------------------------------------------------------------------

%% It is no daemon: Python waits for it before it ends.
waiting_sender() ->
    Port = raw:open(),
    ok = raw:ask(Port, {listen, true, 1}),
    exec(Port, "import erlang, threading\n"
               "def sender():\n"
               "    for n in range(99): erlang.send('nobody', n)\n"
               "threading.Timer(0.1, sender).start()\n"),
    ?assertEqual({event, send, {nobody, 0}}, raw:recv(Port)),
    fixture:kill("TERM", raw:os_pid(Port)),
    ?assertEqual({exit_status, 128 + 15}, last_of(Port)).

last_of(Port) ->
    case raw:recv(Port) of
        {exit_status, _} = Exit -> Exit;
        {event, _, _} -> last_of(Port)
    end.

atexit_says() ->
    Port = raw:open(),
    exec(Port, "import atexit, erlang\n"
               "atexit.register(lambda: erlang.send('nobody', erlang.Atom('bye')))\n"),
    fixture:kill("TERM", raw:os_pid(Port)),
    ?assertEqual({event, send, {nobody, bye}}, raw:recv(Port)),
    ?assertEqual({exit_status, 128 + 15}, raw:recv(Port)).
