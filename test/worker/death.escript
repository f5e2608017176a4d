#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Death explained: whatever ends a worker, its caller hears which it was, a
%% crash shows what Python was at, and the log has one event for each death.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 1, init => <<"import os, time, wedge">>},
    tap:run(fixture:with_app(Settings, logbook:kept([
        [dies(Row) || Row <- deaths()],
        {"sys.exit is an exception, and costs no worker", fun politely/0},
        {"SIGKILL from outside", fun() -> from_outside("KILL", {signal, sigkill}) end},
        {"SIGSEGV from outside", fun() -> from_outside("SEGV", {signal, sigsegv}) end},
        {"SIGHUP from outside", fun() -> from_outside("HUP", {signal, sighup}) end},
        {"SIGTERM from outside while it is busy", fun terminated/0},
        {"SIGTERM from outside while it is idle", fun terminated_idle/0},
        {"SIGTERM from outside: Python cleans up first", fun terminated_in_order/0},
        {"SIGTERM from outside while Python does not stop", fun terminated_deaf/0},
        {"SIGKILL from outside while it is idle", fun killed_idle/0},
        {"a worker that dies while it is stopped", fun killed_stopped/0},
        {"the death of the Erlang process that owns it", fun owner_killed/0},
        {"messages that say that somebody has died", fun false_news/0},
        {"the kernel's OOM killer", 120_000, fun out_of_memory/0}
    ]))).

%% {What, function of wedge.py or another call, Why, function in the stack}
deaths() ->
    [{"os._exit(3)", {wedge, leave, [3]}, {status, 3}, none},
     {"os._exit(0)", {wedge, leave, [0]}, {status, 0}, none},
     {"os._exit(75), which is a code of pyport's own", {wedge, leave, [75]}, {status, 75}, none},
     {"os._exit(255), which is no signal's", {wedge, leave, [255]}, {status, 255}, none},
     {"os.abort", {os, abort, []}, {signal, sigabrt}, none},
     {"os.abort, called by Python", {misbehave, abort, []}, {signal, sigabrt}, <<"in abort">>},
     {"a null dereference", {wedge, null, []}, {signal, sigsegv}, <<"in null">>},
     {"a stack overflow in C", {wedge, overflow, []}, {signal, sigsegv}, <<"in overflow">>},
     {"a signal that it sends to itself", {misbehave, kill_self, [9]}, {signal, sigkill}, none},
     {"SIGFPE", {misbehave, kill_self, [8]}, {signal, sigfpe}, <<"in kill_self">>},
     {"SIGILL", {misbehave, kill_self, [4]}, {signal, sigill}, <<"in kill_self">>},
     {"SIGXCPU, which has no number of its own on some systems",
      {misbehave, kill_self, [24]}, {signal, sigxcpu}, none}].

dies({What, {Module, Function, Args}, Why, Frame}) ->
    {["told apart: ", What], fun() ->
        OsPid = os_pid(),
        {error, {worker_exit, Told}} = py:call(Module, Function, Args),
        explained(Why, Frame, Told),
        one_event(OsPid, Why)
    end}.

%% The worker whose death was tested may still be dying.
os_pid() ->
    case py:eval(<<"os.getpid()">>) of
        {ok, OsPid} -> OsPid;
        {error, {worker_exit, _}} -> os_pid()
    end.

%% A crash comes with the Python stack, nothing else does.
explained({signal, Name}, Frame, Told) when is_binary(Frame) ->
    ?assertMatch({signal, Name, _}, Told),
    {signal, Name, Stack} = Told,
    ?assertEqual({true, Frame, Stack}, {fixture:contains(Stack, Frame), Frame, Stack});
explained({signal, sigabrt}, none, Told) ->
    ?assertEqual({signal, sigabrt}, fixture:without_stack(Told));
explained(Why, none, Told) ->
    ?assertEqual(Why, Told).

%% One event of this death that a person would see, and a successor.
one_event(OsPid, Why) ->
    ?assertNotEqual(OsPid, os_pid()),
    fixture:wait_until(fun() -> deaths_in_log(OsPid) =/= [] end),
    timer:sleep(50),
    [#{meta := Meta} = Event] = deaths_in_log(OsPid),
    ?assertMatch(#{application := py, pool := default, worker := 1}, Meta),
    tap:note("~ts", [hd(string:split(logbook:text(Event), "\n"))]),
    Name = atom_to_list(case Why of {signal, S} -> S; {status, _} -> status; _ -> Why end),
    ?assert(fixture:contains(logbook:text(Event), Name)).

%% Events of notice and above that are not steps of the ladder: those about
%% this program, and any report of OTP's.
deaths_in_log(OsPid) ->
    logbook:find(fun(#{level := Level, meta := Meta}) ->
        logger:compare_levels(Level, info) =:= gt andalso not is_map_key(step, Meta)
            andalso (maps:get(os_pid, Meta, none) =:= OsPid
                     orelse hd(maps:get(domain, Meta, [none])) =:= otp)
            andalso not is_map_key(source, Meta)
    end).

politely() ->
    OsPid = os_pid(),
    ?assertEqual({error, {'SystemExit', <<"3">>}}, py:call(wedge, leave_politely, [3])),
    ?assertEqual({error, {'SystemExit', <<"3">>}}, py:eval(<<"__import__('sys').exit(3)">>)),
    ?assertMatch({error, {'SystemExit', _}}, py:exec(<<"raise SystemExit">>)),
    ?assertEqual(OsPid, os_pid()),
    ?assertEqual([], deaths_in_log(OsPid)).

%% ---------------------------------------------------------------------------

%% A call that runs, the file that says it does, and the program.
running() ->
    OsPid = os_pid(),
    File = filename:join(fixture:tmpdir(), "started"),
    Ref = py:spawn_call(wedge, sleep, [list_to_binary(File)]),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    {OsPid, Ref}.

from_outside(Signal, {signal, Name} = Why) ->
    {OsPid, Ref} = running(),
    fixture:kill(Signal, OsPid),
    {error, {worker_exit, Told}} = py:await(Ref),
    ?assertEqual({signal, Name}, fixture:without_stack(Told)),
    one_event(OsPid, Why).

%% It ends as at the end of its input: what runs is interrupted, then it leaves.
%% Nobody has cancelled the call, so that is not what its caller is told.
terminated() ->
    {OsPid, Ref} = running(),
    {Ms, Answer} = figure:within(2000, fun() -> fixture:kill("TERM", OsPid), py:await(Ref) end),
    tap:note("~0tp after ~.1f ms", [Answer, Ms]),
    ended_and_known(OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigterm}}}, Answer),
    one_event(OsPid, {signal, sigterm}).

terminated_idle() ->
    OsPid = os_pid(),
    fixture:kill("TERM", OsPid),
    ended_and_known(OsPid),
    one_event(OsPid, {signal, sigterm}).

terminated_in_order() ->
    OsPid = os_pid(),
    ok = py:exec(<<"import atexit, sys; atexit.register(print, 'the last words')">>),
    fixture:kill("TERM", OsPid),
    _ = logbook:await(fun(#{meta := Meta} = Event) ->
                          maps:get(source, Meta, none) =:= stdout
                              andalso logbook:text(Event) =:= <<"the last words">>
                      end),
    one_event(OsPid, {signal, sigterm}).

%% It is told as it was, although the program had to end itself by force.
terminated_deaf() ->
    OsPid = os_pid(),
    File = filename:join(fixture:tmpdir(), "started"),
    Ref = py:spawn_call(wedge, swallow, [list_to_binary(File)]),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    fixture:kill("TERM", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigterm}}}, py:await(Ref)),
    one_event(OsPid, {signal, sigterm}).

killed_idle() ->
    OsPid = os_pid(),
    fixture:kill("KILL", OsPid),
    ended_and_known(OsPid),
    one_event(OsPid, {signal, sigkill}).

%% Who asks in the moment of a death may be told of it.
ended_and_known(OsPid) ->
    Ms = osproc:all_gone([OsPid], 5000),
    tap:note("gone after ~b ms", [Ms]),
    fixture:wait_until(fun() -> deaths_in_log(OsPid) =/= [] end).

killed_stopped() ->
    {OsPid, Ref} = running(),
    fixture:kill("STOP", OsPid),
    fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    one_event(OsPid, {signal, sigkill}).

%% Python can send them, too, and anybody exit signals.
false_news() ->
    [#{pid := Worker, os_pid := OsPid}] = fixture:workers(),
    Other = spawn(fun() -> ok end),
    [Worker ! {'EXIT', Pid, killed} || Pid <- [Other, self()]],
    Worker ! {'DOWN', make_ref(), process, Other, killed},
    true = exit(Worker, normal),
    ?assertEqual({ok, OsPid}, py:eval(<<"__import__('os').getpid()">>)).

%% Nobody but a debugger does that; the caller gets an answer and the program ends.
owner_killed() ->
    {OsPid, Ref} = running(),
    [#{pid := Pid}] = fixture:workers(),
    exit(Pid, kill),
    ?assertMatch({error, {worker_exit, _}}, py:await(Ref)),
    _ = osproc:all_gone([OsPid], 5000),
    ?assertNotEqual(OsPid, os_pid()).

%% ---------------------------------------------------------------------------
%% A VM in a memory cgroup of its own, as in a container, whose Python takes
%% more than there is: the kernel kills the largest process of the cgroup.

-define(LIMIT, 300_000_000).

out_of_memory() ->
    Dir = cgroup(),
    try
        Shell = "echo 0 > " ++ Dir ++ "/cgroup.procs && exec \"$0\" \"$@\"",
        Settings = #{size => 1, python_path => [fixture:python_path()]},
        Vm = vm:start(Shell, Settings),
        Answer = vm:call(Vm, py, call, [wedge, eat, [2000]]),
        Next = vm:call(Vm, py, call, [wedge, eat, [1]]),
        ok = vm:stop(Vm),
        ?assertEqual({error, {worker_exit, oom}}, Answer),
        ?assertEqual({ok, 1}, Next)
    after
        remove(Dir)
    end.

%% Version 1 of cgroups or version 2, whichever lets us make one.
cgroup() ->
    Name = "pyport-test-" ++ os:getpid(),
    case lists:search(fun make/1, [{"/sys/fs/cgroup/memory/" ++ Name, "memory.limit_in_bytes"},
                                   {"/sys/fs/cgroup/" ++ Name, "memory.max"}]) of
        {value, {Dir, _}} -> Dir;
        false -> tap:skip("no memory cgroup can be made here")
    end.

make({Dir, Limit}) ->
    file:make_dir(Dir) =:= ok andalso (set(Dir, Limit, ?LIMIT) orelse not remove(Dir))
        andalso no_swap(Dir).

%% The limit is for memory and swap together where there is such a thing.
no_swap(Dir) ->
    _ = set(Dir, "memory.memsw.limit_in_bytes", ?LIMIT),
    _ = set(Dir, "memory.swap.max", 0),
    true.

%% The kernel made the file when the directory was made, or knows no such limit.
set(Dir, Name, Value) ->
    File = filename:join(Dir, Name),
    filelib:is_regular(File) andalso file:write_file(File, integer_to_list(Value)) =:= ok.

remove(Dir) ->
    fixture:wait_until(fun() -> file:del_dir(Dir) =:= ok end),
    true.
