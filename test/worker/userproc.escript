#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Processes, threads and signals in user code: what programs do with them works
%% in a worker, too; each request has one answer, and nothing strays.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => <<"import os, procs">>}, [
        [works(Row) || Row <- programs()],
        [works(Row, "spawn") || Row <- pools("spawn")],
        [works(Row, "fork") || Row <- pools("fork")],
        [works(Row, "forkserver") || Row <- pools("forkserver")],
        {"a thread that outlives its call", fun thread_outlives/0},
        {"a thread does not stop an idle worker's end", fun thread_at_the_end/0},
        {"pools that nobody shut down end with the worker", 60_000, fun kept_pools/0},
        [put_back(Name) || Name <- ["SIGINT", "SIGTERM", "SIGPIPE", "SIGHUP", "SIGUSR1"]],
        [interrupted(How) || How <- ["interrupt_main", "in a thread", "raise_signal", "os.kill"]],
        {"an interrupt between two calls hits neither", fun interrupt_between/0},
        {"SIGINT from outside disturbs no call", fun interrupt_outside/0},
        {"a handler of SIGTERM, and the worker's own again", fun own_sigterm/0},
        [terminated(Row) || Row <- terminated()],
        {"a forked child has the signals of an ordinary one", fun child_outlook/0},
        {"a signal handler that is called while the worker is idle", fun idle_alarm/0},
        {"a signal handler in one call does not spoil a deadline", fun alarm_and_deadline/0},
        [one_answer(Row) || Row <- forks()],
        {"os.fork in a generator", fun fork_in_stream/0},
        {"os.fork whose child lives on", fun fork_lives_on/0},
        [child_ends(Row) || Row <- endings()],
        {"os.fork in a generator whose child raises", fun fork_raises_in_stream/0},
        {"os.fork whose child crashes: it is no crash of the worker", fun fork_crashes/0},
        {"without the application: a forked child writes no frame", fun fork_raw/0},
        {"a cancelled call's children can be ended by it", fun cancelled_run/0}
    ])).

%% {What, function of procs.py, arguments, result}
programs() ->
    [{"subprocess.run", run, [<<"echo">>, <<"hello">>], {0, <<"hello\n">>}},
     {"subprocess.run that fails", run, [<<"sh">>, <<"-c">>, <<"exit 3">>], {3, <<>>}},
     {"subprocess.run that is killed", run, [<<"sh">>, <<"-c">>, <<"kill -9 $$">>], {-9, <<>>}},
     {"subprocess.run with input", run_input, [<<"text">>], <<"text">>},
     {"subprocess.run with a time limit", run_too_long, [], <<"expired">>},
     {"subprocess.run without input", run_without_input, [], <<>>},
     {"subprocess.Popen with a pipe", shell_pipe, [], <<"a\nb\n">>},
     {"os.system, whose shell writes to standard output", none, [], 0},
     {"concurrent.futures: threads", in_threads, [20], squares(20)},
     {"concurrent.futures: processes", in_processes, [20], squares(20)},
     {"signal.setitimer and a handler", alarm, [0.05], <<"alarm">>},
     {"a signal to itself", signal_self, [], <<"SIGUSR1">>}].

pools(Method) ->
    Name = list_to_binary(Method),
    [{"multiprocessing.Pool(2).map", mapped, [Name, 20], squares(20)},
     {"multiprocessing.Pool in other processes", mapped_by, [Name], true},
     {"multiprocessing.Process and a queue", process_with_queue, [Name],
      {{<<"put">>, 1}, 0}}].

squares(Count) ->
    [N * N || N <- lists:seq(0, Count - 1)].

works({What, Function, Args, Result}, Method) ->
    works({[What, ", ", Method], Function, Args, Result}).

works({What, Function, Args, Result}) ->
    {What, 60_000, fun() ->
        OsPid = os_pid(),
        ?assertEqual({ok, Result}, call(Function, Args)),
        alone(OsPid)
    end}.

call(none, _) -> py:eval(<<"os.system('echo to standard output')">>);
call(Function, Args) -> py:call(procs, Function, Args).

os_pid() ->
    {ok, OsPid} = py:eval(<<"os.getpid()">>),
    OsPid.

%% The same worker, fit for the next call, without children but those that
%% multiprocessing keeps for later.
alone(OsPid) ->
    ?assertEqual(OsPid, os_pid()),
    fixture:wait_until(fun() -> [Pid || Pid <- strays(OsPid), not is_kept(Pid)] =:= [] end).

strays(OsPid) ->
    osproc:group(OsPid) -- [OsPid].

is_kept(Pid) ->
    case file:read_file(["/proc/", integer_to_list(Pid), "/cmdline"]) of
        {ok, Line} -> fixture:contains(Line, "forkserver") orelse fixture:contains(Line, "tracker");
        {error, _} -> false
    end.

%% ---------------------------------------------------------------------------

thread_outlives() ->
    File = filename:join(fixture:tmpdir(), "done"),
    {ok, none} = py:call(procs, outlive, [list_to_binary(File), 1]),
    ?assertEqual(0, filelib:file_size(File)),
    fixture:wait_until(fun() -> filelib:file_size(File) > 0 end).

%% Python waits for its threads at the end, but nobody waits for ever.
thread_at_the_end() ->
    with_pool(fun(In) ->
        OsPids = fixture:os_pids(p),
        {ok, none} = py:call(procs, outlive, [<<"/dev/null">>, 60], #{}, In),
        OsPids
    end, fun(OsPids) -> osproc:all_gone(OsPids, 5000) end).

%% Starts a pool, stops it, and looks at what is left.
with_pool(Fun, Look) ->
    {ok, _} = py:start_pool(p, #{size => 1, python_path => [fixture:python_path()],
                                 init => <<"import procs">>}),
    Found = try Fun(#{pool => p}) after ok = py:stop_pool(p) end,
    Look(Found).

kept_pools() ->
    with_pool(fun(In) ->
        ?assertEqual({ok, [9, 16]}, py:call(procs, keep_pools, [], #{}, In)),
        [OsPid] = fixture:os_pids(p),
        Group = osproc:group(OsPid),
        ?assert(length(Group) >= 2),
        Group
    end, fun(Group) -> tap:note("gone after ~b ms", [osproc:all_gone(Group, 5000)]) end).

%% Nobody is there to take the exception: it must not end the worker.
idle_alarm() ->
    OsPid = os_pid(),
    {ok, none} = py:call(procs, alarm_later, [0.1]),
    timer:sleep(300),
    Answers = [py:eval(<<"1">>) || _ <- [1, 2, 3]],
    tap:note("the next calls: ~0tp", [Answers]),
    ?assertEqual([{ok, 1}, {ok, 1}], tl(Answers)),
    ?assertEqual(OsPid, os_pid()).

put_back(Name) ->
    {["a handler of ", Name, " that is put back"], fun() ->
        ?assertEqual({ok, [true, true, true]}, py:call(procs, put_back, [list_to_binary(Name)])),
        ?assertEqual({ok, [true, true, true]}, py:call(procs, put_back, [list_to_binary(Name)]))
    end}.

interrupted(How) ->
    {["KeyboardInterrupt in the call that runs: ", How], fun() ->
        OsPid = os_pid(),
        ?assertEqual({ok, <<"interrupted">>}, py:call(procs, interrupt_here, [list_to_binary(How)])),
        ?assertEqual(OsPid, os_pid())
    end}.

interrupt_between() ->
    OsPid = os_pid(),
    {ok, none} = py:call(procs, interrupt_later, [0.05]),
    timer:sleep(200),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)),
    Results = [begin
                   Now = py:call(procs, interrupt_now_and_leave, []),
                   timer:sleep(20),
                   {Now, py:eval(<<"2">>)}
               end || _ <- lists:seq(1, 20)],
    ?assertEqual([], [Next || {_, Next} <- Results, Next =/= {ok, 2}]),
    ?assertEqual(OsPid, os_pid()).

%% Even after user code has put our handler back.
interrupt_outside() ->
    OsPid = os_pid(),
    {ok, _} = py:call(procs, put_back, [<<"SIGINT">>]),
    File = filename:join(fixture:tmpdir(), "done"),
    Ref = py:spawn_call(procs, sleep_and_write, [list_to_binary(File)]),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    [fixture:kill("INT", OsPid) || _ <- lists:seq(1, 3)],
    ?assertEqual({ok, <<"slept">>}, py:await(Ref)),
    fixture:kill("INT", OsPid),
    ?assertEqual(OsPid, os_pid()).

own_sigterm() ->
    File = filename:join(fixture:tmpdir(), "handled"),
    OsPid = os_pid(),
    {ok, none} = py:call(procs, terminate_by_handler, [list_to_binary(File)]),
    ?assertEqual({ok, <<"handled">>}, file:read_file(File)),
    ?assertEqual(OsPid, os_pid()),
    fixture:kill("TERM", OsPid),
    _ = osproc:all_gone([OsPid], 5000),
    fixture:wait_until(fun() -> py:eval(<<"1">>) =:= {ok, 1} end).

%% {What, function, result for each child}
terminated() ->
    [{"os.fork", terminated_children, -15},
     {"multiprocessing.Process.terminate", terminated_processes, -15}].

terminated({What, Function, Code}) ->
    {["SIGTERM for a child that has just been started: ", What], 60_000, fun() ->
        OsPid = os_pid(),
        ?assertEqual({ok, lists:duplicate(20, Code)}, py:call(procs, Function, [20])),
        ?assertEqual({ok, 10}, py:call(procs, pools_without_work, [10])),
        alone(OsPid)
    end}.

child_outlook() ->
    {ok, Here} = py:call(procs, child_outlook, []),
    ?assertEqual(fixture:ordinary_python("procs.child_outlook()"), Here).

alarm_and_deadline() ->
    ?assertEqual({error, {'procs.Alarm', <<"signal 14">>}}, binary_class(py:call(procs, alarm_raises, []))),
    ?assertEqual({error, timeout}, py:call(procs, alarm, [60], #{}, 100)),
    ?assertEqual({ok, <<"alarm">>}, py:call(procs, alarm, [0.05])).

%% Whether the node has the atom or not.
binary_class({error, {Class, Message}}) when is_binary(Class) ->
    {error, {binary_to_atom(Class), Message}};
binary_class(Result) ->
    Result.

%% ---------------------------------------------------------------------------

%% {What, function of procs.py, arguments, result}. A thread's child does not end
%% in our code but with the thread; a sanitizer makes a leak of that.
forks() ->
    [{"whose child returns", fork_returns, [<<"value">>], {0, <<"value">>}},
     {"whose child raises", fork_raises, [], 1},
     {"whose child calls sys.exit(5)", fork_exits, [5], 5},
     {"in a thread", fork_in_thread, [], any},
     {"whose child prints", fork_prints, [<<"a line of the child">>], 0}].

one_answer({What, Function, Args, Result}) ->
    {["os.fork ", What, ": one answer, the parent's"], fun() ->
        OsPid = os_pid(),
        {ok, Got} = py:call(procs, Function, Args),
        ?assertEqual(Result, case Result of any -> any; _ -> Got end),
        ?assertEqual(lists:seq(1, 50), [N || N <- lists:seq(1, 50), {ok, N} =:= echo(N)]),
        alone(OsPid)
    end}.

echo(N) ->
    py:eval(<<"n">>, #{n => N}).

fork_in_stream() ->
    OsPid = os_pid(),
    ?assertEqual({ok, [<<"before">>, <<"after">>]}, py:stream(procs, fork_generator, [])),
    ?assertEqual({ok, 1}, echo(1)),
    alone(OsPid).

fork_lives_on() ->
    OsPid = os_pid(),
    {ok, Child} = py:call(procs, fork_lives_on, [0.3]),
    ?assert(is_integer(Child) andalso Child =/= 0),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 50)], [echo(N) || N <- lists:seq(1, 50)]),
    alone(OsPid).

%% {What the child does, its expression, its exit code, a part of what it prints}
endings() ->
    [{"calls sys.exit()", "sys.exit()", 0, none},
     {"calls sys.exit(3)", "sys.exit(3)", 3, none},
     {"calls sys.exit with a text", "sys.exit('the last word')", 1, "\nthe last word\n"},
     {"raises", "1/0", 1, "\nZeroDivisionError: division by zero\n"},
     {"raises what is no Exception", "raises(KeyboardInterrupt('x'))", 1, "KeyboardInterrupt: x\n"},
     {"raises an exception without a text", "raises(Mute())", 1, "Mute: <exception str() failed>\n"},
     {"returns what has no term", "object()", 0, none}].

%% As a program of its own would end.
child_ends({What, Expression, Code, Says}) ->
    {["os.fork whose child ", What, ": its status, and what it prints"], fun() ->
        Source = ["status(child) if (child := os.fork()) else print() or ", Expression],
        #{code := 0, replies := Replies, stderr := Text} =
            raw:run([raw:frame({1, {exec, helpers()}}),
                     raw:frame({2, {eval, iolist_to_binary(Source), #{}}})]),
        ?assertEqual([{1, ok}, {2, {ok, Code}}], Replies),
        printed(Says, Text)
    end}.

%% But for what CPython thinks of forks beside threads, since 3.12.
printed(none, Text) ->
    ?assertEqual([<<>>, <<>>], [Line || Line <- binary:split(Text, <<"\n">>, [global]),
                                        not fixture:contains(Line, "DeprecationWarning")]);
printed(Part, Text) -> ?assertEqual({true, Text}, {fixture:contains(Text, Part), Text}).

helpers() ->
    <<"import faulthandler, os, sys\n"
      "class Mute(Exception):\n"
      "    def __str__(self): raise KeyError\n"
      "def raises(exc): raise exc\n"
      "def status(child): return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])\n"
      "def generator():\n"
      "    child = os.fork()\n"
      "    if not child: raise RuntimeError('the child')\n"
      "    yield status(child)\n"
      "def crash_in_the_child(): faulthandler._sigsegv()\n"
      "def crash_in_the_parent(): faulthandler._sigsegv()\n">>.

fork_raises_in_stream() ->
    #{code := 0, replies := Replies, stderr := Text} =
        raw:run([raw:frame({1, {exec, helpers()}}),
                 raw:frame({2, {stream, {eval, <<"generator()">>, #{}}}})]),
    ?assertEqual([{1, ok}, {2, {chunk, [1]}}, {2, ok}], Replies),
    ?assert(fixture:contains(Text, "RuntimeError: the child")).

fork_crashes() ->
    Fork = <<"status(child) if (child := os.fork()) else crash_in_the_child()">>,
    #{replies := Replies, stderr := Text} =
        raw:run([raw:frame({1, {exec, helpers()}}), raw:frame({2, {eval, Fork, #{}}}),
                 raw:frame({3, {eval, <<"crash_in_the_parent()">>, #{}}})]),
    [{1, ok}, {2, {ok, -11}}, {event, crash, Words}] = Replies,
    ?assert(fixture:contains(Words, "crash_in_the_parent")),
    ?assertNot(fixture:contains(Words, "crash_in_the_child")),
    ?assertNot(fixture:contains(Text, "crash_in_the_child")).

%% Every frame is the parent's: one reply for each request.
fork_raw() ->
    Port = raw:open(["--path", fixture:python_path()]),
    ok = raw:ask(Port, {exec, <<"import procs">>}),
    [{ok, _} = raw:ask(Port, {call, procs, Function, Args, #{}})
     || {_, Function, Args, _} <- forks(), _ <- [1, 2, 3]],
    {ok, 1} = raw:ask(Port, {eval, <<"1">>, #{}}),
    receive {Port, {data, Frame}} -> error({one_too_many, binary_to_term(Frame)}) after 300 -> ok end,
    raw:close(Port).

%% subprocess.run kills its child when an exception goes through it.
cancelled_run() ->
    OsPid = os_pid(),
    ?assertEqual({error, timeout}, py:call(procs, run, [<<"sleep">>, <<"60">>], #{}, 200)),
    alone(OsPid).
