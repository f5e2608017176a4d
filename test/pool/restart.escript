#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A rolling restart replaces all workers, or one, and fails no request.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-import(fixture, [start_p/1, slow_call/2]).

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import os, wedge">>}, [
        {"restart_workers replaces every worker", fun restart/0},
        {"restart_workers under load: no request fails", 120_000, fun restart_under_load/0},
        {"restart_workers under load: a slot is never empty", fun restart_named/0},
        {"restart_workers replays init, exec_all and tracing", fun replays/0},
        {"restart_workers tells a bound process once", fun restart_bound/0},
        {"a call right behind the news that its worker was replaced", fun restart_just_before/0},
        {"restart_workers waits for a long call, up to drain", fun restart_beside_long/0},
        {"restart_workers when the successor cannot start", fun no_successor/0},
        {"restart_workers of a pool whose workers are all down", fun restart_down/0},
        {"restart_workers beside exec_all that fails", fun restart_beside_exec_all/0},
        {"restart_workers of a pool whose workers keep dying", fun restart_crashing/0},
        {"restart_workers while the old worker answers something large", fun restart_large/0},
        {"a worker that takes its time to end keeps nobody waiting", fun slow_end/0},
        {"the death of a worker that was replaced is logged", fun replaced_dies/0},
        {"restart_workers of no pool", fun restart_nobody/0}
    ])).

restart() ->
    Before = fixture:os_pids(),
    ?assertEqual(ok, py:restart_workers()),
    After = fixture:os_pids(),
    ?assertEqual(2, length(After)),
    ?assertEqual(Before, Before -- After),
    _ = osproc:all_gone(Before, 5000),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)).

%% Callers of every kind, who keep asking.
restart_under_load() ->
    In = start_p(#{size => 2}),
    Callers = [asker(N, In) || N <- lists:seq(1, 12)],
    timer:sleep(200),
    Rounds = [restart_once() || _ <- lists:seq(1, 3)],
    Counts = [finish(Pid) || Pid <- Callers],
    {Right, Wrong} = {lists:sum([R || {R, _} <- Counts]), lists:append([W || {_, W} <- Counts])},
    tap:note("~b requests; a restart of two workers took ~.1f ms", [Right, hd(Rounds)]),
    ?assertEqual([], Wrong),
    ?assert(Right > 50),
    ?assertEqual(ok, py:stop_pool(p)).

restart_once() ->
    Before = fixture:os_pids(p),
    {Ms, ok} = figure:timed(fun() -> py:restart_workers(p) end),
    After = fixture:os_pids(p),
    ?assertEqual({2, Before}, {length(After), Before -- After}),
    Ms.

asker(N, In) ->
    spawn_link(fun() -> ask(N, 0, [], In) end).

ask(N, Right, Wrong, In) ->
    receive
        {finish, From} -> From ! {self(), {Right, Wrong}}
    after 0 ->
        case request(N, In) of
            {ok, N} -> ask(N, Right + 1, Wrong, In);
            Other -> ask(N, Right, [Other | Wrong], In)
        end
    end.

request(N, In) when N rem 3 =:= 0 -> py:eval(<<"n">>, #{n => N}, In);
request(N, In) when N rem 3 =:= 1 -> py:call(wedge, late, [N, 0.03], #{}, In);
request(N, In) ->
    case py:stream_eval(<<"iter([n] * 3000)">>, #{n => N}, In) of
        {ok, Items} when length(Items) =:= 3000 -> {ok, hd(Items)};
        Other -> Other
    end.

finish(Pid) ->
    Pid ! {finish, self()},
    receive {Pid, Count} -> Count after 40_000 -> error({caller_hangs, process_info(Pid)}) end.

restart_named() ->
    In = start_p(#{}),
    Callers = [spawn_monitor(fun() -> exit({wrong, call_named(In, [])}) end) || _ <- [1, 2]],
    [ok = py:restart_workers(p) || _ <- lists:seq(1, 5)],
    [Pid ! stop || {Pid, _} <- Callers],
    [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual({wrong, []}, Reason) end
     || {_, Monitor} <- Callers],
    ok = py:stop_pool(p).

call_named(In, Wrong) ->
    receive
        stop -> lists:usort(Wrong)
    after 0 ->
        Result = py:eval(<<"1">>, #{}, In#{pool => {p, 1}}),
        call_named(In, [Result || Result =/= {ok, 1}] ++ Wrong)
    end.

replays() ->
    In = start_p(#{size => 2}),
    ok = py:exec_all(<<"later = 'defined later'">>, In),
    ?assertEqual(ok, py:restart_workers(p)),
    [?assertEqual({ok, <<"defined later">>}, py:eval(<<"later">>, #{}, In)) || _ <- lists:seq(1, 9)],
    ?assertEqual({ok, true}, py:eval(<<"callable(wedge.late)">>, #{}, In)),
    ok = py:tracemalloc_start(),
    ?assertEqual(ok, py:restart_workers()),
    ?assertMatch(#{traced_memory_current := _}, fixture:memory_stats(default)),
    ok = py:tracemalloc_stop(),
    ?assertEqual(ok, py:stop_pool(p)).

%% Its names are gone with the worker: that is told, as after a death.
restart_bound() ->
    ok = py:exec(<<"mine = 1">>),
    ?assertEqual(ok, py:restart_workers()),
    ?assertMatch({error, {worker_exit, _}}, py:eval(<<"mine">>)),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>)).

%% What is behind the news in the worker's mailbox comes too late for it.
restart_just_before() ->
    In = start_p(#{}),
    ok = py:exec(<<"mine = 1">>, In),
    {ok, Pool} = py_pool_board:find(p),
    [{_, Worker, _}] = py_pool_board:workers(Pool),
    ok = sys:suspend(Worker),
    ok = py_worker:retire(Worker, restarted, 1000),
    _ = spawn_link(fun() ->
        fixture:wait_until(fun() -> element(2, process_info(Worker, message_queue_len)) > 1 end),
        ok = sys:resume(Worker)
    end),
    ?assertMatch({error, {worker_exit, _}}, py:eval(<<"mine">>, #{}, In)),
    ?assertEqual(ok, py:stop_pool(p)).

restart_beside_long() ->
    In = start_p(#{drain => 5000}),
    Slow = slow_call(0.5, In),
    ?assertEqual(ok, py:restart_workers(p)),
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)),
    ?assertEqual(ok, py:stop_pool(p)).

%% The pool goes on with the workers that it has.
no_successor() ->
    Dir = fixture:tmpdir(),
    Init = lists:append(["import os\nif os.path.exists('", Dir, "/broken'): raise ValueError"]),
    In = start_p(#{init => Init}),
    OsPids = fixture:os_pids(p),
    ok = file:write_file(filename:join(Dir, "broken"), <<>>),
    ?assertMatch({error, _}, py:restart_workers(p)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
    ?assertEqual(OsPids, fixture:os_pids(p)),
    ok = file:delete(filename:join(Dir, "broken")),
    ?assertEqual(ok, py:restart_workers(p)),
    ?assertEqual(OsPids, OsPids -- fixture:os_pids(p)),
    ?assertEqual(ok, py:stop_pool(p)).

%% It is done when they are there, and says why they are not.
restart_down() ->
    Dir = fixture:tmpdir(),
    Broken = filename:join(Dir, "broken"),
    Init = lists:append(["import os\nif os.path.exists('", Broken, "'): raise ValueError"]),
    _ = start_p(#{init => Init, size => 2}),
    ok = file:write_file(Broken, <<>>),
    [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids(p)],
    fixture:wait_until(fun() -> [] =:= [live || #{state := idle} <- fixture:workers(p)] end),
    {error, {python_start, Text}} = py:restart_workers(p),
    ?assertMatch({_, _}, binary:match(Text, <<"ValueError">>)),
    ?assertEqual({ok, []}, py:restart_workers({p, all})),
    ?assertEqual({error, {no_worker, {p, 1}}}, py:restart_workers({p, 1})),
    ok = file:delete(Broken),
    ?assertEqual(ok, py:restart_workers(p)),
    ?assertMatch([#{state := idle}, #{state := idle}], fixture:workers(p)),
    ?assertEqual(ok, py:stop_pool(p)).

%% The code that fails is not kept; the workers that became ready meanwhile are.
restart_beside_exec_all() ->
    In = start_p(#{size => 2}),
    Before = fixture:os_pids(p),
    Self = self(),
    spawn_link(fun() -> Self ! {failed, py:exec_all(<<"time.sleep(0.7)\n1/0">>, In)} end),
    timer:sleep(100),
    ?assertEqual(ok, py:restart_workers(p)),
    ?assertMatch({error, {'ZeroDivisionError', _}}, receive {failed, Result} -> Result end),
    ?assertEqual(Before, Before -- fixture:os_pids(p)),
    ?assertEqual(ok, py:stop_pool(p)).

%% A worker that died is about to be started again when its successor is ready.
restart_crashing() ->
    In = start_p(#{init => <<"import time\ntime.sleep(0.3)">>}),
    [begin
         fixture:wait_until(fun() -> fixture:os_pids(p) =/= [] andalso is_live(p) end),
         [OsPid] = fixture:os_pids(p),
         fixture:kill("KILL", OsPid),
         fixture:wait_until(fun() -> fixture:os_pids(p) =/= [OsPid] end)
     end || _ <- lists:seq(1, 4)],
    fixture:wait_until(fun() -> is_live(p) end),
    [OsPid] = fixture:os_pids(p),
    Self = self(),
    spawn_link(fun() -> Self ! {restarted, py:restart_workers(p)} end),
    timer:sleep(100),
    fixture:kill("KILL", OsPid),
    ?assertEqual(ok, receive {restarted, Result} -> Result end),
    timer:sleep(2500),  % the longest delay, and a start
    fixture:wait_until(fun() ->
        Programs = [P || Port <- fixture:ports(), {os_pid, P} <- [erlang:port_info(Port, os_pid)]],
        fixture:os_pids(p) =:= Programs -- fixture:os_pids(default)
    end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
    ?assertEqual(ok, py:stop_pool(p)).

is_live(Pool) ->
    lists:all(fun(#{state := State}) -> State =:= idle end, fixture:workers(Pool)).

restart_large() ->
    In = start_p(#{drain => 20_000}),
    Before = fixture:os_pids(p),
    Ref = py:spawn_call(wedge, late, [binary:copy(<<"x">>, 2_000_000), 0.5], #{}, In),
    timer:sleep(100),
    ?assertEqual(ok, py:restart_workers(p)),
    {ok, <<_:2_000_000/binary>>} = py:await(Ref),
    _ = osproc:all_gone(Before, 5000),
    ?assertEqual(ok, py:stop_pool(p)).

slow_end() ->
    In = start_p(#{}),
    ok = py:exec(<<"import atexit\natexit.register(time.sleep, 2)">>, In),
    ?assertEqual(ok, py:restart_workers(p)),
    {Ms, Result} = figure:within(1000, fun() -> py:eval(<<"1">>, #{}, In#{timeout => 5000}) end),
    ?assertEqual({error, {worker_exit, restarted}}, Result),
    tap:note("told after ~.1f ms", [Ms]),
    ?assertEqual(ok, py:stop_pool(p)).

replaced_dies() ->
    In = start_p(#{drain => 5000}),
    [OsPid] = fixture:os_pids(p),
    Slow = slow_call(60, In),
    ?assertEqual(ok, py:restart_workers(p)),
    logbook:open(),
    fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Slow)),
    _ = logbook:await(fun(#{meta := Meta}) -> maps:get(os_pid, Meta, none) =:= OsPid end),
    logbook:close(),
    ?assertEqual(ok, py:stop_pool(p)).

restart_nobody() ->
    ?assertEqual({error, {no_pool, nobody}}, py:restart_workers(nobody)).

%% ---------------------------------------------------------------------------
