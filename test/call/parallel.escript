#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% parallel: many calls at once, each with its own result, one by one or in chunks.
%% Whatever happens to a chunk, each of its calls runs at most once.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import misbehave, raiser">>}, [
        {"parallel keeps the order", fun parallel_order/0},
        {"parallel uses all workers", fun parallel_is_parallel/0},
        {"parallel with keyword arguments", fun parallel_kwargs/0},
        {"parallel of nothing", fun parallel_empty/0},
        {"parallel with errors", fun parallel_errors/0},
        {"parallel with a crash", fun parallel_crash/0},
        {"parallel of a thousand", fun parallel_many/0},
        {"chunks of any size", fun sizes/0},
        {"in a chunk each call has its own error", fun errors/0},
        {"large values in chunks", fun large/0},
        {"long calls of a chunk go to all workers", fun long/0},
        {"a long call holds up none of its chunk", fun held_up/0},
        {"a call whose time is up is one of its chunk", fun late/0},
        {"a worker's death fails what it ran, and nothing twice", fun death/0},
        {"a restart beside chunks", fun restart/0},
        {"the caller's death cancels its chunks", fun caller_dies/0},
        {"a queue that is full holds chunks back", fun no_queue/0},
        {"chunks beside other callers", fun others/0},
        {"a call on its way to a worker that a chunk fills", fun on_its_way/0},
        {"coroutines run beside each other, as many as may", fun coroutines/0},
        {"on all workers, each with its own result", fun coroutine_results/0},
        {"ordinary calls behind coroutines do not pile up", fun behind_coroutines/0},
        {"a queue that is full holds coroutines back", fun coroutines_no_queue/0},
        {"one that others fill refuses all coroutines, or none", fun coroutines_or_none/0},
        {"coroutines of an object are not all under way", fun coroutines_of_object/0},
        {"the caller's death cancels its coroutines", fun coroutines_caller_dies/0},
        {"a worker's death fails all that it awaits", fun coroutines_death/0}
    ])).

parallel_order() ->
    Calls = [{misbehave, sleep_then, [(10 - N) / 200, N]} || N <- lists:seq(1, 10)],
    ?assertEqual({ok, lists:seq(1, 10)}, py:parallel(Calls)).

parallel_is_parallel() ->
    Both = [{misbehave, sleep, [0.4]} || _ <- [1, 2]],
    {_, {ok, _}} = figure:within(700, fun() -> py:parallel(Both) end).

parallel_kwargs() ->
    ?assertEqual({ok, [#{<<"a">> => 1}, 2.0]},
                 py:parallel([{builtins, dict, [], #{a => 1}}, {math, sqrt, [4]}])).

parallel_empty() ->
    ?assertEqual({ok, []}, py:parallel([])).

parallel_errors() ->
    ?assertMatch({error, [{ok, 2.0}, {error, {'ValueError', _}}, {ok, 3.0},
                          {error, {'ModuleNotFoundError', _}}]},
                 py:parallel([{math, sqrt, [4]}, {math, sqrt, [-1]}, {math, sqrt, [9]},
                              {no_such_module, f, []}])).

%% A worker that dies takes its own calls with it; the others come home.
parallel_crash() ->
    [begin
         Calls = [{misbehave, sleep_then, [0.2, 1]}, {misbehave, Function, Args}],
         {error, Results} = py:parallel(Calls),
         [{ok, 1}, {error, {worker_exit, Said}}] = Results,
         ?assertEqual(Why, fixture:without_stack(Said)),
         fixture:wait_until(fun() -> length(fixture:os_pids()) =:= 2 end)
     end || {Function, Args, Why} <- [{kill_self, [9], {signal, sigkill}},
                                      {segfault, [], {signal, sigsegv}},
                                      {leave, [3], {status, 3}}]].

parallel_many() ->
    Calls = [{operator, mul, [N, N]} || N <- lists:seq(1, 1000)],
    ?assertEqual({ok, [N * N || N <- lists:seq(1, 1000)]}, py:parallel(Calls)).

%% ---------------------------------------------------------------------------
%% In chunks

sizes() ->
    Calls = [{operator, mul, [N, N]} || N <- lists:seq(1, 3000)],
    Squares = {ok, [N * N || N <- lists:seq(1, 3000)]},
    [?assertEqual(Squares, py:parallel(Calls, #{chunk => Size})) || Size <- [2, 7, 100, 1000, 1000000]],
    ?assertEqual({ok, []}, py:parallel([], #{chunk => 10})),
    ?assertEqual({ok, [4]}, py:parallel([{operator, mul, [2, 2]}], #{chunk => 10})),
    ?assertError(badarg, py:parallel(Calls, #{chunk => 0})).

errors() ->
    Calls = [{math, sqrt, [N]} || N <- lists:seq(-50, 49)],
    {error, Results} = py:parallel(Calls, #{chunk => 50}),
    {Below, Above} = lists:split(50, Results),
    [?assertMatch({error, {'ValueError', _}}, Result) || Result <- Below],
    [?assertMatch({ok, _}, Result) || Result <- Above].

large() ->
    Calls = [{builtins, len, [binary:copy(<<"x">>, N * 10_000)]} || N <- lists:seq(1, 40)],
    ?assertEqual({ok, [N * 10_000 || N <- lists:seq(1, 40)]}, py:parallel(Calls, #{chunk => 40})).

%% Both come in the same chunk, to the same worker.
long() ->
    Short = lists:duplicate(38, {operator, add, [1, 1]}),
    {_, {ok, _}} = figure:within(700, fun() ->
        py:parallel([{misbehave, sleep, [0.4]}, {misbehave, sleep, [0.4]} | Short], #{chunk => 10})
    end).

%% All others have been done when the long one is in the middle.
held_up() ->
    Dir = fixture:tmpdir(),
    Touch = fun(N) -> list_to_binary(filename:join(Dir, integer_to_list(N))) end,
    Calls = [{misbehave, sleep_then, [1.0, 0]}
             | [{misbehave, sleep_then_write, [0, Touch(N)]} || N <- lists:seq(1, 39)]],
    Test = self(),
    Pid = spawn_link(fun() -> Test ! {self(), py:parallel(Calls, #{chunk => 40})} end),
    figure:within(700, fun() ->
        fixture:wait_until(fun() -> length(element(2, file:list_dir(Dir))) =:= 39 end)
    end),
    receive {Pid, Result} -> ?assertMatch({ok, [0, none | _]}, Result) end.

late() ->
    Calls = [case N of 5 -> {misbehave, sleep, [30]}; _ -> {operator, add, [N, 0]} end
             || N <- lists:seq(1, 40)],
    {error, Results} = py:parallel(Calls, #{chunk => 10, timeout => 500}),
    ?assertEqual([case N of 5 -> {error, timeout}; _ -> {ok, N} end || N <- lists:seq(1, 40)], Results).

%% Each call leaves its mark in a file before it is answered.
death() ->
    File = filename:join(fixture:tmpdir(), "ran"),
    {ok, _} = py:eval(<<"open(path, 'w').close()">>, #{path => list_to_binary(File)}),
    ok = py:exec_all(["def leave_mark(path, n):\n"
                      "    with open(path, 'a') as f:\n"
                      "        f.write(f'{n}\\n')\n"
                      "    if n % 50 == 25:\n"
                      "        misbehave.kill_self()\n"
                      "    return n\n"]),
    Calls = [{'__main__', leave_mark, [list_to_binary(File), N]} || N <- lists:seq(1, 200)],
    {error, Results} = py:parallel(Calls, #{chunk => 100, timeout => 30_000}),
    [?assertMatch({error, {worker_exit, {signal, sigkill}}}, lists:nth(N, Results))
     || N <- [25, 75, 125, 175]],
    ?assertEqual([N || N <- lists:seq(1, 200), N rem 50 =/= 25], [N || {ok, N} <- Results]),
    {ok, Ran} = file:read_file(File),
    ?assertEqual(lists:seq(1, 200),
                 lists:sort([binary_to_integer(Line) || Line <- binary:split(Ran, <<"\n">>, [global, trim])])),
    fixture:wait_until(fun() -> length(fixture:os_pids()) =:= 2 end).

restart() ->
    Test = self(),
    Calls = [{misbehave, sleep_then, [0.001, N]} || N <- lists:seq(1, 1000)],
    Pid = spawn_link(fun() -> Test ! {self(), py:parallel(Calls, #{chunk => 100})} end),
    ok = py:restart_workers(default),
    receive {Pid, Result} -> ?assertEqual({ok, lists:seq(1, 1000)}, Result) end.

caller_dies() ->
    Calls = lists:duplicate(1000, {misbehave, sleep, [0.5]}),
    {Pid, Monitor} = spawn_monitor(fun() -> py:parallel(Calls, #{chunk => 100}) end),
    fixture:wait_until(fun() -> not all_idle() end),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, killed} -> ok end,
    fixture:wait_until(fun all_idle/0),
    ?assertEqual({ok, [1, 1]}, py:parallel([{operator, add, [1, 0]}, {operator, add, [1, 0]}])).

all_idle() ->
    lists:all(fun(#{state := State}) -> State =:= idle end, fixture:workers()).

no_queue() ->
    {ok, _} = py:start_pool(narrow, #{size => 1, max_queue => 0}),
    fixture:wait_until(fun() -> py:eval(<<"1">>, #{}, #{pool => narrow}) =:= {ok, 1} end),
    Calls = [{operator, add, [N, 0]} || N <- lists:seq(1, 1000)],
    ?assertEqual({ok, lists:seq(1, 1000)}, py:parallel(Calls, #{chunk => 100, pool => narrow})),
    ok = py:stop_pool(narrow).

%% Nobody is forgotten.
others() ->
    Calls = [{operator, add, [N, 0]} || N <- lists:seq(1, 2000)],
    Test = self(),
    Pids = [spawn_link(fun() -> Test ! {self(), py:parallel(Calls, #{chunk => 100})} end)
            || _ <- lists:seq(1, 5)],
    [?assertEqual({ok, N}, py:call(operator, add, [N, 0])) || N <- lists:seq(1, 200)],
    [receive {Pid, Result} -> ?assertEqual({ok, lists:seq(1, 2000)}, Result) end || Pid <- Pids].

%% Its caller has seen a worker with room, and the chunk came there first.
on_its_way() ->
    {ok, _} = py:start_pool(narrow, #{size => 1, max_queue => 1}),
    [{_, Worker, _}] = py_pool_board:with_pool(narrow, fun py_pool_board:workers/1),
    ok = sys:suspend(Worker),
    Calls = [{operator, add, [N, 0]} || N <- lists:seq(1, 200)],
    Many = asks(Worker, 2, fun() -> py:parallel(Calls, #{chunk => 100, pool => narrow}) end),
    One = asks(Worker, 3, fun() -> py:call(operator, add, [1, 1], #{}, #{pool => narrow}) end),
    ok = sys:resume(Worker),
    ?assertEqual({ok, lists:seq(1, 200)}, Many()),
    ?assertEqual({ok, 2}, One()),
    ok = py:stop_pool(narrow).

%% Runs the fun until that many messages wait for the worker: what awaits its result.
asks(Worker, Count, Fun) ->
    Test = self(),
    Pid = spawn_link(fun() -> Test ! {self(), Fun()} end),
    fixture:wait_until(fun() -> queued(Worker) >= Count end),
    fun() -> receive {Pid, Result} -> Result end end.

queued(Pid) ->
    element(2, process_info(Pid, message_queue_len)).

%% ---------------------------------------------------------------------------
%% Coroutines

in_pool(Options, Fun) ->
    {ok, _} = py:start_pool(aside, maps:merge(#{size => 1, concurrency => 50, python_path => [fixture:python_path()],
                                                init => <<"import waits, misbehave, time, os">>}, Options)),
    try Fun(#{pool => aside}) after ok = py:stop_pool(aside) end.

%% Three rounds of 50 that take 100 ms each; one after the other they would take 15 s.
coroutines() ->
    in_pool(#{}, fun(In) ->
        Calls = lists:duplicate(150, {waits, count, [0.1]}),
        {_, {ok, _}} = figure:within(600, fun() -> py:parallel(Calls, In) end),
        ?assertEqual({ok, {150, 50}}, py:eval("(waits.begun, waits.most)", #{}, In))
    end).

coroutine_results() ->
    in_pool(#{size => 2, concurrency => 20}, fun(In) ->
        Calls = [case N rem 3 of
                     0 -> {waits, fail, [N]};
                     1 -> {waits, echo, [N, 0.02]};
                     2 -> {misbehave, sleep_then, [0, N]}
                 end || N <- lists:seq(1, 100)],
        {error, Results} = py:parallel(Calls, In),
        [case N rem 3 of
             0 -> ?assertMatch({error, {'ValueError', _}}, Result);
             _ -> ?assertEqual({ok, N}, Result)
         end || {N, Result} <- lists:zip(lists:seq(1, 100), Results)],
        {ok, Pids} = py:parallel([{builtins, eval, [<<"__import__('waits').echo(__import__('os').getpid(), 0.05)">>]}
                                  || _ <- lists:seq(1, 20)], In),
        ?assertEqual(2, length(lists:usort(Pids)))
    end).

%% All 30 coroutines are awaited while the calls behind them come to the worker two by two.
behind_coroutines() ->
    in_pool(#{}, fun(In) ->
        Calls = lists:duplicate(30, {waits, echo, [1, 0.3]}) ++ lists:duplicate(20, {time, sleep, [0.02]}),
        {Pid, Ref} = spawn_monitor(fun() -> {ok, _} = py:parallel(Calls, In) end),
        Most = most_in_turn(Pid, Ref, {0, 0}),
        ?assertEqual({30, 2}, Most)
    end).

most_in_turn(Pid, Ref, {Aside, Turn}) ->
    [#{in_flight := N, awaited := Awaited}] = maps:get(workers, py:info(aside)),
    Most = {max(Awaited, Aside), max(N - Awaited, Turn)},
    receive {'DOWN', Ref, process, Pid, normal} -> Most after 2 -> most_in_turn(Pid, Ref, Most) end.

coroutines_no_queue() ->
    in_pool(#{max_queue => 0, concurrency => 3}, fun(In) ->
        fixture:wait_until(fun() -> {ok, 1} =:= py:call(waits, echo, [1], #{}, In) end),
        ?assertEqual({ok, lists:seq(1, 30)}, py:parallel([{waits, echo, [N, 0.01]} || N <- lists:seq(1, 30)], In))
    end).

%% What has a place keeps it, whatever comes first: that one is over, or that another was
%% refused.
coroutines_or_none() ->
    in_pool(#{max_queue => 1, concurrency => 3}, fun(In) ->
        Others = [spawn_link(fun() -> wait_for_ever(In) end) || _ <- [1, 2, 3, 4]],
        Calls = lists:duplicate(40, {waits, echo, [1]}),
        [case py:parallel(Calls, In) of
             {ok, _} -> ok;
             {error, Results} -> ?assertEqual([], [V || {ok, V} <- Results])
         end || _ <- lists:seq(1, 150)],
        [begin unlink(Pid), exit(Pid, kill) end || Pid <- Others]
    end).

wait_for_ever(In) ->
    _ = py:call(waits, echo, [1, 0.002], #{}, In),
    wait_for_ever(In).

%% Its worker has to take them all, however many it awaits.
coroutines_of_object() ->
    in_pool(#{concurrency => 5}, fun(In) ->
        {ok, Object} = py:eval("waits", #{}, In#{return => handle}),
        Calls = lists:duplicate(100, {Object, echo, [1, 0.02]}),
        {Pid, Ref} = spawn_monitor(fun() -> {ok, _} = py:parallel(Calls, In) end),
        ?assertMatch({Aside, Turn} when Aside =< 8 andalso Turn =< 2, most_in_turn(Pid, Ref, {0, 0}))
    end).

awaited() -> [N || #{awaited := N} <- maps:get(workers, py:info(aside))].

coroutines_caller_dies() ->
    in_pool(#{}, fun(In) ->
        Pid = spawn(fun() -> py:parallel(lists:duplicate(100, {waits, echo, [1, 60]}), In) end),
        fixture:wait_until(fun() -> awaited() =:= [50] end),
        exit(Pid, kill),
        fixture:wait_until(fun() -> awaited() =:= [0] end)
    end).

coroutines_death() ->
    in_pool(#{}, fun(In) ->
        Calls = lists:duplicate(10, {waits, echo, [1, 60]}) ++ [{waits, count, [0.05]}, {os, '_exit', [3]}],
        {error, Results} = py:parallel(Calls, In),
        ?assertEqual({12, 12}, {length(Results), length([R || {error, {worker_exit, {status, 3}}} = R <- Results]
                                                        ++ [R || {ok, none} = R <- Results])})
    end).
