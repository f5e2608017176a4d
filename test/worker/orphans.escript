#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% No orphans: however a VM, the application, a pool, or a port ends, and
%% whatever Python is at, every pyport and every process that it started in its
%% group is gone within 2 s (5 s where Python cleans up). VMs are really killed.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(LIMIT, 2000).
-define(CLEAN_UP, 5000).

main(_) ->
    tap:run([
        [in_a_vm(End, States) || End <- ends(), States <- sets()],
        {"kill -9 of a VM whose Python takes long to clean up", 60_000, fun clean_up/0},
        {"kill -9 of a VM while workers start", 60_000, fun while_starting/0},
        [by_port(State) || State <- states()],
        [by_program(State) || State <- [idle, parent]],
        {"a worker's end leaves no child of its own", 60_000, fun program_in_pool/0},
        [stopped(End) || End <- ends()],
        [owner_killed(State) || State <- [idle, parent, deaf, stopped]]
    ]).

%% {What, what is done to the VM, whether the VM is to be gone, too}
ends() ->
    [{"kill -9 of the VM", fun kill_vm/1, true},
     {"init:stop", fun(Vm) -> vm:call(Vm, init, stop, []) end, true},
     {"erlang:halt", fun(Vm) -> vm:cast(Vm, erlang, halt, [1]) end, true},
     {"application:stop", fun(Vm) -> ok = vm:call(Vm, application, stop, [py]) end, false},
     {"py:stop_pool", fun(Vm) -> ok = vm:call(Vm, py, stop_pool, [default]) end, false},
     {"every port closed", fun close_ports/1, false}].

%% What Python is at: a function of wedge.py, or nothing.
states() -> [idle, loop, sleep, keep_gil, keep_gil_deaf, swallow, deaf, parent].

%% Not all at once: some of them use a whole processor.
sets() ->
    [[idle, sleep, loop, parent], [keep_gil, keep_gil_deaf, swallow, deaf]].

kill_vm(Vm) ->
    fixture:kill("KILL", vm:os_pid(Vm)).

%% The pool starts new workers: only the old ones have to be gone.
close_ports(Vm) ->
    [vm:call(Vm, erlang, port_close, [Port]) || Port <- vm:ports(Vm)].

in_a_vm({What, End, VmEnds}, States) ->
    {[What, " while workers are at: ", lists:join(", ", [atom_to_list(S) || S <- States])],
     120_000, fun() ->
        with_vm(length(States), fun(Vm) ->
            [wedge(Vm, State) || State <- States],
            Pids = processes_of(vm:workers(Vm)),
            gone(Pids ++ [vm:os_pid(Vm) || VmEnds], ?LIMIT, fun() -> End(Vm) end)
        end)
    end}.

with_vm(Size, Fun) ->
    Vm = vm:start(#{size => Size, python_path => [fixture:python_path()], init => <<"import wedge">>,
                    drain => 100, interrupt_grace => 100, close_grace => 500}),
    try Fun(Vm) after vm:stop(Vm) end.

wedge(_, idle) ->
    ok;
wedge(Vm, State) ->
    File = filename:join(fixture:tmpdir(), "started"),
    Options = #{timeout => infinity},
    ok = vm:call(Vm, py, cast, [wedge, State, [list_to_binary(File)], #{}, Options]),
    fixture:wait_until(fun() -> filelib:is_file(File) end).

%% The programs and all that they started.
processes_of(OsPids) ->
    lists:usort(lists:append([[OsPid | osproc:group(OsPid)] || OsPid <- OsPids])).

%% All of these are to be gone so long after the fun was called.
gone(Pids, Limit, End) ->
    ok = machine:start(),
    {Ended, _} = figure:timed(End),
    Waited = osproc:all_gone(Pids, Limit - round(Ended)),
    tap:note("~b processes gone after ~b ms", [length(Pids), round(Ended) + Waited]).

%% ---------------------------------------------------------------------------

clean_up() ->
    with_vm(2, fun(Vm) ->
        {ok, none} = vm:call(Vm, py, call, [wedge, slow_to_finish, []]),
        gone(vm:workers(Vm), ?CLEAN_UP, fun() -> kill_vm(Vm) end)
    end).

%% Their Python is not ready yet, and is at the pool's init code.
while_starting() ->
    with_vm(1, fun(Vm) ->
        Programs = fun() -> osproc:programs(vm:os_pid(Vm)) end,
        Before = length(Programs()),
        Slow = #{size => 2, init => <<"import time\nwhile True: time.sleep(0.01)">>},
        ok = vm:cast(Vm, py, start_pool, [slow, Slow]),
        fixture:wait_until(fun() -> length(Programs()) =:= Before + 2 end),
        timer:sleep(100),
        gone(Programs(), ?LIMIT, fun() -> kill_vm(Vm) end)
    end).

%% ---------------------------------------------------------------------------
%% The program alone: nobody but its own threads can end it

by_port(State) ->
    {["a closed port, without the application, while Python is at: ", atom_to_list(State)],
     fun() ->
        {Port, Pids} = open(State),
        gone(Pids, ?LIMIT, fun() -> port_close(Port) end)
    end}.

open(State) ->
    Port = raw:open(["--path", fixture:python_path()]),
    ok = raw:ask(Port, {exec, <<"import wedge">>}),
    wedge_raw(Port, State),
    {Port, processes_of([raw:os_pid(Port)])}.

wedge_raw(_, idle) ->
    ok;
wedge_raw(Port, State) ->
    File = filename:join(fixture:tmpdir(), "started"),
    raw:send(Port, {wedge, {call, wedge, State, [list_to_binary(File)], #{}}}),
    fixture:wait_until(fun() -> filelib:is_file(File) end).

%% SIGTERM ends it as the end of its input does.
by_program(State) ->
    {["SIGTERM of the program, without the application, while Python is at: ",
      atom_to_list(State)], fun() ->
        {Port, [OsPid | _] = Pids} = open(State),
        gone(Pids, ?LIMIT, fun() -> fixture:kill("TERM", OsPid) end),
        empty_mailbox(Port)
    end}.

empty_mailbox(Port) ->
    receive
        {Port, {exit_status, _}} -> ok;
        {Port, _} -> empty_mailbox(Port)
    after 10_000 ->
        error(no_exit_status)
    end.

%% Killed from outside it cannot clean up: its worker does.
program_in_pool() ->
    with_vm(1, fun(Vm) ->
        wedge(Vm, parent),
        [OsPid] = vm:workers(Vm),
        Pids = processes_of([OsPid]),
        ?assert(length(Pids) >= 3),
        gone(Pids, ?LIMIT, fun() -> fixture:kill("KILL", OsPid) end),
        ?assertEqual({ok, 1}, vm:call(Vm, py, eval, [<<"1">>]))
    end).

%% ---------------------------------------------------------------------------
%% Stopped by SIGSTOP, together with a child

%% (A VM that ends in order waits for its workers first, so it takes longer.)
stopped({What, End, _}) ->
    {[What, " while workers are stopped"], 120_000, fun() ->
        with_vm(2, fun(Vm) ->
            [wedge(Vm, State) || State <- [parent, idle]],
            Pids = processes_of(vm:workers(Vm)),
            [fixture:kill("STOP", Pid) || Pid <- Pids],
            gone(Pids, ?CLEAN_UP, fun() -> End(Vm) end)
        end)
    end}.

%% The Erlang process that has the port is killed: nothing is left of its program.
owner_killed(State) ->
    {["a killed owner while Python is at: ", atom_to_list(State)], 60_000, fun() ->
        with_vm(1, fun(Vm) ->
            State =:= stopped orelse wedge(Vm, State),
            [OsPid] = vm:workers(Vm),
            State =:= stopped andalso fixture:kill("STOP", OsPid),
            Pids = processes_of([OsPid]),
            #{workers := [#{pid := Owner}]} = vm:call(Vm, py, info, []),
            gone(Pids, ?LIMIT, fun() -> vm:call(Vm, erlang, exit, [Owner, kill]) end),
            ?assertEqual({ok, 1}, vm:call(Vm, py, eval, [<<"1">>]))
        end)
    end}.
