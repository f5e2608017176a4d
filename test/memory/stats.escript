#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Statistics that never lie: what is not known now is shown with its age, sums
%% say of how many workers they are, and no counter goes back, whatever happens
%% to the workers meanwhile.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).
-define(ROUNDS, 12).

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import gc, wedge">>}, [
        {"a worker's own map", fun own_map/0},
        {"growth since the worker was ready", fun growth/0},
        {"a successor has a baseline of its own", fun successor/0},
        {"calls and uptime go on", fun goes_on/0},
        {"what costs more is there only if it is asked for", fun detail/0},
        {"options that are none", fun options/0},
        {"tracing that the environment has switched on", fun traced_by_environment/0},
        {"a worker that was busy ever since", fun never_asked/0},
        {"a peak that is reset", fun peak/0},
        {"a peak that is reset: targets", fun peak_targets/0},
        {"a worker that is stopped", fun stopped/0},
        {"a worker at rest is not asked, and has new numbers after a call", fun resting/0},
        {"a worker at rest is answered for in 60 microseconds", fun quick/0},
        {"collections and tracing of a worker at rest are seen at once", fun at_once/0},
        [{["within 100 ms while every worker ", atom_to_list(Way)], 60_000,
          fun() -> in_time(Way) end} || Way <- [loop, backtrack, keep_gil_deaf, stop]],
        {"no counter goes back", 120_000, fun never_back/0}
    ])).

own_map() ->
    Stats = fixture:memory_stats({default, 1}),
    ?assertEqual([age, baseline, busy, calls, gc_count, gc_pauses, gc_stats, gc_threshold, growth, id,
                  left, limits, os_pid, peak, rss, swap, uptime], lists:sort(maps:keys(Stats))),
    #{busy := false, rss := Rss, peak := Peak, age := Age} = Stats,
    ?assert(Rss > ?MB andalso Rss =< Peak),
    ?assert(Age >= 0),
    #{workers := [#{id := 1}, #{id := 2}]} = Pool = fixture:memory_stats(default),
    ?assertMatch(#{answered := 2, asked := 2}, Pool).

growth() ->
    {ok, #{growth := Before, baseline := Baseline}} = py:memory_stats({default, 1}),
    in_worker(1, <<"kept = bytearray(b'x') * 50_000_000">>),
    {ok, #{growth := After, baseline := Same, rss := Rss}} = py:memory_stats({default, 1}),
    ?assert(After - Before > 45 * ?MB),
    ?assertEqual({Baseline, Rss}, {Same, Baseline + After}),
    in_worker(1, <<"del kept">>).

%% Runs this in the worker with this id and no other.
in_worker(Id, Code) ->
    {ok, #{os_pid := OsPid}} = py:memory_stats({default, Id}),
    Lines = [["    ", Line, "\n"] || Line <- string:split(Code, "\n", all)],
    ok = py:exec_all(["import os\nif os.getpid() == ", integer_to_list(OsPid), ":\n", Lines]).

successor() ->
    {ok, Pool} = py:start_pool(young, #{size => 1}),
    ?assert(is_pid(Pool)),
    {ok, #{uptime := Old, os_pid := OsPid}} = later({young, 1}),
    ok = py:restart_workers(young),
    {ok, #{uptime := Young, baseline := Baseline, calls := 0, os_pid := Other}} =
        py:memory_stats({young, 1}),
    ?assert(Young < Old andalso Baseline > ?MB andalso OsPid =/= Other),
    ok = py:stop_pool(young).

later(Target) ->
    timer:sleep(1000),
    py:memory_stats(Target).

goes_on() ->
    {ok, #{calls := Calls, uptime := Uptime}} = py:memory_stats({default, 1}),
    [{ok, _} = py:eval(<<"1">>) || _ <- lists:seq(1, 50)],
    {ok, [{1, {ok, #{calls := One, uptime := Later}}}, {2, {ok, #{calls := Two}}}]} =
        py:memory_stats({default, all}),
    ?assert(One >= Calls andalso One + Two >= 50 andalso Later >= Uptime).

detail() ->
    fixture:unless_sanitized(),
    #{workers := Workers} = fixture:memory_stats(default, #{detail => true}),
    ?assertEqual(2, length([ok || #{pss := Pss, uss := Uss} <- Workers,
                                  Uss > ?MB, Pss >= Uss])),
    [?assertMatch(#{children := #{count := 0, rss := 0}, blocks := Blocks, compiled := #{eval := _, exec := _},
                    arenas := #{count := _, bytes := Bytes, unused := Unused},
                    malloc := #{used := Used, free := Free, pieces := Pieces}}
                      when Blocks > 0 andalso Unused < Bytes andalso Used > 0 andalso Pieces =< Free,
                  Worker)
     || fixture:has_glibc(), Worker <- Workers],
    {ok, Plain} = py:memory_stats({default, 1}, #{detail => false}),
    ?assertEqual([], [Key || Key <- [pss, uss, children, arenas, malloc, blocks, objects, compiled, diagnosis],
                             is_map_key(Key, Plain)]).

options() ->
    [?assertError(badarg, py:memory_stats(default, Options))
     || Options <- [#{detail => 1}, #{details => true}, [detail], true]].

traced_by_environment() ->
    {ok, _} = py:start_pool(traced, #{size => 1, env => #{"PYTHONTRACEMALLOC" => "2"}}),
    #{traced_memory_current := Current, traced_memory_peak := Peak} =
        fixture:memory_stats(traced),
    ?assert(Current > 0 andalso Current =< Peak),
    ok = py:tracemalloc_stop(traced),
    Stats = fixture:memory_stats(traced),
    ?assertNot(is_map_key(traced_memory_current, Stats)),
    ok = py:stop_pool(traced).

%% Its first numbers are as old as it is.
never_asked() ->
    {ok, _} = py:start_pool(fresh, #{size => 1, python_path => [fixture:python_path()],
                                     init => <<"import wedge">>}),
    [#{os_pid := OsPid}] = fixture:workers(fresh),
    keep_gil(fresh),
    {ok, #{answered := 0, asked := 1, workers := [Worker]} = Stats} = py:memory_stats(fresh),
    ?assertMatch(#{gc_stats := [_, _, _], gc_count := {_, _, _}, gc_threshold := {N, _, _}}
                     when N > 0, Stats),
    #{busy := true, age := Age, uptime := Uptime, os_pid := OsPid, rss := Rss} = Worker,
    ?assert(Age >= 50 andalso Uptime >= 50 andalso Rss > ?MB),
    _ = fixture:kill("KILL", OsPid),
    ok = py:stop_pool(fresh).

keep_gil(Pool) ->
    File = filename:join(fixture:tmpdir(), "started"),
    spawn(fun() -> py:call(wedge, keep_gil_deaf, [list_to_binary(File)], #{}, #{pool => Pool}) end),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    timer:sleep(50).

stopped() ->
    {ok, #{gc_stats := Before}} = py:memory_stats(),
    [OsPid | _] = fixture:os_pids(),
    ok = fixture:stop(OsPid),
    {ok, #{gc_stats := Meanwhile, answered := Answered}} = py:memory_stats(),
    _ = fixture:kill("CONT", OsPid),
    ?assertEqual(1, Answered),
    {ok, #{gc_stats := After}} = py:memory_stats(),
    ?assert(is_forth(Before, Meanwhile) andalso is_forth(Meanwhile, After)).

%% The kernel's, the traced one, and that of the heap.
peak() ->
    {ok, _} = py:start_pool(high, #{size => 1, memory => #{account => true}}),
    In = #{pool => high},
    ok = py:tracemalloc_start(high),
    {ok, 80_000_000} = py:eval(<<"len(bytearray(b'x') * 80_000_000)">>, #{}, In),
    Peaks = fun() ->
        #{peak := Kernel, traced_memory_peak := Traced, heap := #{peak := Heap}} =
            fixture:memory_stats({high, 1}, #{detail => true}),
        [Kernel, Traced, Heap]
    end,
    ?assertEqual([true, true, true], [Peak > 80_000_000 || Peak <- Peaks()]),
    ok = py_mem:reset_peak(high),
    ?assertEqual([false, false, false], [Peak > 80_000_000 || Peak <- Peaks()]),
    {ok, 90_000_000} = py:eval(<<"len(bytearray(b'x') * 90_000_000)">>, #{}, In),
    ?assertEqual([true, true, true], [Peak > 80_000_000 || Peak <- Peaks()]),
    ok = py:stop_pool(high).

peak_targets() ->
    ok = py_mem:reset_peak(default),
    {ok, [{1, ok}, {2, ok}]} = py_mem:reset_peak({default, all}),
    ok = py_mem:reset_peak({default, 2}),
    ?assertEqual({error, {no_worker, {default, 3}}}, py_mem:reset_peak({default, 3})),
    ?assertError(badarg, py_mem:reset_peak(<<"default">>)).

%% Its program does not run a single time while many look at it; and what a call has
%% changed is known when it is over.
resting() ->
    {ok, #{workers := [#{os_pid := OsPid} | _]}} = py:memory_stats(),
    fixture:wait_until(fun() ->
        Before = switches(OsPid),
        [{ok, #{busy := false}} = py:memory_stats({default, 1}) || _ <- lists:seq(1, 100)],
        switches(OsPid) =:= Before
    end),
    wait_for_rest(),
    {ok, #{age := Age}} = py:memory_stats({default, 1}),
    timer:sleep(50),
    {ok, #{age := Later}} = py:memory_stats({default, 1}),
    ?assert(Later >= Age + 50),
    in_worker(1, <<"gc.collect()">>),
    {ok, #{age := Young}} = py:memory_stats({default, 1}),
    ?assert(Young < Later).

%% Until its first worker has nothing to do and has said its numbers.
wait_for_rest() ->
    fixture:wait_until(fun() ->
        {ok, Pool} = py_pool_board:find(default),
        [{Id, Pid, _} | _] = py_pool_board:workers(Pool),
        py_pool_board:resting(Pool, Id, Pid) =/= false
    end).

%% How often the kernel has let a process's first thread run.
switches(OsPid) ->
    fixture:proc_number(OsPid, "voluntary_ctxt_switches").

%% On a machine that others use, as soon as they let us.
quick() ->
    wait_for_rest(),
    fixture:wait_until(fun() ->
        {Ms, _} = figure:timed(fun() ->
            [{ok, #{busy := false}} = py:memory_stats({default, 1}) || _ <- lists:seq(1, 20)]
        end),
        Us = 1000 * Ms / 20,
        tap:note("~.1f microseconds each", [Us]),
        Us =< 60
    end).

at_once() ->
    [begin
         #{gc_stats := Before} = fixture:memory_stats({default, 1}),
         {ok, _} = py:gc({default, 1}),
         #{gc_stats := After} = fixture:memory_stats({default, 1}),
         ?assert(is_forth(Before, After) andalso Before =/= After),
         ok = py:tracemalloc_start({default, 1}),
         #{traced_memory_current := _} = fixture:memory_stats({default, 1}),
         ok = py:tracemalloc_stop({default, 1}),
         Stats = fixture:memory_stats({default, 1}),
         ?assertNot(is_map_key(traced_memory_current, Stats)),
         timer:sleep(N)
     end || N <- [0, 5, 15, 30, 60]].

is_forth(Before, After) ->
    lists:all(fun({B, A}) -> lists:all(fun(Key) -> map_get(Key, A) >= map_get(Key, B) end,
                                       maps:keys(B))
              end, lists:zip(Before, After)).

%% All are in the answer, with their last numbers, and these only grow.
in_time(Way) ->
    {ok, _} = py:start_pool(stuck, #{size => 3, python_path => [fixture:python_path()],
                                     init => <<"import wedge">>}),
    {ok, _} = py:gc(stuck),
    {ok, First} = py:memory_stats(stuck),
    OsPids = fixture:os_pids(stuck),
    [stick(Way, OsPid) || OsPid <- OsPids],
    try
        [begin
             Times = [in_time(First, Detail) || _ <- lists:seq(1, 3)],
             figure:show(["memory_stats while they ", atom_to_list(Way)], Times),
             ?assert(figure:median(Times) =< 100)
         end || Detail <- [false, true]]
    after
        [fixture:kill("KILL", OsPid) || OsPid <- OsPids],
        ok = py:stop_pool(stuck, 0)
    end.

in_time(#{gc_stats := Before, gc_pauses := Paused}, Detail) ->
    {Ms, {ok, Stats}} = figure:ours(fun() -> py:memory_stats(stuck, #{detail => Detail}) end),
    #{gc_stats := After, gc_pauses := Pauses, asked := 3, workers := [_, _, _] = Workers} = Stats,
    ?assert(is_forth(Before, After) andalso is_forth(Paused, Pauses)),
    [?assertMatch(#{gc_stats := [_, _, _], gc_count := {_, _, _}, gc_threshold := {_, _, _},
                    rss := Rss, calls := _, age := _} when Rss > ?MB, Worker) || Worker <- Workers],
    Ms.

%% Each worker gets one, because it is busy then.
stick(stop, OsPid) ->
    ok = fixture:stop(OsPid);
stick(Way, _) ->
    File = filename:join(fixture:tmpdir(), "started"),
    Args = [list_to_binary(File)],
    spawn(fun() -> py:call(wedge, Way, Args, #{}, #{pool => stuck}) end),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    timer:sleep(50).

%% Collections, deaths, a restart, and a kept GIL, while somebody watches.
never_back() ->
    {ok, #{gc_stats := First}} = py:memory_stats(),
    Watcher = spawn_monitor(fun() -> watch(First, 0) end),
    [disturb(N rem 4) || N <- lists:seq(1, ?ROUNDS)],
    element(1, Watcher) ! stop,
    receive
        {'DOWN', Monitor, process, _, Reason} when Monitor =:= element(2, Watcher) ->
            {watched, N, Last} = Reason,
            tap:note("~b statistics in a row", [N]),
            ?assert(N > ?ROUNDS),
            ?assert(is_forth(First, Last) andalso First =/= Last)
    end.

watch(Before, N) ->
    {ok, #{gc_stats := Now}} = py:memory_stats(),
    is_forth(Before, Now) orelse exit({back, Before, Now}),
    receive
        stop -> exit({watched, N, Now})
    after 1 ->
        watch(Now, N + 1)
    end.

disturb(0) ->
    ok = py:restart_workers();
disturb(1) ->
    {ok, _} = py:gc(),
    _ = fixture:kill("KILL", hd(fixture:os_pids())),
    all_there();
disturb(2) ->
    keep_gil(default),
    timer:sleep(200),
    [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids()],
    all_there();
disturb(3) ->
    [{ok, _} = py:gc(N rem 3) || N <- lists:seq(1, 100)].

all_there() ->
    timer:sleep(20),
    fixture:wait_until(fun() ->
        [idle, idle] =:= [State || #{state := State} <- fixture:workers()]
    end).
