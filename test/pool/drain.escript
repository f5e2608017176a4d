#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drain: a pool that stops finishes what runs, up to a limit, refuses what is
%% new with a reason, and ends its workers politely; a rolling restart replaces
%% all workers and fails no request.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        fixture:with_app(#{size => 2, init => <<"import os, wedge">>}, [
            {"stop_pool/2 lets running work finish", fun finishes/0},
            {"stop_pool/2 lets waiting work finish, too", fun waiting_finishes/0},
            {"stop_pool/2 lets a stream go on to its end", fun stream_finishes/0},
            {"stop_pool/2 lets a stream go on whose consumer takes its time", fun slow_consumer/0},
            {"stop_pool/2 fails what is not done at the limit", fun limit/0},
            {"stop_pool/1 waits as long as the option drain says", fun drain_option/0},
            {"stop_pool of an idle pool is quick", fun idle/0},
            {"a pool that stops refuses new work with a reason", fun refuses/0},
            {"a call on its way to a pool that stops: the pool is gone", fun late_gone/0},
            {"a call on its way to a pool that stops: its worker takes no more", fun late_sealed/0},
            {"a call on its way to a pool that stops: it is in time", fun in_time/0},
            {"a bound process on its way to a pool that stops", fun late_bound/0},
            {"stop_pool/2 lets the work of a replaced worker finish", fun replaced_finishes/0},
            {"stop_pool twice at once", fun twice/0},
            {"its workers end politely: atexit runs", fun politely/0},
            {"the name is free for another pool at once", fun again/0},
            {"stop_pool with an invalid limit", fun bad_limit/0},
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
        ]),
        {"application:stop lets running work finish", fun application_stop/0},
        {"application:stop ends what does not", fun application_stop_limit/0},
        {"application:stop ends all pools at the same time", fun application_stop_pools/0},
        {"application:stop while stop_pool waits", fun application_stop_stopping/0}
    ]).

%% Starts the pool `p'; the test stops it, but for one that fails.
start(Options) ->
    _ = py:stop_pool(p, 0),
    Base = #{size => 1, python_path => [fixture:python_path()],
             init => <<"import os, time, wedge">>},
    {ok, _} = py:start_pool(p, maps:merge(Base, Options)),
    #{pool => p}.

%% A call that runs when this returns.
slow(Seconds, In) ->
    File = filename:join(fixture:tmpdir(), "how"),
    Ref = py:spawn_call(wedge, confess, [list_to_binary(File), Seconds], #{}, In),
    fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end),
    Ref.

finishes() ->
    In = start(#{}),
    Slow = slow(0.5, In),
    {_, Stopped} = figure:within(3000, fun() -> py:stop_pool(p, 5000) end),
    ?assertEqual(ok, Stopped),
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)),
    ?assertEqual({error, {no_pool, p}}, py:eval(<<"1">>, #{}, In)).

waiting_finishes() ->
    In = start(#{}),
    Held = fixture:hold(In),
    Refs = [py:spawn_call(wedge, late, [N, 0.01], #{}, In) || N <- lists:seq(1, 20)],
    fixture:wait_until(fun() -> waiting() =:= 20 end),
    Stopper = stopper(),
    fixture:wait_until(fun() -> is_stopping(In) end),
    ?assertEqual({ok, <<"finished">>}, fixture:release(Held)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 20)], [py:await(Ref) || Ref <- Refs]).

waiting() ->
    #{queue := #{waiting := Waiting}} = py:info(p),
    Waiting.

%% A process that stops the pool and says what came of it.
stopper() ->
    Self = self(),
    spawn_link(fun() -> Self ! {self(), py:stop_pool(p, 60_000)} end).

is_stopping(In) ->
    py:eval(<<"1">>, #{}, In#{timeout => 20}) =:= {error, {stopping, p}}.

stream_finishes() ->
    In = start(#{}),
    {ok, Stream} = py:stream_open(<<"(time.sleep(0.05) or n for n in range(6))">>, In#{chunk => 1}),
    Stopper = spawn_link(fun() -> exit(py:stop_pool(p, 5000)) end),
    process_flag(trap_exit, true),
    timer:sleep(50),
    Items = [begin {ok, [N]} = py:stream_next(Stream), N end || N <- lists:seq(0, 5)],
    ?assertEqual(lists:seq(0, 5), Items),
    ?assertEqual(done, py:stream_next(Stream)),
    ?assertEqual(ok, receive {'EXIT', Stopper, How} -> How end).

%% All of the generator's items are in the worker, and few were asked for.
slow_consumer() ->
    In = start(#{}),
    {ok, Stream} = py:stream_open(<<"range(6)">>, In#{chunk => 1}),
    {ok, [0]} = py:stream_next(Stream),
    Self = self(),
    Stopper = spawn_link(fun() -> Self ! {self(), py:stop_pool(p, 5000)} end),
    Items = [begin timer:sleep(50), {ok, [N]} = py:stream_next(Stream), N end
             || N <- lists:seq(1, 5)],
    ?assertEqual(lists:seq(1, 5), Items),
    ?assertEqual(done, py:stream_next(Stream)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end).

limit() ->
    In = start(#{}),
    OsPids = fixture:os_pids(p),
    Slow = slow(60, In),
    {Ms, Stopped} = figure:within(2500, fun() -> py:stop_pool(p, 300) end),
    ?assertEqual(ok, Stopped),
    tap:note("stopped after ~.1f ms, with a limit of 300", [Ms]),
    ?assert(Ms >= 299),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)),
    ?assertEqual([], lists:filter(fun fixture:is_running/1, OsPids)).

drain_option() ->
    In = start(#{drain => 200}),
    Slow = slow(60, In),
    {Ms, Stopped} = figure:within(2400, fun() -> py:stop_pool(p) end),
    ?assertEqual(ok, Stopped),
    ?assert(Ms >= 199),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)).

idle() ->
    _ = start(#{size => 2}),
    {Ms, Stopped} = figure:within(1500, fun() -> py:stop_pool(p, 5000) end),
    ?assertEqual(ok, Stopped),
    tap:note("stopped after ~.1f ms", [Ms]).

refuses() ->
    In = start(#{}),
    Held = fixture:hold(In),
    Stopper = stopper(),
    fixture:wait_until(fun() -> is_stopping(In) end),
    Stopping = {error, {stopping, p}},
    ?assertEqual(Stopping, py:eval(<<"1">>, #{}, In)),
    ?assertEqual(Stopping, py:exec(<<"x = 1">>, In)),
    ?assertEqual(Stopping, py:exec_all(<<"x = 1">>, In)),
    ?assertEqual(Stopping, py:stream_eval(<<"iter([])">>, #{}, In)),
    ?assertEqual(Stopping, py:await(py:spawn_call(math, sqrt, [4], #{}, In))),
    ?assertMatch({error, _}, py:parallel([{math, sqrt, [4]}], In)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)),
    ?assertEqual({ok, <<"finished">>}, fixture:release(Held)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end),
    ?assertEqual({error, {no_pool, p}}, py:eval(<<"1">>, #{}, In)).

%% A request that has passed the door when the pool closes it.
prepared(In) ->
    {ok, Ticket} = py_request:prepare(job, py_args:eval(<<"6 * 7">>, #{}), py_options:call(In)),
    Ticket.

late_gone() ->
    Ticket = prepared(start(#{})),
    ?assertEqual(ok, py:stop_pool(p)),
    ?assertEqual({none, {error, {stopping, p}}}, py_request:go(Ticket)).

%% One worker is done, and the pool waits for the other.
late_sealed() ->
    In = start(#{size => 2}),
    Held = fixture:hold(In),
    Tickets = [prepared(In) || _ <- lists:seq(1, 9)],
    {ok, Pool} = py_pool_board:find(p),
    Stopper = stopper(),
    fixture:wait_until(fun() -> is_stopping(In) end),
    {_, Monitor} = spawn_monitor(fun() -> exit([py_request:go(Ticket) || Ticket <- Tickets]) end),
    ?assertEqual({ok, <<"finished">>}, fixture:release(Held)),
    Answers = receive {'DOWN', Monitor, process, _, List} -> List end,
    [?assert(is_reply(Answer) orelse Answer =:= {error, {stopping, p}}) || {_, Answer} <- Answers],
    ?assertEqual(ok, receive {Stopper, Result} -> Result end),
    ?assertEqual({error, {stopping, p}}, py_pool_board:refusal(Pool)).

is_reply({reply, _}) -> true;
is_reply(_) -> false.

%% The worker has the request, but has not looked at it yet, and has written its
%% own load over the caller's hint.
in_time() ->
    In = start(#{}),
    {ok, Pool} = py_pool_board:find(p),
    [{_, Worker, _}] = py_pool_board:workers(Pool),
    ok = sys:suspend(Worker),
    Ref = py:spawn_call(math, sqrt, [16], #{}, In),
    fixture:wait_until(fun() -> element(2, process_info(Worker, message_queue_len)) > 0 end),
    Stopper = stopper(),
    fixture:wait_until(fun() -> py_pool_load:is_stopping(Pool) end),
    ok = py_pool_load:set(Pool, 1, {0, 8}),
    %% The pool asks the worker, too.
    fixture:wait_until(fun() -> element(2, process_info(Worker, message_queue_len)) > 1 end),
    ok = sys:resume(Worker),
    ?assertEqual({ok, 4.0}, py:await(Ref)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end).

%% It has started nothing, so there is no end of its worker to tell.
late_bound() ->
    In = start(#{}),
    ok = py:exec(<<"mine = 1">>, In),
    Ticket = prepared(In),
    ?assertEqual(ok, py:stop_pool(p)),
    ?assertMatch({_, {error, {stopping, p}}}, py_request:go(Ticket)),
    ok = py:unbind(p).

replaced_finishes() ->
    In = start(#{drain => 60_000}),
    Held = fixture:hold(In),
    ?assertEqual(ok, py:restart_workers(p)),
    Stopper = stopper(),
    fixture:wait_until(fun() -> is_stopping(In) end),
    timer:sleep(100),       % it would have ended by now
    ?assertEqual({ok, <<"finished">>}, fixture:release(Held)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end).

twice() ->
    In = start(#{}),
    Slow = slow(0.3, In),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), py:stop_pool(p, 5000)} end) || _ <- [1, 2]],
    Results = [receive {Pid, Result} -> Result end || Pid <- Pids],
    ?assert(lists:member(ok, Results)),
    [?assert(R =:= ok orelse R =:= {error, {no_pool, p}} orelse R =:= {error, {stopping, p}})
     || R <- Results],
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)).

politely() ->
    In = start(#{}),
    File = filename:join(fixture:tmpdir(), "said"),
    {ok, none} = py:call(wedge, write_in_the_end, [list_to_binary(File), <<"goodbye">>], #{}, In),
    ?assertEqual(ok, py:stop_pool(p, 5000)),
    ?assertEqual({ok, <<"goodbye">>}, file:read_file(File)).

again() ->
    [begin
         In = start(#{}),
         ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
         ?assertEqual(ok, py:stop_pool(p, 1000))
     end || _ <- [1, 2, 3]].

bad_limit() ->
    [?assertError(badarg, py:stop_pool(p, Limit)) || Limit <- [-1, soon, 1.5]],
    ?assertEqual({error, {no_pool, p}}, py:stop_pool(p, 100)).

%% ---------------------------------------------------------------------------

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
    In = start(#{size => 2}),
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
    In = start(#{}),
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
    In = start(#{size => 2}),
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
    In = start(#{}),
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
    In = start(#{drain => 5000}),
    Slow = slow(0.5, In),
    ?assertEqual(ok, py:restart_workers(p)),
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)),
    ?assertEqual(ok, py:stop_pool(p)).

%% The pool goes on with the workers that it has.
no_successor() ->
    Dir = fixture:tmpdir(),
    Init = lists:append(["import os\nif os.path.exists('", Dir, "/broken'): raise ValueError"]),
    In = start(#{init => Init}),
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
    _ = start(#{init => Init, size => 2}),
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
    In = start(#{size => 2}),
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
    In = start(#{init => <<"import time\ntime.sleep(0.3)">>}),
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
    In = start(#{drain => 20_000}),
    Before = fixture:os_pids(p),
    Ref = py:spawn_call(wedge, late, [binary:copy(<<"x">>, 2_000_000), 0.5], #{}, In),
    timer:sleep(100),
    ?assertEqual(ok, py:restart_workers(p)),
    {ok, <<_:2_000_000/binary>>} = py:await(Ref),
    _ = osproc:all_gone(Before, 5000),
    ?assertEqual(ok, py:stop_pool(p)).

slow_end() ->
    In = start(#{}),
    ok = py:exec(<<"import atexit\natexit.register(time.sleep, 2)">>, In),
    ?assertEqual(ok, py:restart_workers(p)),
    {Ms, Result} = figure:within(1000, fun() -> py:eval(<<"1">>, #{}, In#{timeout => 5000}) end),
    ?assertEqual({error, {worker_exit, restarted}}, Result),
    tap:note("told after ~.1f ms", [Ms]),
    ?assertEqual(ok, py:stop_pool(p)).

replaced_dies() ->
    In = start(#{drain => 5000}),
    [OsPid] = fixture:os_pids(p),
    Slow = slow(60, In),
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

application_stop() ->
    ?assertEqual({ok, <<"finished">>}, stopped_during(0.5, 5000)).

application_stop_limit() ->
    ?assertMatch({error, {worker_exit, _}}, stopped_during(60, 200)).

stopped_during(Seconds, Drain) ->
    [ok = application:set_env(py, Key, Value)
     || {Key, Value} <- [{size, 1}, {drain, Drain}, {python_path, [fixture:python_path()]}]],
    {ok, _} = application:ensure_all_started(py),
    OsPids = fixture:os_pids(),
    Slow = slow(Seconds, #{}),
    {Ms, ok} = figure:within(3000, fun() -> application:stop(py) end),
    tap:note("stopped after ~.1f ms", [Ms]),
    ?assertEqual([], lists:filter(fun fixture:is_running/1, OsPids)),
    py:await(Slow).

application_stop_pools() ->
    {ok, _} = application:ensure_all_started(py),
    Init = <<"import atexit, time\natexit.register(time.sleep, 1.5)">>,
    [{ok, _} = py:start_pool(Name, #{size => 1, init => Init}) || Name <- [p1, p2, p3]],
    {Ms, ok} = figure:within(4000, fun() -> application:stop(py) end),
    tap:note("stopped after ~.1f ms", [Ms]).

application_stop_stopping() ->
    {ok, _} = application:ensure_all_started(py),
    In = start(#{drain => 100}),
    Slow = slow(60, In),
    Self = self(),
    spawn_link(fun() -> Self ! {stopped, py:stop_pool(p, 5000)} end),
    timer:sleep(50),
    ?assertEqual(ok, application:stop(py)),
    ?assertEqual(ok, receive {stopped, Result} -> Result end),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)),
    ?assertEqual({error, {not_started, py}}, py:start_pool(p, #{})).
