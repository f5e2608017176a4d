#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `recycle': workers whose time is over are replaced by fresh ones,
%% and no call fails for that. CALLS is how often the leaking function is called
%% (100,000 by make leak).
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MIB, 1048576).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, logbook:kept([
        {"each call has a fresh Python", fun one_shot/0},
        {"its successor is there before it is needed", fun warm/0},
        {"many callers of one-shot workers", fun one_shot_many/0},
        {"a worker takes no more calls than it may", fun exact/0},
        {"what does not count", fun does_not_count/0},
        {"exec_all does not use workers up", fun exec_all_is_free/0},
        {"a restart replaces a successor that waits, too", fun restart_warm/0},
        {"a successor that waits has run what was defined meanwhile", fun warm_defined/0},
        {"a worker that dies has its successor at once", fun warm_death/0},
        {"over rss: what can be given back is, and the worker stays", fun given_back/0},
        {"over rss: what is still above is replaced", fun over_rss/0},
        {"over growth", fun over_growth/0},
        {"a limit below what a worker needs is said and not kept", fun useless/0},
        {"a call that must not be disturbed", fun held/0},
        {"age, one worker after another", fun age/0},
        {"idle, but not one that was never used", fun idle/0},
        {"a worker with a stream is not idle", fun not_idle/0},
        {"no limit before min_calls", fun min_calls/0},
        {"a worker that has met MemoryError takes nothing more", fun memory_error/0},
        {"a MemoryError that Python deals with is none", fun dealt_with/0},
        {"memory_errors counts", fun memory_errors/0},
        {"a worker with a limit meets it once", fun limit_once/0},
        {"a heap that fills is noticed before a call fails", fun heap_fills/0},
        {"calls that need too much: one fails for each worker", 180_000, fun heap_meets/0},
        {"a heap that is nearly full from the start", fun heap_small/0},
        {"a call in hand is waited for, however long", fun call_in_hand/0},
        {"a stream in hand goes on to its end", fun stream_in_hand/0},
        {"a stream in hand is told at the limit", fun stream_told/0},
        {"a used up worker that waits for its successor has nothing to do", fun stop_used_up/0},
        {"a bound process keeps its worker until it is free", fun bound/0},
        {"a bound process keeps its worker until it dies", fun bound_dies/0},
        {"a process that is bound to another worker now", fun bound_anew/0},
        {"a bound process is told at the limit", fun bound_told/0},
        {"a leaking function is called again and again", 1_200_000, fun leaking/0}
    ]))).

%% Starts the pool `p'; the test stops it, but for one that fails.
start(Recycle) -> start(Recycle, #{}).

start(Recycle, Options) ->
    _ = py:stop_pool(p, 0),
    {ok, _} = py:start_pool(p, maps:merge(#{size => 1, recycle => Recycle,
                                            python_path => [fixture:python_path()],
                                            init => <<"import os, time, glutton, wedge">>},
                                          Options)),
    #{pool => p}.

stop() -> ok = py:stop_pool(p).

pid(In) ->
    {ok, Pid} = py:call(os, getpid, [], #{}, In),
    Pid.

recycled() ->
    #{recycled := Recycled} = py:info(p),
    Recycled.

recycled(Why) -> maps:get(Why, recycled(), 0).

os_pid() -> hd(fixture:os_pids(p)).

%% ---------------------------------------------------------------------------
%% Calls

one_shot() ->
    In = start(#{calls => 1}),
    Pids = [pid(In) || _ <- lists:seq(1, 8)],
    ?assertEqual(8, length(lists:usort(Pids))),
    ?assertEqual({error, {'NameError', <<"name 'mine' is not defined">>}},
                 begin
                     {ok, _} = py:eval(<<"globals().setdefault('mine', 1)">>, #{}, In),
                     py:eval(<<"mine">>, #{}, In)
                 end),
    fixture:wait_until(fun() -> recycled(calls) >= 9 end),
    [fixture:wait_until(fun() -> not fixture:is_running(Pid) end) || Pid <- Pids],
    stop().

warm() ->
    In = start(#{calls => 1}, #{init => <<"import os, time; time.sleep(0.5)">>}),
    fixture:wait_until(fun() -> length(programs()) =:= 2 end),
    timer:sleep(1000),
    {_, _} = figure:within(250, fun() -> pid(In), pid(In) end),
    stop().

%% All programs of this VM's pools.
programs() ->
    {ok, Pool} = py_pool_board:find(p),
    {ok, Sup} = py_pool_board:workers_sup(Pool),
    py_worker_sup:workers(Sup).

one_shot_many() ->
    In = start(#{calls => 1}, #{size => 2}),
    Refs = [py:spawn_call(os, getpid, [], #{}, In) || _ <- lists:seq(1, 30)],
    Pids = [Pid || Ref <- Refs, {ok, Pid} <- [py:await(Ref)]],
    ?assertEqual(30, length(lists:usort(Pids))),
    stop().

exact() ->
    In = start(#{calls => 5}),
    Refs = [py:spawn_call(os, getpid, [], #{}, In) || _ <- lists:seq(1, 200)],
    Pids = [Pid || Ref <- Refs, {ok, Pid} <- [py:await(Ref)]],
    ?assertEqual(200, length(Pids)),
    Counts = [fixture:count(fun(P) -> P =:= Pid end, Pids) || Pid <- lists:usort(Pids)],
    ?assert(lists:max(Counts) =< 5),
    stop().

does_not_count() ->
    In = start(#{calls => 1}),
    Quiet = In#{recycle => false},
    Pid = pid(Quiet),
    ?assertEqual([Pid, Pid, Pid], [pid(Quiet), pid(Quiet), pid(Quiet)]),
    ?assertNotEqual(pid(In), pid(In)),
    stop().

exec_all_is_free() ->
    In = start(#{calls => 1}),
    Pid = os_pid(),
    [ok = py:exec_all(<<"a = 7">>, In) || _ <- lists:seq(1, 3)],
    {ok, _} = py:gc(p),
    ?assertEqual(Pid, os_pid()),
    ?assertEqual({ok, 7}, py:eval(<<"a">>, #{}, In)),
    ?assertEqual({ok, 7}, py:eval(<<"a">>, #{}, In)),
    stop().

restart_warm() ->
    In = start(#{calls => 1}),
    fixture:wait_until(fun() -> length(programs()) =:= 2 end),
    Before = programs(),
    ok = py:restart_workers(p),
    fixture:wait_until(fun() -> length(programs()) =:= 2 andalso programs() -- Before =:= programs() end),
    {ok, _} = py:call(os, getpid, [], #{}, In),
    stop().

warm_defined() ->
    In = start(#{calls => 1}),
    fixture:wait_until(fun() -> length(programs()) =:= 2 end),
    ok = py:exec_all(<<"late = 8">>, In),
    ?assertEqual([{ok, 8}, {ok, 8}, {ok, 8}],
                 [py:eval(<<"late">>, #{}, In) || _ <- [1, 2, 3]]),
    stop().

warm_death() ->
    In = start(#{calls => 1}),
    [begin
         fixture:wait_until(fun() -> length(programs()) =:= 2 end),
         Pid = os_pid(),
         fixture:kill("KILL", Pid),
         fixture:wait_until(fun() -> not lists:member(Pid, fixture:os_pids(p)) end),
         ?assertMatch({ok, _}, py:call(os, getpid, [], #{}, In))
     end || _ <- lists:seq(1, 3)],
    stop().

%% ---------------------------------------------------------------------------
%% Memory

rss(OsPid) -> fixture:proc_kb(OsPid, "VmRSS") * 1024.

given_back() ->
    In = start(#{rss => 120 * ?MIB}),
    ok = py:exec_all(<<"import gc; gc.disable()">>, In),
    Pid = os_pid(),
    {ok, Pid} = py:call(glutton, cycle, [150 * ?MIB], #{}, In),
    ?assert(rss(Pid) > 120 * ?MIB),
    fixture:wait_until(fun() -> rss(Pid) < 120 * ?MIB end),
    timer:sleep(1500),
    ?assertEqual([Pid], fixture:os_pids(p)),
    ?assertEqual(#{}, recycled()),
    stop().

over_rss() ->
    In = start(#{rss => 120 * ?MIB}),
    logbook:clear(),
    {ok, Pid} = py:call(glutton, leak, [150 * ?MIB], #{}, In),
    fixture:wait_until(fun() -> recycled(rss) =:= 1 end),
    ?assertNotEqual(Pid, pid(In)),
    fixture:wait_until(fun() -> not fixture:is_running(Pid) end),
    #{meta := #{before := Before, 'after' := After, level := _} = Meta} = logged(),
    ?assertMatch(#{reason := rss, pool := p, worker := 1}, Meta),
    ?assert(Before > After),
    ?assert(After < 120 * ?MIB),
    stop().

logged() ->
    [Event] = [E#{meta := M#{level => L}} || #{meta := #{reason := _} = M, level := L} = E <- logbook:all()],
    Event.

over_growth() ->
    In = start(#{growth => 50 * ?MIB}),
    {ok, Pid} = py:call(glutton, leak, [20 * ?MIB], #{}, In),
    timer:sleep(1500),
    ?assertEqual(Pid, pid(In)),
    {ok, Pid} = py:call(glutton, leak, [40 * ?MIB], #{}, In),
    fixture:wait_until(fun() -> recycled(growth) =:= 1 end),
    stop().

useless() ->
    logbook:clear(),
    In = start(#{rss => ?MIB}),
    Pid = pid(In),
    fixture:wait_until(fun() -> [] =/= [E || #{level := warning} = E <- logbook:all()] end),
    {ok, Pid} = py:call(glutton, leak, [20 * ?MIB], #{}, In),
    timer:sleep(2500),
    ?assertEqual({Pid, #{}}, {pid(In), recycled()}),
    ?assertEqual(1, length([E || #{level := warning} = E <- logbook:all()])),
    stop().

held() ->
    In = start(#{rss => 120 * ?MIB}),
    Ref = py:spawn_call(glutton, leak_slowly, [150 * ?MIB, 3], #{}, In#{recycle => false}),
    timer:sleep(2500),
    ?assertEqual(#{}, recycled()),
    {ok, Pid} = py:await(Ref),
    fixture:wait_until(fun() -> recycled(rss) =:= 1 end),
    ?assertNotEqual(Pid, pid(In)),
    stop().

age() ->
    In = start(#{age => 2000, jitter => 50}, #{size => 2}),
    Pids = fixture:os_pids(p),
    fixture:wait_until(fun() -> recycled(age) >= 2 end),
    ?assertEqual(Pids -- fixture:os_pids(p), Pids),
    ?assertMatch({ok, _}, py:call(os, getpid, [], #{}, In)),
    stop().

idle() ->
    In = start(#{idle => 1000}, #{size => 2}),
    [A, B] = fixture:os_pids(p),
    timer:sleep(3000),
    ?assertEqual([A, B], fixture:os_pids(p)),
    Used = pid(In),
    fixture:wait_until(fun() -> recycled(idle) =:= 1 end),
    ?assertEqual([A, B] -- [Used], fixture:os_pids(p) -- (fixture:os_pids(p) -- [A, B])),
    timer:sleep(3000),
    ?assertEqual(#{idle => 1}, recycled()),
    stop().

not_idle() ->
    In = start(#{idle => 1000}),
    Stream = stream(In),
    {ok, _} = py:stream_next(Stream),
    {ok, Pid} = py:eval(<<"os.getpid()">>, #{}, In),
    timer:sleep(4000),
    ?assertEqual([Pid], fixture:os_pids(p)),
    ok = py:stream_close(Stream),
    fixture:wait_until(fun() -> recycled() =:= #{idle => 1} end),
    stop().

min_calls() ->
    In = start(#{rss => 120 * ?MIB, min_calls => 5}),
    {ok, Pid} = py:call(glutton, leak, [150 * ?MIB], #{}, In),
    timer:sleep(2500),
    ?assertEqual([Pid, Pid, Pid, Pid], [pid(In) || _ <- lists:seq(1, 4)]),
    fixture:wait_until(fun() -> recycled(rss) =:= 1 end),
    stop().

%% ---------------------------------------------------------------------------
%% MemoryError

memory_error() ->
    In = start(#{memory_errors => 1}),
    Held = fixture:hold(In),
    Bad = py:spawn_call(glutton, too_much, [], #{}, In),
    fixture:wait_until(fun() -> waiting() =:= 1 end),
    Good = [py:spawn_call(glutton, has_met, [], #{}, In) || _ <- lists:seq(1, 20)],
    fixture:wait_until(fun() -> waiting() =:= 21 end),
    {ok, _} = fixture:release(Held),
    ?assertMatch({error, {'MemoryError', _}}, py:await(Bad)),
    ?assertEqual(lists:duplicate(20, {ok, false}), [py:await(Ref) || Ref <- Good]),
    fixture:wait_until(fun() -> recycled() =:= #{memory_errors => 1} end),
    stop().

waiting() ->
    #{queue := #{waiting := N}} = py:info(p),
    N.

dealt_with() ->
    In = start(#{memory_errors => 1}),
    Pid = pid(In),
    {ok, none} = py:call(glutton, too_much_then, [], #{}, In),
    ?assertEqual(Pid, pid(In)),
    {error, {'MemoryError', _}} = py:call(glutton, too_much, [], #{}, In#{recycle => false}),
    ?assertEqual(Pid, pid(In)),
    stop().

memory_errors() ->
    In = start(#{memory_errors => 3}),
    Pid = pid(In),
    [begin
         {error, {'MemoryError', _}} = py:call(glutton, too_much, [], #{}, In),
         ?assertEqual(Pid, pid(In))
     end || _ <- [1, 2]],
    {error, {'MemoryError', _}} = py:call(glutton, too_much, [], #{}, In),
    ?assertNotEqual(Pid, pid(In)),
    stop().

limit_once() ->
    fixture:unless_sanitized(),
    In = start(#{}, #{memory => #{address_space => 4 bsl 30}}),
    Pid = pid(In),
    {error, {'MemoryError', _}} = py:eval(<<"bytearray(2**33)">>, #{}, In),
    ?assertNotEqual(Pid, pid(In)),
    ?assertEqual(1, recycled(memory_errors)),
    stop().

heap_fills() ->
    In = start(#{}, #{memory => #{heap => 64 * ?MIB}}),
    Results = [py:call(glutton, leak, [?MIB], #{}, In) || _ <- lists:seq(1, 150)],
    ?assertEqual([], [Result || Result <- Results, not is_pid_of(Result)]),
    ?assert(length(lists:usort(Results)) >= 3),
    ?assert(recycled(heap) >= 2),
    ?assertEqual([heap], maps:keys(recycled())),
    stop().

heap_meets() ->
    In = start(#{}, #{memory => #{heap => 64 * ?MIB}}),
    Refs = [py:spawn_call(glutton, leak, [30 * ?MIB], #{}, In#{timeout => 120_000}) || _ <- lists:seq(1, 12)],
    Results = [py:await(Ref, infinity) || Ref <- Refs],
    Failed = [Class || {error, {Class, _}} <- Results],
    ?assertEqual([], [Result || Result <- Results, not is_pid_of(Result)]
                         -- [Result || {error, {'MemoryError', _}} = Result <- Results]),
    fixture:wait_until(fun() -> recycled(memory_errors) >= length(Failed) end),
    tap:note("~b of 12 failed, ~p", [length(Failed), recycled()]),
    ?assert(length(Failed) > 0),
    stop().

heap_small() ->
    logbook:clear(),
    In = start(#{}, #{memory => #{heap => 128 * ?MIB},
                      init => <<"import glutton, os; glutton.leak(116 * 2**20)">>}),
    Pids = [pid(In) || _ <- lists:seq(1, 30)],
    ?assertEqual(1, length(lists:usort(Pids))),
    ?assertEqual(#{}, recycled()),
    ok = py:restart_workers(p),
    ?assertEqual(1, length([E || #{level := warning} = E <- logbook:all()])),
    stop().

%% ---------------------------------------------------------------------------
%% What is in hand

call_in_hand() ->
    In = start(#{calls => 2}, #{drain => 0}),
    Old = pid(In),
    Ref = py:spawn_call(wedge, late, [Old, 1.5], #{}, In),
    fixture:wait_until(fun() -> recycled(calls) >= 1 end),
    ?assertNotEqual(Old, pid(In)),
    ?assertEqual({ok, Old}, py:await(Ref)),
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    stop().

stream(In) ->
    {ok, Stream} = py:stream_open({eval, <<"(os.getpid() for _ in range(100))">>, #{}}, In#{chunk => 1}),
    Stream.

stream_in_hand() ->
    In = start(#{calls => 1}, #{drain => 60_000}),
    Stream = stream(In),
    {ok, [Old]} = py:stream_next(Stream),
    fixture:wait_until(fun() -> recycled(calls) >= 1 end),
    ?assertEqual({done, lists:duplicate(99, Old)}, rest(Stream, [])),
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    stop().

stream_told() ->
    In = start(#{calls => 1}, #{drain => 200}),
    Stream = stream(In),
    {ok, [Old]} = py:stream_next(Stream),
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    ?assertMatch({{error, {worker_exit, recycled}}, _}, rest(Stream, [])),
    stop().

rest(Stream, Items) ->
    case py:stream_next(Stream) of
        {ok, More} -> rest(Stream, Items ++ More);
        Last -> {Last, Items}
    end.

stop_used_up() ->
    In = start(#{calls => 1}, #{init => <<"import time; time.sleep(2)">>, drain => 20_000}),
    {ok, 1} = py:eval(<<"1">>, #{}, In),
    {_, ok} = figure:within(1000, fun() -> py:stop_pool(p) end).

bound() ->
    In = start(#{calls => 1, age => 60_000}),
    ok = py:exec(<<"mine = os.getpid()">>, In),
    fixture:wait_until(fun() -> recycled(calls) >= 1 end),
    {ok, Old} = py:eval(<<"mine">>, #{}, In),
    fixture:wait_until(fun() -> fixture:os_pids(p) =/= [Old] end),
    timer:sleep(1500),
    ?assertEqual({ok, Old}, py:eval(<<"mine">>, #{}, In)),
    ok = py:unbind(p),
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    ?assertNotEqual({ok, Old}, py:call(os, getpid, [], #{}, In)),
    stop().

bound_dies() ->
    In = start(#{calls => 1, age => 60_000}),
    Self = self(),
    Pid = spawn(fun() ->
        ok = py:exec(<<"mine = os.getpid()">>, In),
        Self ! py:eval(<<"mine">>, #{}, In),
        receive stop -> ok end
    end),
    {ok, Old} = receive Answer -> Answer end,
    fixture:wait_until(fun() -> recycled(calls) >= 1 end),
    timer:sleep(1500),
    ?assert(fixture:is_running(Old)),
    Pid ! stop,
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    stop().

bound_anew() ->
    In = start(#{calls => 2, age => 60_000}, #{size => 2}),
    On = fun(Id) -> In#{pool => {p, Id}} end,
    [Old, New] = fixture:os_pids(p),
    ok = py:exec(<<"mine = 1">>, On(1)),
    ok = py:exec(<<"mine = 2">>, On(2)),
    {ok, Old} = py:eval(<<"os.getpid()">>, #{}, On(1)),
    fixture:wait_until(fun() -> not fixture:is_running(Old) end),
    ?assertEqual({ok, 2}, py:eval(<<"mine">>, #{}, In)),
    ?assert(fixture:is_running(New)),
    ok = py:unbind(p),
    stop().

bound_told() ->
    In = start(#{calls => 1}, #{drain => 100}),
    ok = py:exec(<<"mine = os.getpid()">>, In),
    fixture:wait_until(fun() -> recycled(calls) >= 1 end),
    timer:sleep(500),
    ?assertEqual({error, {worker_exit, recycled}}, py:eval(<<"1">>, #{}, In)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
    stop().

%% ---------------------------------------------------------------------------

leaking() ->
    Calls = list_to_integer(os:getenv("CALLS", "20000")),
    Bytes = 32 * 1024,
    In = start(#{growth => 100 * ?MIB}, #{size => 2}),
    Each = Calls div 8,
    {_, Peak} = {ok, watch_peak(fun() ->
        Callers = [spawn_monitor(fun() -> exit({done, calls(Each, Bytes, In)}) end)
                   || _ <- lists:seq(1, 8)],
        [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual({done, []}, Reason) end
         || {_, Monitor} <- Callers]
    end)},
    tap:note("~b calls, at most ~b MiB, ~p recycled", [8 * Each, Peak div ?MIB, recycled()]),
    ?assert(recycled(growth) >= 1),
    ?assert(Peak < 512 * ?MIB),
    stop().

%% Those that did not return a process's id.
calls(N, Bytes, In) ->
    [Wrong || _ <- lists:seq(1, N),
              Wrong <- [py:call(glutton, leak_slowly, [Bytes, 0.0005], #{}, In)], not is_pid_of(Wrong)].

is_pid_of({ok, Pid}) -> is_integer(Pid);
is_pid_of(_) -> false.

%% The most that one worker has in memory while the fun runs.
watch_peak(Fun) ->
    Self = self(),
    Watcher = spawn_link(fun() -> watch(Self, 0) end),
    Fun(),
    Watcher ! stop,
    receive {peak, Peak} -> Peak end.

watch(To, Peak) ->
    receive
        stop -> To ! {peak, Peak}
    after 50 ->
        Now = [catch rss(Pid) || Pid <- fixture:os_pids(p)],
        watch(To, lists:max([Peak | [N || N <- Now, is_integer(N)]]))
    end.
