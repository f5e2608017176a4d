#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A soak: requests of every kind from many processes, while workers are killed,
%% stopped and replaced. In the end every request has had one answer, its own,
%% and nothing is left of them: no process, port, descriptor, monitor, timer, row
%% or memory. SOAK_SECONDS says for how long, SOAK_SEED repeats a choice.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(CALLERS, 50).
%% How long the last answers may take once nobody asks any more (ms).
-define(LAST, 40_000).
%% What may have grown in the end. A leak of a few bytes a request is more.
-define(VM_BYTES, 15_000_000).
-define(WORKER_KB, 30_000).
-define(ATOMS, 500).

main(_) ->
    %% Each worker has its loop of asyncio from the start, with the descriptors of that.
    Init = <<"import asyncio, erlang, misbehave, wedge\nawait asyncio.sleep(0)">>,
    Settings = #{size => 4, init => Init, logs => false,
                 interrupt_grace => 100, close_grace => 300},
    tap:run(fixture:with_app(Settings, [
        {must, "quiet, and warm", fun prepare/0},
        {"every request has one answer, its own", infinity, fun soak/0},
        {"the pool is whole again", fun whole/0},
        {"no process, port, descriptor, monitor or row is left", fun nothing_left/0},
        {"no timer is left: nobody is told anything", fun no_messages/0},
        {"memory is as it was", fun memory/0}
    ])).

seconds() ->
    list_to_integer(os:getenv("SOAK_SECONDS", "8")).

%% Deaths are the purpose: nobody needs to read of them.
prepare() ->
    ok = logger:set_primary_config(level, critical),
    tap:note("SOAK_SEED=~b", [seed()]),
    Warm = [spawn_monitor(fun() -> [traffic:send(N * 1000 + M) || M <- lists:seq(1, 100)] end)
            || N <- lists:seq(1, 10)],
    [receive {'DOWN', Monitor, process, Pid, Reason} -> normal = Reason end || {Pid, Monitor} <- Warm],
    [strike(N) || N <- lists:seq(1, 7)],
    whole(),
    ok = persistent_term:put(?MODULE, measure()).

%% The same all the time.
seed() ->
    Now = integer_to_list(erlang:system_time(second)),
    Seed = os:getenv("SOAK_SEED", Now),
    true = os:putenv("SOAK_SEED", Seed),
    list_to_integer(Seed).

%% Waits until every worker is there and has nothing to do.
whole() ->
    fixture:wait_until(fun() ->
        [idle, idle, idle, idle] =:= [State || #{state := State} <- fixture:workers()]
    end, 30_000),
    fixture:wait_until(fun() -> looked_at() =:= lists:sort(fixture:os_pids()) end),
    #{queue := #{waiting := 0}} = py:info().

%% The programs whose memory the pool's sampler has a file of. It looks each second.
looked_at() ->
    {ok, Names} = file:list_dir("/proc/self/fd"),
    Links = [file:read_link(["/proc/self/fd/", Name]) || Name <- Names],
    lists:sort([list_to_integer(OsPid)
                || {ok, Link} <- Links, ["/", "proc", OsPid, "statm"] <- [filename:split(Link)]]).

%% ---------------------------------------------------------------------------

soak() ->
    End = now_ms() + 1000 * seconds(),
    Callers = [spawn_monitor(fun() -> call(N, End, #{}) end) || N <- lists:seq(1, ?CALLERS)],
    Chaos = spawn_monitor(fun() -> chaos(End, #{}) end),
    Counts = lists:foldl(fun add/2, #{}, [outcome(Process, End) || Process <- Callers]),
    tell(Counts, outcome(Chaos, End)),
    ?assertEqual([], [{Kind, Wrong} || {{Kind, {wrong, Wrong}}, _} <- maps:to_list(Counts)]),
    Answered = [Kind || {{Kind, Outcome}, _} <- maps:to_list(Counts),
                        lists:member(Outcome, [ok, cancelled, timeout])],
    ?assertEqual([], traffic:kinds() -- Answered).

now_ms() ->
    erlang:monotonic_time(millisecond).

%% Tokens are no two callers'.
call(N, End, Counts) ->
    rand:seed(exsss, seed() + N),
    call(N bsl 32, N bsl 32, End, Counts).

call(Token, First, End, Counts) ->
    case now_ms() < End of
        true -> call(Token + 1, First, End, count(traffic:send(Token), Counts));
        false -> exit({done, Counts})
    end.

count(What, Counts) ->
    maps:update_with(What, fun(N) -> N + 1 end, 1, Counts).

add(More, Counts) ->
    maps:fold(fun(Key, N, Sum) -> maps:update_with(Key, fun(M) -> M + N end, N, Sum) end,
              Counts, More).

outcome({Pid, Monitor}, End) ->
    receive
        {'DOWN', Monitor, process, Pid, {done, Counts}} -> Counts;
        {'DOWN', Monitor, process, Pid, Reason} -> error({died, Reason})
    after max(0, End - now_ms()) + ?LAST ->
        error({never_answered, process_info(Pid, current_stacktrace)})
    end.

tell(Counts, Chaos) ->
    Sum = fun(Wanted) -> lists:sum([N || {{_, Outcome}, N} <- maps:to_list(Counts), Wanted(Outcome)]) end,
    tap:note("~b requests: ~b answered, ~b cancelled, ~b out of time, ~b lost with a worker, "
             "~b refused", [Sum(fun(_) -> true end)
                            | [Sum(fun(Outcome) -> Outcome =:= Wanted end)
                               || Wanted <- [ok, cancelled, timeout, lost, refused]]]),
    tap:note("meanwhile ~0p; ~b replaced", [Chaos, lists:sum([N || #{restarts := N} <- fixture:workers()])]).

%% ---------------------------------------------------------------------------
%% What happens to the workers meanwhile

chaos(End, Counts) ->
    timer:sleep(100 + rand:uniform(500)),
    case now_ms() < End of
        true -> chaos(End, count(strike(rand:uniform(10)), Counts));
        false -> exit({done, Counts})
    end.

strike(1) -> with_worker(fun(#{pid := Pid}) -> exit(Pid, kill), owner_killed end);
strike(2) -> told(py:restart_workers(), all_restarted);
strike(3) -> with_worker(fun(#{os_pid := OsPid}) -> pause(OsPid) end);
strike(4) -> told(py:call(wedge, null, []), crashed);
strike(5) -> told(py:call(wedge, leave, [3]), left);
strike(6) -> told(py:call(wedge, swallow, [], #{}, 50), wedged);
strike(7) -> with_worker(fun(#{os_pid := OsPid}) -> fixture:kill("TERM", OsPid), terminated end);
strike(_) -> with_worker(fun(#{os_pid := OsPid}) -> fixture:kill("KILL", OsPid), killed end).

%% Others may have ended it before.
told(ok, What) -> What;
told({error, timeout}, wedged) -> wedged;
told({error, {worker_exit, _}}, What) -> What;
told({error, _}, all_restarted) -> not_restarted.

pause(OsPid) ->
    fixture:kill("STOP", OsPid),
    timer:sleep(100),
    fixture:kill("CONT", OsPid),
    paused.

with_worker(Fun) ->
    case [Worker || #{pid := Pid, os_pid := OsPid} = Worker <- fixture:workers(),
                    is_pid(Pid), is_integer(OsPid)] of
        [] -> nobody;
        Workers -> Fun(lists:nth(rand:uniform(length(Workers)), Workers))
    end.

%% ---------------------------------------------------------------------------
%% What is left

nothing_left() ->
    Before = persistent_term:get(?MODULE),
    fixture:wait_until(fun() -> grown(Before, measure()) =:= [] end),
    tap:note("~0p", [maps:with([processes, ports, descriptors, monitors, rows], measure())]).

%% What there is more of than there was; of atoms there may be some.
grown(Before, After) ->
    [{Key, N, maps:get(Key, After)} || {Key, N} <- maps:to_list(Before),
                                       is_integer(N), maps:get(Key, After) > N + slack(Key)].

slack(atoms) -> ?ATOMS;
slack(worker_descriptors) -> 2;
slack(worker_kb) -> ?WORKER_KB;
slack(vm_bytes) -> ?VM_BYTES;
slack(_) -> 0.

measure() ->
    [garbage_collect(Pid) || Pid <- processes()],
    OsPids = fixture:os_pids(),
    Ours = processes_of_py(),
    #{processes => erlang:system_info(process_count),
      ports => erlang:system_info(port_count),
      descriptors => fixture:descriptors(list_to_integer(os:getpid())),
      worker_descriptors => lists:max([fixture:descriptors(OsPid) || OsPid <- OsPids]),
      programs => length(osproc:programs(list_to_integer(os:getpid()))),
      monitors => lists:sum([length(monitors(Pid)) || Pid <- Ours]),
      tables => length(ets:all()), rows => rows(),
      atoms => erlang:system_info(atom_count),
      vm_bytes => erlang:memory(total),
      worker_kb => lists:max([fixture:proc_kb(OsPid, "VmRSS") || OsPid <- OsPids])}.

monitors(Pid) ->
    case process_info(Pid, monitors) of
        {monitors, Monitors} -> Monitors;
        undefined -> []
    end.

processes_of_py() ->
    [Pid || Pid <- processes(), {dictionary, Words} <- [process_info(Pid, dictionary)],
            lists:member(py_sup, proplists:get_value('$ancestors', Words, []))].

%% Rows of the pool's table; why workers died is remembered of a thousand.
rows() ->
    Rows = lists:append([ets:tab2list(T) || T <- ets:all(), ets:info(T, name) =:= py_pool_board]),
    length([Row || Row <- Rows, not is_tuple(element(1, Row))]).

%% A second of silence. A worker's timer is left alone when what it was armed for is
%% over (a call's deadline, most often), so it may end now: once, and the worker
%% arms no other, because it has nothing to do. The sampler looks once a second,
%% which may be twice in this one, and tells the pool. That has workers that are
%% idle give back what is free, once: within the first looks, or not at all.
no_messages() ->
    fixture:wait_until(fun() -> lists:all(fun is_expected/1, heard_for(3000)) end, 30_000),
    Second = heard_for(1000),
    ?assertEqual([], [Trace || Trace <- Second, not is_expected(Trace)]),
    [?assert(length([M || {trace, P, _, M} <- Second, P =:= Pid]) =< at_most(Message))
     || {trace, Pid, _, Message} <- Second].

%% What our processes are told in this time (ms). That there is nothing more, which a
%% worker hears when it has looked behind a message, is no message.
heard_for(Time) ->
    Ours = processes_of_py(),
    [1 = erlang:trace(Pid, true, ['receive']) || Pid <- Ours],
    timer:sleep(Time),
    [erlang:trace(Pid, false, ['receive']) || Pid <- Ours, is_process_alive(Pid)],
    [Trace || {trace, _, 'receive', Message} = Trace <- traced(), Message =/= timeout].

is_expected({trace, _, 'receive', Message}) -> at_most(Message) > 0.

at_most({timeout, _, tick}) -> 1;
at_most({timeout, _, look}) -> 2;
at_most({py_pool, {heard, {sampled, _}}}) -> 2;
at_most(_) -> 0.

traced() ->
    receive Trace when element(1, Trace) =:= trace -> [Trace | traced()] after 0 -> [] end.

memory() ->
    Before = persistent_term:get(?MODULE),
    After = measure(),
    [tap:note("~p: ~b, then ~b", [Key, maps:get(Key, Before), maps:get(Key, After)])
     || Key <- [vm_bytes, worker_kb, atoms]],
    ?assertEqual([], grown(Before, After)).
