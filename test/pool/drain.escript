#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drain: a pool that stops finishes what runs, up to a limit, refuses what is
%% new with a reason, and ends its workers politely.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-import(fixture, [start_p/1, slow_call/2]).

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
            {"stop_pool with an invalid limit", fun bad_limit/0}
        ]),
        {"application:stop lets running work finish", fun application_stop/0},
        {"application:stop ends what does not", fun application_stop_limit/0},
        {"application:stop ends all pools at the same time", fun application_stop_pools/0},
        {"application:stop while stop_pool waits", fun application_stop_stopping/0}
    ]).

finishes() ->
    In = start_p(#{}),
    Slow = slow_call(0.5, In),
    {_, Stopped} = figure:within(3000, fun() -> py:stop_pool(p, 5000) end),
    ?assertEqual(ok, Stopped),
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)),
    ?assertEqual({error, {no_pool, p}}, py:eval(<<"1">>, #{}, In)).

waiting_finishes() ->
    In = start_p(#{}),
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
    In = start_p(#{}),
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
    In = start_p(#{}),
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
    In = start_p(#{}),
    OsPids = fixture:os_pids(p),
    Slow = slow_call(60, In),
    {Ms, Stopped} = figure:within(2500, fun() -> py:stop_pool(p, 300) end),
    ?assertEqual(ok, Stopped),
    tap:note("stopped after ~.1f ms, with a limit of 300", [Ms]),
    ?assert(Ms >= 299),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)),
    ?assertEqual([], lists:filter(fun fixture:is_running/1, OsPids)).

drain_option() ->
    In = start_p(#{drain => 200}),
    Slow = slow_call(60, In),
    {Ms, Stopped} = figure:within(2400, fun() -> py:stop_pool(p) end),
    ?assertEqual(ok, Stopped),
    ?assert(Ms >= 199),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)).

idle() ->
    _ = start_p(#{size => 2}),
    {Ms, Stopped} = figure:within(1500, fun() -> py:stop_pool(p, 5000) end),
    ?assertEqual(ok, Stopped),
    tap:note("stopped after ~.1f ms", [Ms]).

refuses() ->
    In = start_p(#{}),
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
    Ticket = prepared(start_p(#{})),
    ?assertEqual(ok, py:stop_pool(p)),
    ?assertEqual({none, {error, {stopping, p}}}, py_request:go(Ticket)).

%% One worker is done, and the pool waits for the other.
late_sealed() ->
    In = start_p(#{size => 2}),
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
    In = start_p(#{}),
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
    In = start_p(#{}),
    ok = py:exec(<<"mine = 1">>, In),
    Ticket = prepared(In),
    ?assertEqual(ok, py:stop_pool(p)),
    ?assertMatch({_, {error, {stopping, p}}}, py_request:go(Ticket)),
    ok = py:unbind(p).

replaced_finishes() ->
    In = start_p(#{drain => 60_000}),
    Held = fixture:hold(In),
    ?assertEqual(ok, py:restart_workers(p)),
    Stopper = stopper(),
    fixture:wait_until(fun() -> is_stopping(In) end),
    timer:sleep(100),       % it would have ended by now
    ?assertEqual({ok, <<"finished">>}, fixture:release(Held)),
    ?assertEqual(ok, receive {Stopper, Result} -> Result end).

twice() ->
    In = start_p(#{}),
    Slow = slow_call(0.3, In),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), py:stop_pool(p, 5000)} end) || _ <- [1, 2]],
    Results = [receive {Pid, Result} -> Result end || Pid <- Pids],
    ?assert(lists:member(ok, Results)),
    [?assert(R =:= ok orelse R =:= {error, {no_pool, p}} orelse R =:= {error, {stopping, p}})
     || R <- Results],
    ?assertEqual({ok, <<"finished">>}, py:await(Slow)).

politely() ->
    In = start_p(#{}),
    File = filename:join(fixture:tmpdir(), "said"),
    {ok, none} = py:call(wedge, write_in_the_end, [list_to_binary(File), <<"goodbye">>], #{}, In),
    ?assertEqual(ok, py:stop_pool(p, 5000)),
    ?assertEqual({ok, <<"goodbye">>}, file:read_file(File)).

again() ->
    [begin
         In = start_p(#{}),
         ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
         ?assertEqual(ok, py:stop_pool(p, 1000))
     end || _ <- [1, 2, 3]].

bad_limit() ->
    [?assertError(badarg, py:stop_pool(p, Limit)) || Limit <- [-1, soon, 1.5]],
    ?assertEqual({error, {no_pool, p}}, py:stop_pool(p, 100)).

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
    Slow = slow_call(Seconds, #{}),
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
    In = start_p(#{drain => 100}),
    Slow = slow_call(60, In),
    Self = self(),
    spawn_link(fun() -> Self ! {stopped, py:stop_pool(p, 5000)} end),
    timer:sleep(50),
    ?assertEqual(ok, application:stop(py)),
    ?assertEqual(ok, receive {stopped, Result} -> Result end),
    ?assertMatch({error, {worker_exit, _}}, py:await(Slow)),
    ?assertEqual({error, {not_started, py}}, py:start_pool(p, #{})).
