#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `guard': Python cannot signal the VM, and what it does with
%% its own processes works as before.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app([
        {"auto takes what this machine has", fun auto/0},
        [{["python refuses ", What], fun() -> refused(Code) end} || {What, Code} <- accidents()],
        {"python: what it leaves alone", fun harmless/0},
        {"python: a forked child is guarded, too", fun child/0},
        {"kernel: no process outside can be signalled, by whatever code", fun kernel/0},
        [{["processes of one's own: ", atom_to_list(Guard)], fun() -> own_processes(Guard) end}
         || Guard <- [python, kernel, off]],
        {"off leaves Python as it is", fun off/0},
        {"another word is no guard", fun wrong/0},
        {"the program by itself: its command line", fun command_line/0}
    ])).

%% SIGCONT harms nobody, should it get through.
accidents() ->
    [{"its parent", <<"os.kill(os.getppid(), signal.SIGCONT)">>},
     {"the VM", <<"os.kill(vm, signal.SIGCONT)">>},
     {"the VM's group", <<"os.killpg(os.getpgid(vm), signal.SIGCONT)">>},
     {"the same by a negative number", <<"os.kill(-os.getpgid(vm), signal.SIGCONT)">>},
     {"every process", <<"os.kill(-1, signal.SIGCONT)">>}].

in_pool(Guard, Fun) ->
    Init = "import os, signal, subprocess\nvm = " ++ os:getpid(),
    case py:start_pool(p, #{size => 1, guard => Guard, init => Init}) of
        {ok, _} ->
            try Fun(#{pool => p}) after ok = py:stop_pool(p) end;
        {error, {python_start, Text}} when Guard =:= kernel ->
            ?assert(fixture:contains(Text, "signal scope")),
            tap:skip(Text)
    end.

held(Pool) ->
    #{workers := [#{guard := Guard} | _]} = py:info(Pool),
    Guard.

%% Who is privileged, or has no new privileges anyway, has the better one.
auto() ->
    Cheap = {ok, true} =:= py:eval(<<"(lambda s: 'NoNewPrivs:\\t1' in s or int(s.split('CapEff:')[1]"
                                     ".split()[0], 16) >> 21 & 1 == 1)(open('/proc/self/status').read())">>),
    tap:note("no price for the kernel's guard here: ~p; held: ~p", [Cheap, held(default)]),
    ?assert(lists:member(held(default), [python | [kernel || Cheap]])).

refused(Code) ->
    in_pool(python, fun(In) ->
        {error, {'PermissionError', Text}} = py:exec(Code, In),
        ?assert(fixture:contains(Text, "Erlang VM")),
        ?assertEqual(python, held(p))
    end).

harmless() ->
    in_pool(python, fun(In) ->
        ?assertEqual({ok, none}, py:eval(<<"os.kill(vm, 0)">>, #{}, In)),
        ?assertEqual({ok, none}, py:eval(<<"os.kill(os.getpid(), signal.SIGCONT)">>, #{}, In)),
        ?assertEqual({ok, none}, py:eval(<<"os.killpg(0, signal.SIGCONT)">>, #{}, In)),
        ?assertMatch({error, {'ProcessLookupError', _}},
                     py:eval(<<"os.kill(2 ** 30, signal.SIGCONT)">>, #{}, In)),
        ?assertMatch({error, {'TypeError', _}}, py:eval(<<"os.kill('x', 'y')">>, #{}, In)),
        ?assertEqual({ok, <<"kill">>}, py:eval(<<"os.kill.__name__">>, #{}, In))
    end).

child() ->
    Code = <<"pid = os.fork()\nif pid == 0:\n"
             "    try: os.kill(vm, signal.SIGCONT)\n    except PermissionError: os._exit(7)\n    os._exit(0)\n"
             "status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])">>,
    in_pool(python, fun(In) ->
        ok = py:exec(Code, In),
        ?assertEqual({ok, 7}, py:eval(<<"status">>, #{}, In))
    end).

%% A process of this VM's, which the worker has not started.
kernel() ->
    Victim = open_port({spawn_executable, "/bin/sleep"}, [{args, ["60"]}, exit_status]),
    {os_pid, OsPid} = erlang:port_info(Victim, os_pid),
    in_pool(kernel, fun(In) ->
        ?assertEqual(kernel, held(p)),
        Ask = fun(Code) -> py:eval(Code, #{pid => OsPid}, In) end,
        ?assertMatch({error, {'PermissionError', _}}, Ask(<<"os.kill(pid, signal.SIGKILL)">>)),
        ?assertMatch({error, {'PermissionError', _}}, Ask(<<"os.kill(vm, signal.SIGCONT)">>)),
        ?assertEqual({ok, 1}, Ask(<<"subprocess.run(['sh', '-c', f'kill -9 {pid} 2>/dev/null']).returncode">>)),
        ?assertEqual({ok, -1}, Ask(<<"__import__('ctypes').CDLL(None).kill(pid, 9)">>)),
        ?assert(fixture:is_running(OsPid))
    end),
    port_close(Victim),
    os:cmd("kill " ++ integer_to_list(OsPid)).

%% As any program does it: subprocess, a pool of processes, a signal to itself.
own_processes(Guard) ->
    in_pool(Guard, fun(In) ->
        ok = py:exec(<<"
import multiprocessing
sleeper = subprocess.Popen(['sleep', '60'])
sleeper.terminate()
ended = [sleeper.wait()]
process = multiprocessing.get_context('fork').Process(target=signal.pause)
process.start(); process.kill(); process.join()
ended.append(process.exitcode)
with multiprocessing.get_context('fork').Pool(2) as pool:
    ended.append(sum(pool.map(abs, [-1, -2])))
seen = []
before = signal.signal(signal.SIGUSR1, lambda *_: seen.append('usr1'))
os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGUSR1, before)
">>, In),
        ?assertEqual({ok, {[-15, -9, 3], [<<"usr1">>]}}, py:eval(<<"(ended, seen)">>, #{}, In))
    end).

off() ->
    in_pool(off, fun(In) ->
        ?assertEqual(off, held(p)),
        ?assertEqual({ok, none}, py:eval(<<"os.kill(os.getppid(), 0)">>, #{}, In)),
        ?assertEqual({ok, true}, py:eval(<<"os.kill is __import__('posix').kill">>, #{}, In))
    end).

wrong() ->
    [?assertMatch({error, {badarg, {option, guard, _}}}, py:start_pool(p, #{guard => Value}))
     || Value <- [on, true, "python"]].

command_line() ->
    #{code := 64, stderr := Text} = raw:run(["--guard", "on"], <<>>),
    ?assert(fixture:contains(Text, "--guard")),
    Port = raw:open([]),
    {ok, #{guard := off}} = raw:ask(Port, hello),
    ok = raw:close(Port).
