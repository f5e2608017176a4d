#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Pools started and stopped by many at the same time, some of whom are killed
%% while they wait: each gets an answer that makes sense, and in the end exactly
%% what is expected is there.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(NAMES, [a, b, c]).
-define(PROCESSES, 12).
-define(MS, 10_000).

main(_) ->
    logger:set_primary_config(level, none),
    tap:run([
        fixture:with_app(#{size => 1}, [
            {"a pool that has started answers everything", 60_000, fun started/0},
            {"whoever stops a pool is killed", 60_000, fun stopper_dies/0},
            {"whoever starts a pool is killed", 60_000, fun starter_dies/0},
            {"a start during a stop waits for its end", 60_000, fun start_during_stop/0},
            {"a stop during a start does not wait for its end", 60_000, fun stop_during_start/0},
            {"a stop that is in a hurry overtakes one that is not", 60_000, fun stop_in_a_hurry/0},
            {"a slow start delays no other pool", 60_000, fun slow_beside_quick/0},
            {"many start one pool: one succeeds", 60_000, fun start_race/0},
            {"the process that starts and stops is killed at work", 60_000, fun pools_dies/0},
            {"what it has started for that is killed", 60_000, fun life_dies/0},
            {"a pool's supervisor is killed while it stops", 60_000, fun supervisor_dies/0},
            {"starts, stops and kills at random", 120_000, fun at_random/0},
            {"nothing is left of all this", fun nothing_left/0}
        ]),
        {"the application stops during starts and stops", 60_000, fun application_stops/0}
    ]).

%% A pool whose worker takes its time to start, or to end.
slow_to_start() -> #{size => 1, init => <<"import time; time.sleep(600)">>}.
slow_to_end() -> #{size => 1, init => <<"import atexit, time; atexit.register(time.sleep, 0.7)">>}.

%% A process that does this and says what came of it.
process(Fun) ->
    Self = self(),
    spawn(fun() -> Self ! {self(), Fun()} end).

result(Pid) ->
    receive {Pid, Result} -> Result end.

%% Waits until this is under way: `start' or `stop'.
under_way(Name, start) ->
    fixture:wait_until(fun() -> is_map(py:info(Name)) end);
under_way(Name, stop) ->
    fixture:wait_until(fun() -> not is_open(Name) end).

is_open(Name) ->
    element(1, py_pool_board:open(Name)) =:= ok.

%% ---------------------------------------------------------------------------

%% On one scheduler whoever started it comes before its worker's next message.
started() ->
    Schedulers = erlang:system_flag(schedulers_online, 1),
    [started_now() || _ <- lists:seq(1, 10)],
    erlang:system_flag(schedulers_online, Schedulers).

started_now() ->
    {ok, _} = py:start_pool(a, #{size => 1}),
    Version = py_pools:version(a),
    #{workers := [Worker]} = py:info(a),
    Memory = py:memory_stats(a),
    Stack = py:stack({a, 1}),
    ok = py:stop_pool(a),
    ?assertMatch({ok, <<"3.", _/binary>>}, Version),
    ?assertMatch(#{state := idle, python := <<"3.", _/binary>>, guard := _, calls := 0}, Worker),
    ?assertMatch({ok, #{answered := 1, workers := [#{baseline := _, uptime := _}]}}, Memory),
    ?assertMatch({ok, Threads} when is_list(Threads), Stack).

stopper_dies() ->
    {ok, _} = py:start_pool(a, slow_to_end()),
    Stopper = process(fun() -> py:stop_pool(a) end),
    under_way(a, stop),
    exit(Stopper, kill),
    ?assertMatch({ok, _}, py:start_pool(a, #{size => 1})),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{pool => a})),
    ?assertEqual(ok, py:stop_pool(a)),
    ?assertEqual({error, {no_pool, a}}, py:eval(<<"1">>, #{}, #{pool => a})).

starter_dies() ->
    Starter = process(fun() -> py:start_pool(a, #{size => 1}) end),
    under_way(a, start),
    exit(Starter, kill),
    ?assertMatch({error, {already_started, _}}, py:start_pool(a, #{size => 1})),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{pool => a})),
    ?assertEqual(ok, py:stop_pool(a)).

start_during_stop() ->
    {ok, Old} = py:start_pool(a, slow_to_end()),
    Stopper = process(fun() -> py:stop_pool(a) end),
    under_way(a, stop),
    {ok, New} = py:start_pool(a, #{size => 1}),
    ?assertEqual(ok, result(Stopper)),
    ?assertNotEqual(Old, New),
    ?assertNot(is_process_alive(Old)),
    ?assertEqual(ok, py:stop_pool(a)).

stop_during_start() ->
    Starter = process(fun() -> py:start_pool(a, slow_to_start()) end),
    under_way(a, start),
    ?assertEqual(ok, py:stop_pool(a, 0)),
    ?assertEqual({error, {no_pool, a}}, result(Starter)),
    ?assertEqual({error, {no_pool, a}}, py:stop_pool(a)).

stop_in_a_hurry() ->
    {ok, _} = py:start_pool(a, #{size => 1, python_path => [fixture:python_path()],
                                 init => <<"import wedge">>}),
    Held = fixture:hold(#{pool => a}),
    Patient = process(fun() -> py:stop_pool(a, infinity) end),
    under_way(a, stop),
    ?assertEqual({error, {no_pool, a}}, py:stop_pool(a, 0)),
    ?assertEqual(ok, result(Patient)),
    ?assertEqual({error, {worker_exit, shutdown}}, fixture:release(Held)).

slow_beside_quick() ->
    Starter = process(fun() -> py:start_pool(a, slow_to_start()) end),
    under_way(a, start),
    [?assertMatch({ok, _}, py:start_pool(b, #{size => 1})) || _ <- [1]],
    ?assertEqual(ok, py:stop_pool(b)),
    ?assertEqual(ok, py:stop_pool(a)),
    ?assertMatch({error, _}, result(Starter)).

start_race() ->
    Pids = [process(fun() -> py:start_pool(a, #{size => 1}) end) || _ <- lists:seq(1, 20)],
    Results = [result(Pid) || Pid <- Pids],
    [Sup] = [Sup || {ok, Sup} <- Results],
    ?assertEqual(19, fixture:count(fun(R) -> R =:= {error, {already_started, Sup}} end, Results)),
    ?assertEqual(ok, py:stop_pool(a)).

%% Its successor ends what was to be stopped.
pools_dies() ->
    {ok, _} = py:start_pool(a, slow_to_end()),
    Stopper = process(fun() -> py:stop_pool(a) end),
    under_way(a, stop),
    Old = whereis(py_pools),
    exit(Old, kill),
    fixture:wait_until(fun() -> not lists:member(whereis(py_pools), [undefined, Old]) end),
    ?assertEqual(ok, result(Stopper)),
    fixture:wait_until(fun() -> not has_child(a) end),
    ?assertMatch({ok, _}, py:start_pool(a, #{size => 1})),
    ?assertEqual(ok, py:stop_pool(a)).

life_dies() ->
    Starter = process(fun() -> py:start_pool(a, slow_to_start()) end),
    under_way(a, start),
    exit(life(a), kill),
    ?assertEqual({error, {worker_exit, killed}}, result(Starter)),
    {ok, _} = py:start_pool(a, slow_to_end()),
    Stopper = process(fun() -> py:stop_pool(a) end),
    under_way(a, stop),
    exit(life(a), kill),
    ?assertMatch(ok, case result(Stopper) of {error, {no_pool, a}} -> ok; Result -> Result end),
    ?assertNot(has_child(a)).

%% The process in which a pool is started or stopped.
life(_) ->
    {links, Links} = process_info(whereis(py_pools), links),
    [Pid] = [Pid || Pid <- Links, is_pid(Pid), Pid =/= whereis(py_sup)],
    Pid.

supervisor_dies() ->
    [begin
         {ok, Sup} = py:start_pool(a, slow_to_end()),
         Stopper = process(fun() -> py:stop_pool(a) end),
         under_way(a, stop),
         timer:sleep(N),
         exit(Sup, kill),
         ?assertEqual(ok, result(Stopper)),
         ?assertNot(has_child(a)),
         ?assertEqual({error, {no_pool, a}}, py:eval(<<"1">>, #{}, #{pool => a}))
     end || N <- [0, 100]].

%% ---------------------------------------------------------------------------

at_random() ->
    End = erlang:monotonic_time(millisecond) + ?MS,
    Pids = [process(fun() -> keep_trying(End, []) end) || _ <- lists:seq(1, ?PROCESSES)],
    Results = lists:append([result(Pid) || Pid <- Pids]),
    Counts = maps:to_list(lists:foldl(fun count/2, #{}, Results)),
    tap:note("~0tp", [Counts]),
    ?assertEqual([], [What || {What, _} <- Counts, not is_expected(What)]),
    [?assert(proplists:get_value(What, Counts, 0) > 0)
     || What <- [{start, ok}, {start, already_started}, {stop, ok}, {stop, no_pool}]],
    [settle(Name) || Name <- ?NAMES].

%% The last word on a name counts.
settle(Name) ->
    _ = py:stop_pool(Name, 0),
    ?assertNot(has_child(Name)),
    {ok, Sup} = py:start_pool(Name, #{size => 1}),
    ?assert(has_child(Name)),
    ?assertEqual({error, {already_started, Sup}}, py:start_pool(Name, #{size => 1})),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{pool => Name})),
    ?assertEqual(ok, py:stop_pool(Name)),
    ?assertNot(has_child(Name)).

keep_trying(End, Results) ->
    case erlang:monotonic_time(millisecond) < End of
        true -> keep_trying(End, [attempt() | Results]);
        false -> Results
    end.

%% One of three is killed on the way.
attempt() ->
    Name = lists:nth(rand:uniform(3), ?NAMES),
    {What, Do} = lists:nth(rand:uniform(3), [
        {start, fun() -> py:start_pool(Name, #{size => 1}) end},
        {stop, fun() -> py:stop_pool(Name) end},
        {stop, fun() -> py:stop_pool(Name, 0) end}]),
    Pid = process(Do),
    rand:uniform(3) =:= 1 andalso kill_soon(Pid),
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    receive {Pid, Result} -> {What, sort(Result)} after 0 -> {What, killed} end.

kill_soon(Pid) ->
    timer:sleep(rand:uniform(300)),
    exit(Pid, kill).

sort(ok) -> ok;
sort({ok, _}) -> ok;
sort({error, {already_started, Pid}}) when is_pid(Pid) -> already_started;
sort({error, {no_pool, _}}) -> no_pool;
sort(Other) -> Other.

count(What, Counts) ->
    maps:update_with(What, fun(N) -> N + 1 end, 1, Counts).

is_expected({start, What}) -> lists:member(What, [ok, already_started, no_pool, killed]);
is_expected({stop, What}) -> lists:member(What, [ok, no_pool, killed]).

has_child(Name) ->
    lists:keymember({pool, Name}, 1, supervisor:which_children(py_sup)).

nothing_left() ->
    ?assertMatch([{pools, _, _, _}, {state, _, _, _}, {{pool, default}, _, _, _}],
                 lists:sort(supervisor:which_children(py_sup))),
    ?assertEqual([default], py_pool_board:names()),
    fixture:wait_until(fun() -> length(fixture:ports()) =:= 1 end),
    ?assertEqual(1, length(element(2, process_info(whereis(py_pools), links)))).

application_stops() ->
    {ok, _} = application:ensure_all_started(py),
    {ok, _} = py:start_pool(b, slow_to_end()),
    Starter = process(fun() -> py:start_pool(a, slow_to_start()) end),
    under_way(a, start),
    Stopper = process(fun() -> py:stop_pool(b) end),
    under_way(b, stop),
    Later = process(fun() -> py:start_pool(b, #{size => 1}) end),
    ?assertEqual(ok, application:stop(py)),
    ?assertMatch({error, _}, result(Starter)),
    ?assertEqual(ok, result(Stopper)),
    ?assertEqual({error, {not_started, py}}, result(Later)),
    ?assertEqual([], py_pool_board:names()),
    fixture:wait_until(fun() -> fixture:ports() =:= [] end).
