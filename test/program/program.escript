#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The program as a process: its command line, its end, what it does with
%% descriptors and signals, control frames; all without the py application.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        {"--help", fun help/0},
        {"--version", fun version/0},
        [usage(Row) || Row <- usage_errors()],
        {"started on a terminal it explains itself", fun terminal/0},
        {"a venv that is not", fun no_venv/0},
        {"what failed at the start waits for the VM's first request", fun failed_waits/0},
        {"hello", fun hello/0},
        {"the operations on memory", fun memory/0},
        {"limits on the command line, and changed", fun limits/0},
        {"limits that cannot be", fun no_limits/0},
        {"end of input while idle", fun end_idle/0},
        {"quit while idle: the last words arrive", fun quit_idle/0},
        {"quit while a job runs: it is interrupted, and its reply arrives", fun quit_busy/0},
        {"quit while Python does not stop", fun quit_deaf/0},
        {"quit is read by the job that waits for an answer", fun quit_asking/0},
        {"end of input while Python sleeps, spins, is stubborn", 120_000, fun end_busy/0},
        {"print, os.write, printf and echo cannot damage a frame", fun noise/0},
        {"closing 0, 1 and 2 in Python does not harm", fun closed_descriptors/0},
        {"closing all descriptors in Python ends it", fun closed_all/0},
        {"started without standard error: child processes have one", fun no_stderr/0},
        {"signals: INT and PIPE are ignored, TERM ends it", fun signals/0},
        {"signals that were ignored and blocked at its start", fun ignored_signals/0},
        {"a process that it started has the signals of an ordinary one", fun child_signals/0},
        {"a stopped program ends with its parent, and so does its group", fun stopped/0},
        {"the peer goes away while a reply is written", fun peer_gone/0},
        {"no child of Python keeps the protocol open", fun children/0},
        {"stream: chunks, credit, more, stop", fun stream/0},
        {"stream: an error behind items", fun stream_error/0},
        {"stream: two at once, and a request between", fun streams/0},
        {"control frames about unknown Ids", fun unknown_ids/0},
        {"cancel of a stream", fun cancel_stream/0},
        {"without /proc it says so", fun no_proc/0},
        {"it runs under valgrind", 300_000, fun valgrind/0},
        {"an event by erlang.send", fun event/0},
        {"a message that is answered", fun answered/0},
        {"a message whose sender gives up", fun withdrawn/0},
        {"the input ends while a message waits for its answer", fun unanswered/0},
        {"an answer that nobody waits for", fun unasked/0}
    ]).

help() ->
    #{code := 0, stdout := Text, stderr := <<>>} = raw:run(["--help"], <<>>),
    [?assert(fixture:contains(Text, Word))
     || Word <- ["Usage", "--venv", "--path", "--max-frame", "--interrupt-grace", "--version",
                        "--help"]].

version() ->
    #{code := 0, stdout := Text} = raw:run(["--version"], <<>>),
    ?assertMatch({match, _}, re:run(Text, "^pyport 0\\.\\d+\\.\\d+.*3\\.\\d+", [dotall])).

%% {What, arguments}
usage_errors() ->
    [{"an unknown option", ["--colour"]}, {"an argument too many", ["file.py"]},
     {"an option without its value", ["--venv"]}, {"an invalid size", ["--max-frame", "big"]},
     {"a size of 0", ["--max-frame", "0"]}, {"a size beyond all", ["--max-frame", "99999999999"]},
     {"a worker of no number", ["--worker", "0"]},
     {"an invalid time", ["--interrupt-grace", "soon"]},
     {"a time before now", ["--interrupt-grace", "-1"]}].

usage({What, Args}) ->
    {["wrong command line: ", What], fun() ->
        #{code := 64, stdout := <<>>, stderr := Text} = raw:run(Args, <<>>),
        ?assert(fixture:contains(Text, "--help"))
    end}.

terminal() ->
    os:cmd("script -qec 'echo ok' /dev/null </dev/null 2>&1") =:= "ok\r\n"
        orelse tap:skip("script(1) cannot make a terminal here"),
    Text = os:cmd("script -qec '" ++ fixture:program() ++ "' /dev/null </dev/null; echo code=$?"),
    ?assert(fixture:contains(Text, "code=64")),
    ?assert(fixture:contains(Text, "Erlang")),
    ?assert(fixture:contains(Text, "--help")).

no_venv() ->
    #{code := 70, replies := [{undefined, {error, {start_failed, Why}}}]} =
        raw:run(["--venv", "/no/such/venv"], raw:frame({1, version})),
    ?assert(fixture:contains(Why, "/no/such/venv")).

%% In a mount namespace of its own, which not everybody may have.
no_proc() ->
    Unshare = "unshare -m sh -c 'umount -l /proc && exec \"$0\" \"$@\"' ",
    os:cmd(Unshare ++ "echo works 2>&1") =:= "works\n" orelse tap:skip("/proc cannot be unmounted here"),
    Said = os:cmd(Unshare ++ "'" ++ fixture:program() ++ "' </dev/null 2>&1"),
    ?assert(fixture:contains(Said, "Python cannot start: /proc is not mounted")).

%% valgrind keeps a signal for itself, and has descriptors of its own.
valgrind() ->
    fixture:unless_sanitized(),
    Valgrind = os:find_executable("valgrind"),
    Valgrind =/= false orelse tap:skip("valgrind was not found (Debian: valgrind)"),
    Log = filename:join(fixture:tmpdir(), "log"),
    Port = open_port({spawn_executable, Valgrind},
                     [{args, ["-q", "--log-file=" ++ Log, fixture:program()]}, {packet, 4}, binary,
                      {env, [{"PYTHONMALLOC", "malloc"}]}, exit_status]),
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:close(Port).

%% A VM whose write fails would drop what the program had said.
failed_waits() ->
    Port = raw:open(["--venv", "/no/such/venv"]),
    OsPid = raw:os_pid(Port),
    {undefined, {error, {start_failed, _}}} = raw:recv(Port),
    timer:sleep(300),
    ?assert(fixture:is_running(OsPid)),
    raw:send(Port, {1, hello}),
    ?assertEqual({exit_status, 70}, raw:recv(Port)).

hello() ->
    Port = raw:open(),
    OsPid = raw:os_pid(Port),
    {ok, Hello} = raw:ask(Port, hello),
    ?assertMatch(#{protocol := 1, pyport := _, python := _, os_pid := OsPid, executable := _,
                   features := [quit, batch, call, context, handle, multicall],
                   max_frame := 268435456, max_depth := 4096, exceptions := [_ | _]}, Hello),
    ?assert(lists:member(<<"ValueError">>, maps:get(exceptions, Hello))),
    raw:close(Port).

memory() ->
    Port = raw:open(),
    {ok, #{gc_stats := [_, _, _], gc_count := {_, _, _}, gc_threshold := {_, _, _}} = Stats} =
        raw:ask(Port, memory_stats),
    ?assertNot(maps:is_key(traced_memory_current, Stats)),
    [?assertMatch({ok, N} when N >= 0, raw:ask(Port, Op)) || Op <- [gc, {gc, 0}, {gc, 1}, {gc, 2}]],
    ok = raw:ask(Port, trim),
    ok = raw:ask(Port, {tracemalloc_start, 5}),
    ok = raw:ask(Port, {exec, <<"kept = ['x' * 1000 for _ in range(1000)]">>}),
    {ok, #{traced_memory_current := Now, traced_memory_peak := Peak}} = raw:ask(Port, memory_stats),
    ?assert(Peak >= Now andalso Now > 1000),
    {ok, Top} = raw:ask(Port, {tracemalloc_top, 3}),
    ?assertMatch([#{file := _, line := _, size := _, count := _} | _], Top),
    ?assert(length(Top) =< 3),
    ok = raw:ask(Port, tracemalloc_stop),
    ok = raw:ask(Port, tracemalloc_start),
    ok = raw:ask(Port, tracemalloc_stop),
    raw:close(Port).

limits() ->
    Port = raw:open(["--files", "100", "--core", "0", "--oom-score-adj", "999"]),
    Soft = {eval, <<"[resource.getrlimit(r)[0] for r in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)]">>,
            #{}},
    ok = raw:ask(Port, {exec, <<"import resource">>}),
    ?assertEqual({ok, [100, 0]}, raw:ask(Port, Soft)),
    ok = raw:ask(Port, {set_limits, #{files => 90, core => 10}}),
    ok = raw:ask(Port, {set_limits, #{}}),
    ?assertEqual({ok, [90, 10]}, raw:ask(Port, Soft)),
    [?assertMatch({error, {badarg, <<"memory: ", _/binary>>}}, raw:ask(Port, {set_limits, Limits}))
     || Limits <- [[], 7, #{fils => 1}, #{1 => 1}, #{files => many}, #{files => 1.0},
                   #{files => 80, core => 1 bsl 70}, #{files => <<"80">>},
                   maps:from_list([{list_to_atom("x" ++ integer_to_list(N)), 1}
                                   || N <- lists:seq(1, 100)])]],
    ?assertMatch({error, {'OSError', <<"memory: files 1099511627776: ", _/binary>>}},
                 raw:ask(Port, {set_limits, #{files => 1 bsl 40}})),
    ?assertMatch({error, {'OSError', <<"memory: cgroup_max 5: ", _/binary>>}},
                 raw:ask(Port, {set_limits, #{cgroup_max => 5}})),
    ?assertEqual({ok, [90, 10]}, raw:ask(Port, Soft)),
    raw:close(Port).

no_limits() ->
    [begin
         #{code := 70, stderr := Text} = raw:run(Args, raw:frame({1, hello})),
         ?assert(fixture:contains(Text, Why))
     end || {Args, Why} <- [{["--files", "many"], "memory: files many: Invalid argument"},
                            {["--files", "-1"], "memory: files -1: Invalid argument"},
                            {["--core", "99999999999999999999"], "memory: core 9999"},
                            {["--oom-score-adj", "1001"], "memory: oom_score_adj 1001: "},
                            {["--cgroup", "/nowhere"], "memory: cgroup /nowhere cannot be joined: "},
                            {["--cgroup-max", "5"], "memory: cgroup_max 5: "}]].

%% ---------------------------------------------------------------------------
%% The end

end_idle() ->
    Port = raw:open(),
    {ok, _} = raw:ask(Port, version),
    {Ms, ok} = figure:within(1000, fun() -> raw:close(Port) end),
    tap:note("gone after ~.1f ms", [Ms]).

quit_idle() ->
    Port = raw:open(),
    Code = <<"import atexit, erlang\n"
             "atexit.register(print, 'printed', end='')\n"
             "atexit.register(erlang.send, 'me', 'sent')\n"
             "atexit.register(lambda: 1 / 0)">>,
    ok = raw:ask(Port, {listen, true, 1 bsl 20}),
    ok = raw:ask(Port, {exec, Code}),
    true = port_command(Port, term_to_binary(quit)),
    {event, log, #{source := unraisable, level := error, text := Text}} = raw:recv(Port),
    ?assert(fixture:contains(Text, "ZeroDivisionError")),
    ?assertEqual({event, send, {me, <<"sent">>}}, raw:recv(Port)),
    ?assertMatch({event, log, #{source := stdout, text := <<"printed">>}}, raw:recv(Port)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

%% What waits is neither run nor answered.
quit_busy() ->
    Port = raw:open(),
    raw:send(Port, {1, {eval, <<"__import__('time').sleep(60)">>, #{}}}),
    raw:send(Port, {2, {eval, <<"2">>, #{}}}),
    raw:send(Port, quit),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

quit_deaf() ->
    Port = raw:open(["--path", fixture:python_path()]),
    File = filename:join(fixture:tmpdir(), "started"),
    raw:send(Port, {1, {call, wedge, swallow, [list_to_binary(File)], #{}}}),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    {Ms, _} = figure:within(2000, fun() ->
        raw:send(Port, quit),
        ?assertEqual({exit_status, 75}, raw:recv(Port))
    end),
    tap:note("gone after ~.1f ms", [Ms]).

%% The job has just begun, so nobody else reads.
quit_asking() ->
    {Port, CallId} = asking("erlang.send('a', 1)\n"),
    raw:send(Port, quit),
    ?assertEqual({event, withdraw, CallId}, raw:recv(Port)),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

end_busy() ->
    [begin
         Port = raw:open(["--path", fixture:python_path()]),
         raw:send(Port, {1, {call, misbehave, Function, Args, #{}}}),
         timer:sleep(200),
         {Ms, ok} = figure:within(6000, fun() -> raw:close(Port) end),
         tap:note("~p: gone after ~.1f ms", [Function, Ms])
     end || {Function, Args} <- [{sleep, [60]}, {spin, []}, {stubborn, []}]].

%% ---------------------------------------------------------------------------
%% Descriptors and signals

noise() ->
    Word = <<"noise-to-be-seen">>,
    Calls = [raw:frame({N, {call, misbehave, noise, [Word], #{}}}) || N <- [1, 2, 3]],
    #{code := 0, replies := Replies, stderr := Text} =
        raw:run(["--path", fixture:python_path()], Calls),
    ?assertEqual([{N, {ok, none}} || N <- [1, 2, 3]], Replies),
    %% Four ways each time, all of it on standard error.
    ?assertEqual(12, length(binary:matches(Text, Word))).

closed_descriptors() ->
    Code = <<"[os.close(n) for os in [__import__('os')] for n in (0, 1, 2)] and 'closed'">>,
    #{code := 0, replies := Replies} =
        raw:run([raw:frame({1, {eval, Code, #{}}}), raw:frame({2, {exec, <<"print('x')">>}}),
                 raw:frame({3, {eval, <<"open('/dev/null').fileno() >= 0">>, #{}}}),
                 raw:frame({4, version})]),
    %% The last one may be answered while the others wait.
    ?assertMatch([{1, {ok, <<"closed">>}}, {2, _}, {3, {ok, true}}, {4, {ok, _}}],
                 lists:keysort(1, Replies)).

%% In a job that somebody watches, who is to notice.
closed_all() ->
    Port = raw:open(),
    raw:send(Port, {1, {exec, <<"import os, time\ntime.sleep(0.1)\nos.closerange(3, 100)">>}}),
    ?assertEqual({exit_status, 74}, raw:recv(Port)).

no_stderr() ->
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", "exec \"$0\" 2>&-", fixture:program()]}, {packet, 4}, binary,
                      exit_status]),
    Child = <<"__import__('subprocess').run(['readlink', '/proc/self/fd/2'], stdout=-1).stdout">>,
    ?assertEqual({ok, <<"/dev/null\n">>}, raw:ask(Port, {eval, Child, #{}})),
    raw:close(Port).

signals() ->
    Port = raw:open(),
    {ok, _} = raw:ask(Port, version),
    OsPid = raw:os_pid(Port),
    [fixture:kill(Name, OsPid) || Name <- ["INT", "PIPE"]],
    timer:sleep(100),
    ?assertMatch({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    fixture:kill("TERM", OsPid),
    ?assertEqual({exit_status, 128 + 15}, raw:recv(Port)).

%% As under nohup, or in a test runner. Without SIGCHLD Python would not learn how
%% its children ended.
ignored_signals() ->
    Names = ["SIGHUP", "SIGINT", "SIGTERM", "SIGCHLD"],
    Start = ["import os, signal, sys\n",
             [["signal.signal(signal.", Name, ", signal.SIG_IGN)\n"] || Name <- Names],
             "signal.pthread_sigmask(signal.SIG_BLOCK, {", lists:join(", ", numbers(Names)), "})\n",
             "os.execv(sys.argv[1], sys.argv[1:])"],
    Port = open_port({spawn_executable, os:find_executable(fixture:python())},
                     [{args, ["-c", lists:flatten(Start), fixture:program()]}, {packet, 4}, binary,
                      exit_status]),
    ok = raw:ask(Port, {exec, <<"import os, signal, subprocess">>}),
    ?assertEqual({ok, none}, raw:ask(Port, {eval, masks(), #{}})),
    Kept = <<"[s for s in ('SIGHUP', 'SIGCHLD') if signal.getsignal(getattr(signal, s))]">>,
    ?assertEqual({ok, []}, raw:ask(Port, {eval, Kept, #{}})),
    Status = <<"subprocess.run(['sh', '-c', 'exit 3']).returncode">>,
    ?assertEqual({ok, 3}, raw:ask(Port, {eval, Status, #{}})),
    fixture:kill("HUP", raw:os_pid(Port)),
    ?assertEqual({exit_status, 128 + 1}, raw:recv(Port)).

numbers(Names) ->
    ["signal." ++ Name || Name <- Names].

%% That no signal is blocked, and only those ignored that Python itself ignores.
masks() ->
    <<"signal.pthread_sigmask(signal.SIG_BLOCK, ()) or ",
      "{s.name for s in signal.valid_signals() if isinstance(s, signal.Signals)",
      " and signal.getsignal(s) is signal.SIG_IGN} ^ {'SIGPIPE', 'SIGXFSZ'} or None">>.

%% By fork and exec, by posix_spawn, by a shell: nothing is blocked or caught, and
%% what is ignored is what any Python hands on.
child_signals() ->
    Port = raw:open(["--path", fixture:python_path()]),
    Ways = [run, spawned, shell],
    Here = [raw:ask(Port, {call, procs, signals_of, [Way], #{}}) || Way <- Ways],
    Ordinary = [fixture:ordinary_python(["procs.signals_of('", atom_to_list(Way), "')"])
                || Way <- Ways],
    ?assertEqual([{ok, Text} || Text <- Ordinary], Here),
    raw:close(Port).

%% Its parent is killed, as a VM's helper ends with its VM. A child of its own is
%% stopped, too.
stopped() ->
    Parent = open_port({spawn_executable, "/bin/sh"},
                       [{args, ["-c", "exec 3<&0; setsid \"$0\" --path \"$1\" <&3 & wait",
                                fixture:program(), fixture:python_path()]},
                        {packet, 4}, binary, exit_status]),
    ok = raw:ask(Parent, {exec, <<"import os, procs">>}),
    {ok, {Program, Child}} = raw:ask(Parent, {eval, <<"(os.getpid(), procs.stopped_child())">>, #{}}),
    fixture:kill("STOP", Program),
    fixture:kill("KILL", raw:os_pid(Parent)),
    port_close(Parent),
    tap:note("gone after ~b ms", [osproc:all_gone([Program, Child], 5000)]).

peer_gone() ->
    Frames = [raw:frame({N, {eval, <<"'x' * 1000000">>, #{}}}) || N <- lists:seq(1, 50)],
    File = filename:join(fixture:tmpdir(), "in"),
    ok = file:write_file(File, Frames),
    Command = "bash -c '(cat " ++ File ++ "; sleep 2) | " ++ fixture:program()
        ++ " 2>/dev/null | head -c 10 >/dev/null; echo ${PIPESTATUS[1]}'",
    os:find_executable("bash") =/= false orelse tap:skip("there is no bash here"),
    ?assertEqual("74", string:trim(os:cmd(Command))).

%% A child that outlives the program must not hold its pipes: the peer would
%% never see the end.
children() ->
    Code = <<"__import__('subprocess').Popen(['sleep', '7'], close_fds=False) and None">>,
    Port = raw:open(),
    ?assertEqual({ok, none}, raw:ask(Port, {eval, Code, #{}})),
    fixture:kill("TERM", raw:os_pid(Port)),
    ?assertMatch({exit_status, _}, raw:recv(Port, 5000)).

%% ---------------------------------------------------------------------------
%% Streams and control

stream() ->
    Port = raw:open(),
    raw:send(Port, {1, {stream, {eval, <<"range(10)">>, #{}}}, #{chunk => 3, credit => 4}}),
    ?assertEqual([0, 1, 2, 3], items(Port, 1, 4)),
    %% No credit: parked, other requests run meanwhile.
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:send(Port, {more, 1, 2}),
    ?assertEqual([4, 5], items(Port, 1, 2)),
    raw:send(Port, {more, 1, 100}),
    ?assertEqual([6, 7, 8, 9], items(Port, 1, 4)),
    ?assertEqual({1, ok}, raw:recv(Port)),
    raw:send(Port, {2, {stream, {call, itertools, count, [], #{}}}, #{chunk => 2, credit => 2}}),
    ?assertEqual([0, 1], items(Port, 2, 2)),
    raw:send(Port, {stop, 2}),
    ?assertEqual({2, ok}, raw:recv(Port)),
    raw:close(Port).

%% So many items of a stream, in chunks of whatever size.
items(_, _, 0) -> [];
items(Port, Id, N) when N > 0 ->
    {Id, {chunk, Items}} = raw:recv(Port),
    Items ++ items(Port, Id, N - length(Items)).

stream_error() ->
    Port = raw:open(["--path", fixture:python_path()]),
    raw:send(Port, {1, {stream, {call, misbehave, failing_generator, [5], #{}}},
                    #{chunk => 2, credit => 9}}),
    ?assertEqual([0, 1, 2, 3, 4], items(Port, 1, 5)),
    ?assertMatch({1, {error, {'ValueError', <<"out of items">>}}}, raw:recv(Port)),
    raw:close(Port).

streams() ->
    Port = raw:open(),
    [raw:send(Port, {Id, {stream, {eval, <<"range(n, n + 50)">>, #{n => Id}}},
                     #{chunk => 10, credit => 1000}}) || Id <- [100, 200]],
    raw:send(Port, {3, version}),
    Got = collect(Port, 3, #{}),
    ?assertEqual(lists:seq(100, 149), maps:get(100, Got)),
    ?assertEqual(lists:seq(200, 249), maps:get(200, Got)),
    raw:close(Port).

collect(_, 0, Got) -> Got;
collect(Port, Left, Got) ->
    case raw:recv(Port) of
        {Id, {chunk, Items}} -> collect(Port, Left, Got#{Id => maps:get(Id, Got, []) ++ Items});
        {_, _} -> collect(Port, Left - 1, Got)
    end.

unknown_ids() ->
    Port = raw:open(),
    [raw:send(Port, Frame) || Frame <- [{cancel, 99}, {more, 99, 5}, {stop, 99},
                                        {take_back, 99}]],
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:close(Port).

cancel_stream() ->
    Port = raw:open(),
    raw:send(Port, {1, {stream, {eval, <<"iter(int, 1)">>, #{}}}, #{chunk => 2, credit => 2}}),
    ?assertEqual([0, 0], items(Port, 1, 2)),
    raw:send(Port, {cancel, 1}),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:close(Port).

event() ->
    Port = raw:open(),
    raw:send(Port, {1, {call, erlang, send, [self(), {a, [1]}], #{}}}),
    Self = self(),
    ?assertEqual({event, send, {Self, {a, [1]}}}, raw:recv(Port)),
    ?assertMatch({1, {ok, _}}, raw:recv(Port)),
    raw:close(Port).

%% A program whose messages are answered, with a job in it that sends one.
asking(Code) ->
    Port = raw:open(),
    ok = raw:ask(Port, {listen, false, 0, true}),
    raw:send(Port, {1, {exec, ["import erlang\n", Code]}}),
    {send, CallId, a, 1} = raw:recv(Port),
    {Port, CallId}.

answered() ->
    {Port, First} = asking("erlang.send('a', 1)\nerlang.send('a', 2)\n"),
    raw:send(Port, {reply, First, ok}),
    {send, Second, a, 2} = raw:recv(Port),
    ?assertNotEqual(First, Second),
    raw:send(Port, {reply, First, ok}),
    %% Others are answered meanwhile.
    ?assertMatch({ok, _}, raw:ask(Port, version)),
    raw:send(Port, {reply, Second, {error, <<"not today">>}}),
    ?assertEqual({1, {error, {<<"erlang.SendError">>, <<"not today">>}}}, raw:recv(Port)),
    raw:close(Port).

withdrawn() ->
    {Port, CallId} = asking("erlang.send('a', 1)\n"),
    raw:send(Port, {cancel, 1}),
    ?assertEqual({event, withdraw, CallId}, raw:recv(Port)),
    ?assertEqual({1, {error, cancelled}}, raw:recv(Port)),
    raw:send(Port, {reply, CallId, ok}),
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:close(Port).

%% Nothing is written any more, and the program ends.
unanswered() ->
    {Port, _} = asking("erlang.send('a', 1)\n"),
    fixture:kill("TERM", raw:os_pid(Port)),
    Last = raw:recv(Port),
    ?assert(lists:member(Last, [{exit_status, 0}, {exit_status, 75}, {exit_status, 128 + 15},
                                {1, {error, {<<"erlang.SendError">>, <<"there is no connection to Erlang"
                                                            " any more">>}}}])),
    element(1, Last) =:= exit_status orelse raw:recv(Port).

unasked() ->
    Port = raw:open(),
    [raw:send(Port, {reply, CallId, Result})
     || CallId <- [7, 300, 1 bsl 70, a, {}], Result <- [ok, {error, 1}, [], #{}]],
    ?assertEqual({ok, 2}, raw:ask(Port, {eval, <<"1 + 1">>, #{}})),
    raw:close(Port).
