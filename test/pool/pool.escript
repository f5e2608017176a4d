#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A pool under murder: whatever ends a worker, at any time, costs exactly the
%% requests that were with it, each of which is answered once; the others go
%% on and the pool is whole again. ROUNDS is the number of random kills.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(INIT, <<"import misbehave, os\nready = 'yes'">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 3, init => ?INIT}, [
        [dies(Row) || Row <- deaths()],
        {"kill -9 of an idle worker", fun kill_idle/0},
        {"kill -9 at any time loses only that worker's requests", 240_000, fun random_kills/0},
        {"every request is answered once", fun answered_once/0},
        {"kill of the Erlang process that owns a worker", fun kill_owner/0},
        {"init is replayed in a new worker, restarts are counted", fun replayed/0},
        {"what exec_all defined outlives the pool's own process", fun boss_dies/0},
        {"what exec_all defined outlives the pool's supervisor", fun supervisor_dies/0},
        {"what exec_all repeats is run once by a new worker", fun repeated/0},
        {"a worker that always dies at once is started less and less often", fun back_off/0},
        {"a caller's death cancels its request", fun caller_dies/0},
        {"a stubborn worker is ended after its deadline", fun stubborn/0},
        {"a slow call holds up no short ones", fun slow_beside_short/0},
        {"calls that last about a tick of the watch are all answered", fun about_a_tick/0},
        {"more requests than the queue takes", fun overload/0},
        {"a request waits no longer in the queue than its time limit", fun queue_limit/0},
        {"a worker stopped by SIGSTOP", fun frozen/0},
        {"more memory than there is", fun no_memory/0},
        {"ports and processes of the VM are as many as before", fun steady/0}
    ])).

%% ---------------------------------------------------------------------------

%% {What, module, function, arguments, why}
deaths() ->
    [{"kill -9 by itself", misbehave, kill_self, [9], {signal, sigkill}},
     {"a segmentation fault", ctypes, string_at, [0], {signal, sigsegv}},
     {"an abort", misbehave, abort, [], {signal, sigabrt}},
     {"os._exit(3)", misbehave, leave, [3], {status, 3}},
     {"os._exit(0)", misbehave, leave, [0], {status, 0}}].

dies({What, Module, Function, Args, Why}) ->
    {["the reason of a death: ", What], fun() ->
        {error, {worker_exit, Said}} = py:call(Module, Function, Args),
        ?assertEqual(Why, fixture:without_stack(Said)),
        whole()
    end}.

%% Waits until all three workers are there. (The pool may not have heard yet of
%% a program that is dead.)
whole() ->
    fixture:wait_until(fun() ->
        OsPids = fixture:os_pids(),
        length(OsPids) =:= 3 andalso lists:all(fun fixture:is_running/1, OsPids)
    end, 30_000),
    ?assertEqual({ok, <<"yes">>}, py:eval(<<"ready">>)).

%% Its supervisor starts it anew, with new workers.
boss_dies() ->
    ok = py:exec_all(<<"defined = 'by exec_all'">>),
    ok = py:tracemalloc_start(),
    {ok, Pool} = py_pool_board:find(default),
    {ok, Boss} = py_pool_board:pool(Pool),
    exit(Boss, kill),
    fixture:wait_until(fun() -> py_pool_board:pool(Pool) =/= {ok, Boss} end),
    whole(),
    [?assertEqual({ok, <<"by exec_all">>}, py:eval(<<"defined">>)) || _ <- lists:seq(1, 9)],
    ?assertMatch(#{traced_memory_current := _}, fixture:memory_stats(default)),
    ok = py:tracemalloc_stop().

%% Killed, and brought down by a process that dies again and again. After
%% stop_pool it is forgotten.
supervisor_dies() ->
    In = #{pool => p},
    {ok, Sup} = py:start_pool(p, #{size => 1}),
    ok = py:exec_all(<<"defined = 'by exec_all'">>, In),
    exit(Sup, kill),
    defined_again(Sup, In),
    Next = supervisor_of(p),
    kill_until_gone(Next),
    defined_again(Next, In),
    ok = py:stop_pool(p),
    {ok, _} = py:start_pool(p, #{size => 1}),
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"defined">>, #{}, In)),
    ok = py:stop_pool(p).

defined_again(Old, In) ->
    fixture:wait_until(fun() -> not lists:member(supervisor_of(p), [Old, restarting]) end),
    fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, In) =:= {ok, 1} end),
    ?assertEqual({ok, <<"by exec_all">>}, py:eval(<<"defined">>, #{}, In)).

supervisor_of(Pool) ->
    {_, Sup, _, _} = lists:keyfind({pool, Pool}, 1, supervisor:which_children(py_sup)),
    Sup.

kill_until_gone(Sup) ->
    {ok, Pool} = py_pool_board:find(p),
    case is_process_alive(Sup) andalso py_pool_board:pool(Pool) of
        {ok, Boss} -> exit(Boss, kill), timer:sleep(1), kill_until_gone(Sup);
        _ -> ok
    end.

repeated() ->
    In = #{pool => p},
    {ok, _} = py:start_pool(p, #{size => 1, init => <<"runs = 0">>}),
    [ok = py:exec_all(<<"runs += 1\nx = 1">>, In) || _ <- lists:seq(1, 10)],
    ok = py:exec_all(<<"y = x + 1\nx = 7">>, In),
    [ok = py:exec_all(<<"runs += 1\nx = 1">>, In) || _ <- lists:seq(1, 10)],
    ?assertEqual({ok, {20, 1, 2}}, py:eval(<<"(runs, x, y)">>, #{}, In)),
    ok = py:restart_workers(p),
    ?assertEqual({ok, {2, 1, 2}}, py:eval(<<"(runs, x, y)">>, #{}, In)),
    ok = py:stop_pool(p).

kill_idle() ->
    [OsPid | _] = fixture:os_pids(),
    fixture:kill("KILL", OsPid),
    %% Nobody was asking, so nobody is told.
    ?assertEqual(lists:duplicate(30, {ok, 1}), [py:eval(<<"1">>) || _ <- lists:seq(1, 30)]),
    whole().

%% Callers keep asking, a killer keeps killing. A worker has at most 8 requests
%% in flight, so a kill may fail 8; every other answer must be right.
random_kills() ->
    Rounds = list_to_integer(os:getenv("ROUNDS", "40")),
    rand:seed(exsss, {1, 2, 3}),
    Callers = [asker() || _ <- lists:seq(1, 12)],
    [begin
         timer:sleep(rand:uniform(200)),
         case fixture:os_pids() of
             [] -> ok;
             OsPids -> fixture:kill("KILL", lists:nth(rand:uniform(length(OsPids)), OsPids))
         end
     end || _ <- lists:seq(1, Rounds)],
    timer:sleep(200),
    Counts = [finish(Pid) || Pid <- Callers],
    {Right, Lost, Wrong} = sum(Counts),
    tap:note("~b kills: ~b answered, ~b lost with their worker, others: ~p",
             [Rounds, Right, Lost, Wrong]),
    ?assertEqual([], Wrong),
    ?assert(Lost =< 8 * Rounds),
    ?assert(Right > 100),
    whole().

asker() ->
    spawn_link(fun() -> ask(1, {0, 0, []}) end).

ask(N, Count) ->
    receive
        {finish, From} -> From ! {self(), Count}
    after 0 ->
        ask(N + 1, judge(N, request(N), Count))
    end.

request(N) when N rem 3 =:= 0 -> py:call(operator, mul, [N, 2]);
request(N) when N rem 3 =:= 1 -> py:eval(<<"n * 2">>, #{n => N});
request(N) -> py:call(misbehave, sleep_then, [0.005, N * 2]).

judge(N, {ok, Value}, {Right, Lost, Wrong}) when Value =:= N * 2 -> {Right + 1, Lost, Wrong};
judge(_, {error, {worker_exit, {signal, sigkill}}}, {Right, Lost, Wrong}) ->
    {Right, Lost + 1, Wrong};
%% The kernel has killed some other program of this machine for want of memory.
judge(_, {error, {worker_exit, oom}}, {Right, Lost, Wrong}) ->
    {Right, Lost + 1, Wrong};
judge(_, Other, {Right, Lost, Wrong}) -> {Right, Lost, [Other | Wrong]}.

finish(Pid) ->
    Pid ! {finish, self()},
    receive {Pid, Count} -> Count after 40_000 -> error({caller_hangs, process_info(Pid)}) end.

sum(Counts) ->
    {lists:sum([R || {R, _, _} <- Counts]), lists:sum([L || {_, L, _} <- Counts]),
     lists:append([W || {_, _, W} <- Counts])}.

%% Each request appends to a file: none may run twice, answered or not.
answered_once() ->
    Log = list_to_binary(filename:join(fixture:tmpdir(), "log")),
    ok = py:exec_all(["def note(n):\n"
                      "    fd = os.open('", Log, "', os.O_WRONLY|os.O_APPEND|os.O_CREAT)\n"
                      "    os.write(fd, b'%d\\n' % n)\n    os.close(fd)\n    return n\n"]),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), N, py:call('__main__', note, [N])} end)
            || N <- lists:seq(1, 500)],
    fixture:kill("KILL", hd(fixture:os_pids())),
    Answers = [receive {Pid, N, Result} -> {N, Result} end || Pid <- Pids],
    {ok, Text} = file:read_file(Log),
    Ran = [binary_to_integer(Line) || Line <- binary:split(Text, <<"\n">>, [global, trim])],
    ?assertEqual([], Ran -- lists:usort(Ran)),
    Done = [N || {N, {ok, M}} <- Answers, N =:= M],
    ?assertEqual([], Done -- Ran),
    [?assertMatch({error, {worker_exit, _}}, Result) || {_, Result} <- Answers,
                                                        element(1, Result) =/= ok],
    whole().

kill_owner() ->
    [#{pid := Pid, os_pid := OsPid} | _] = fixture:workers(),
    exit(Pid, kill),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    whole().

replayed() ->
    ok = py:exec_all(<<"later = 'defined later'">>),
    Restarts = fun() -> lists:sum([N || #{restarts := N} <- fixture:workers()]) end,
    Before = Restarts(),
    [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids()],
    fixture:wait_until(fun() -> Restarts() >= Before + 3 end),
    whole(),
    ?assertEqual({ok, <<"defined later">>}, py:eval(<<"later">>)).

%% Workers of this pool start well until a file says otherwise.
back_off() ->
    Dir = fixture:tmpdir(),
    Log = filename:join(Dir, "starts"),
    Init = lists:append(["import os\nwith open('", Log, "', 'a') as f: f.write('x')\n"
            "if os.path.exists('", Dir, "/broken'): os._exit(1)\n"]),
    {ok, _} = py:start_pool(shaky, #{size => 1, init => Init}),
    ok = file:write_file(filename:join(Dir, "broken"), <<>>),
    [fixture:kill("KILL", OsPid) || OsPid <- fixture:os_pids(shaky)],
    timer:sleep(3000),
    {ok, Starts} = file:read_file(Log),
    tap:note("~b starts in 3 s", [byte_size(Starts)]),
    ?assert(byte_size(Starts) >= 2),
    ?assert(byte_size(Starts) =< 20),
    %% Its callers get an error, not silence; the other pool is not touched.
    In = #{pool => shaky, timeout => 500},
    [?assertMatch({error, {python_start, <<"init, piece 1: the program ended: exit status 1">>}}, Why)
     || Why <- [py:eval(<<"1">>, #{}, In), py:exec_all(<<"1">>, In)]],
    ?assertEqual({ok, 1}, py:eval(<<"1">>)),
    ok = file:delete(filename:join(Dir, "broken")),
    fixture:wait_until(fun() ->
        py:eval(<<"1">>, #{}, In) =:= {ok, 1}
    end, 30_000),
    ?assertEqual({error, timeout}, py:eval(<<"__import__('time').sleep(9)">>, #{}, In)),
    ok = py:stop_pool(shaky).

%% ---------------------------------------------------------------------------

caller_dies() ->
    Log = list_to_binary(filename:join(fixture:tmpdir(), "log")),
    Code = <<"[misbehave.sleep(60), open(log, 'w').close()]">>,
    Caller = spawn(fun() -> py:eval(Code, #{log => Log}) end),
    fixture:wait_until(fun() -> not all_idle() end),
    exit(Caller, kill),
    fixture:wait_until(fun all_idle/0),
    ?assertEqual({error, enoent}, file:read_file_info(Log)),
    whole().

all_idle() ->
    lists:all(fun(#{state := State}) -> State =:= idle end, fixture:workers()).

stubborn() ->
    {_, Result} = figure:within(1000, fun() -> py:call(misbehave, stubborn, [], #{}, 200) end),
    ?assertEqual({error, timeout}, Result),
    %% Three workers' worth of stubbornness: all are replaced in the end.
    [{error, timeout} = py:call(misbehave, stubborn, [], #{}, 50) || _ <- [1, 2]],
    whole(),
    {_, Results} = figure:within(8000, fun() -> [py:call(misbehave, sleep, [0.1]) || _ <- [1, 2, 3]] end),
    ?assertEqual([{ok, 0.1}], lists:usort(Results)).

slow_beside_short() ->
    Slow = [py:spawn_call(misbehave, sleep, [2]) || _ <- [1, 2]],
    timer:sleep(50),
    {Ms, Answers} = figure:within(1000, fun() -> [py:eval(<<"1">>) || _ <- lists:seq(1, 200)] end),
    ?assertEqual([{ok, 1}], lists:usort(Answers)),
    tap:note("200 short calls beside two slow ones took ~.1f ms", [Ms]),
    [?assertEqual({ok, 2}, py:await(Ref)) || Ref <- Slow].

%% Where one thread takes over from another a request could get lost.
about_a_tick() ->
    Self = self(),
    Pids = [spawn_link(fun() ->
        Self ! {self(), [py:call(misbehave, sleep, [N / 1000], #{}, 30_000)
                         || _ <- lists:seq(1, 20), N <- lists:seq(7, 14)]}
    end) || _ <- lists:seq(1, 3)],
    Results = lists:append([receive {Pid, Answers} -> Answers end || Pid <- Pids]),
    ?assertEqual([], [Error || {error, _} = Error <- Results]),
    ?assertEqual(3 * 20 * 8, length(Results)).

overload() ->
    {ok, _} = py:start_pool(tight, #{size => 1, max_queue => 5,
                                python_path => [fixture:python_path()],
                                init => <<"import misbehave">>}),
    Refs = [py:spawn_call(misbehave, sleep, [0.3], #{}, #{pool => tight}) || _ <- lists:seq(1, 40)],
    Results = [py:await(Ref) || Ref <- Refs],
    Refused = [R || {error, {overloaded, InFlight, Max}} = R <- Results,
                    is_integer(InFlight), is_integer(Max)],
    Done = [R || {ok, 0.3} = R <- Results],
    tap:note("~b done, ~b refused", [length(Done), length(Refused)]),
    ?assertEqual(40, length(Refused) + length(Done)),
    ?assert(Refused =/= [] andalso Done =/= []),
    ok = py:stop_pool(tight).

queue_limit() ->
    {ok, _} = py:start_pool(tight, #{size => 1, python_path => [fixture:python_path()],
                                init => <<"import misbehave">>}),
    In = #{pool => tight, timeout => 3000},
    Refs = [py:spawn_call(misbehave, sleep, [2.0], #{}, In) || _ <- lists:seq(1, 20)],
    timer:sleep(50),
    {_, Result} = figure:within(600, fun() -> py:eval(<<"1">>, #{}, In#{timeout := 200}) end),
    ?assertEqual({error, timeout}, Result),
    Results = [py:await(Ref) || Ref <- Refs],
    ?assertEqual([{error, timeout}, {ok, 2.0}], lists:usort(Results)),
    ok = py:stop_pool(tight).

frozen() ->
    [OsPid | _] = fixture:os_pids(),
    fixture:kill("STOP", OsPid),
    Refs = [py:spawn_call(misbehave, sleep_then, [0.01, N], #{}, 2000) || N <- lists:seq(1, 30)],
    Results = [py:await(Ref) || Ref <- Refs],
    fixture:kill("CONT", OsPid),
    Late = fixture:count(fun(R) -> R =:= {error, timeout} end, Results),
    tap:note("~b of 30 were with the frozen worker", [Late]),
    ?assert(Late =< 8 + 2),
    ?assertEqual(30, Late + fixture:count(fun(R) -> element(1, R) =:= ok end, Results)),
    whole().

no_memory() ->
    ?assertMatch({error, {'MemoryError', _}}, py:eval(<<"bytearray(1 << 60)">>)),
    ?assertMatch({error, {'MemoryError', _}}, py:eval(<<"'x' * (1 << 60)">>)),
    whole().

steady() ->
    whole(),
    timer:sleep(200),
    Count = fun() -> {length(fixture:ports()), erlang:system_info(process_count)} end,
    {Ports, Processes} = Count(),
    [begin
         {error, {worker_exit, _}} = py:call(misbehave, kill_self, [9]),
         whole()
     end || _ <- lists:seq(1, 10)],
    fixture:wait_until(fun() ->
        {PortsNow, ProcessesNow} = Count(),
        {3, 3} =:= {Ports, PortsNow} andalso abs(ProcessesNow - Processes) =< 2
    end).
