%% SPDX-License-Identifier: Apache-2.0
%%
%% The property of a pool: whatever happens to its workers, in whatever order, its
%% size is what it was in the end, and no request waits for ever.
-module(pool_lives).

-export([prop/0]).

-import(generate, [some/2, weighted/1]).

-define(POOL, lives).
-define(SIZE, 2).
-define(MIB, 1048576).
%% How long a request may take (ms), and how long after the last one of them the
%% pool may take to be whole.
-define(LIMIT, 20_000).

-spec prop() -> term().
prop() ->
    generate:forall(some(25, event()), {fun holds/1, fun explain/1}).

event() ->
    weighted([{6, call}, {3, calls}, {2, slow}, {2, stream}, {2, bound}, {2, too_much}, {2, leak},
              {1, crash}, {1, kill_program}, {1, kill_worker}, {1, restart}, {1, set_memory},
              {1, define}, {1, pause}, {1, kill_pool}]).

holds(Events) ->
    start(),
    try
        Refs = lists:append([happens(Event) || Event <- Events]),
        lists:all(fun is_answered/1, Refs) andalso is_whole()
    catch
        Class:Reason:Stack ->
            tap:note("~0p", [{Class, Reason, Stack}]),
            false
    after
        ok = py:stop_pool(?POOL)
    end.

explain(Events) ->
    tap:note("~0p", [Events]).

start() ->
    _ = py:stop_pool(?POOL, 0),
    {ok, _} = py:start_pool(?POOL, #{size => ?SIZE, python_path => [fixture:python_path()],
                                     init => <<"import glutton, os, time">>, timeout => 5_000,
                                     drain => 200,
                                     recycle => #{calls => 6, growth => 30 * ?MIB, age => 5_000,
                                                  memory_errors => 1}}).

in() -> #{pool => ?POOL}.

%% ---------------------------------------------------------------------------
%% What may happen: the requests of it that are under way

happens(call) -> [request(fun() -> py:eval(<<"1 + 1">>, #{}, in()) end)];
happens(calls) -> [Ref || _ <- lists:seq(1, 12), Ref <- happens(call)];
happens(slow) -> [request(fun() -> py:eval(<<"time.sleep(0.3)">>, #{}, in()) end)];
happens(stream) -> [request(fun stream/0)];
happens(bound) -> [request(fun bound/0)];
happens(too_much) -> [request(fun() -> py:call(glutton, too_much, [], #{}, in()) end)];
happens(leak) -> [request(fun() -> py:call(glutton, leak, [40 * ?MIB], #{}, in()) end)];
happens(crash) -> [request(fun() -> py:call(os, '_exit', [3], #{}, in()) end)];
happens(restart) -> [request(fun() -> py:restart_workers(?POOL) end)];
happens(set_memory) -> [request(fun() -> py:set_memory(?POOL, #{files => 200}) end)];
happens(define) -> [request(fun() -> py:exec_all(<<"a = 1">>, in()) end)];
happens(pause) -> timer:sleep(150), [];
happens(kill_program) -> lists:foreach(fun kill_program/1, one(os_pids())), [];
happens(kill_worker) -> [exit(Pid, kill) || Pid <- one(workers())], [];
happens(kill_pool) -> [exit(Pid, kill) || {ok, Pid} <- [py_pool_board:pool(pool())]], [].

%% Its worker may notice later.
kill_program(OsPid) ->
    fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).

%% Those of the workers that are ready; none while the pool is started anew.
os_pids() ->
    case py:info(?POOL) of
        #{workers := Workers} -> [OsPid || #{os_pid := OsPid} <- Workers, is_integer(OsPid)];
        {error, _} -> []
    end.

one([]) -> [];
one(List) -> [lists:nth(rand:uniform(length(List)), List)].

pool() ->
    {ok, Pool} = py_pool_board:find(?POOL),
    Pool.

%% Those of the pool that are there, also those that start, wait or retire.
workers() ->
    case py_pool_board:workers_sup(pool()) of
        {ok, Sup} -> try py_worker_sup:workers(Sup) catch exit:_ -> [] end;
        {error, _} -> []
    end.

stream() ->
    case py:stream_open({eval, <<"range(50)">>, #{}}, (in())#{chunk => 5}) of
        {ok, Stream} -> rest(Stream);
        {error, _} = Error -> Error
    end.

rest(Stream) ->
    case py:stream_next(Stream) of
        {ok, _} -> timer:sleep(5), rest(Stream);
        Last -> Last
    end.

bound() ->
    _ = py:exec(<<"b = 1">>, in()),
    timer:sleep(50),
    py:eval(<<"b">>, #{}, in()).

request(Fun) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({answer, Fun()}) end),
    {Pid, Ref}.

%% ---------------------------------------------------------------------------
%% What has to hold

is_answered({Pid, Ref}) ->
    receive
        {'DOWN', Ref, process, Pid, {answer, _}} -> true;
        {'DOWN', Ref, process, Pid, Reason} -> tap:note("~0p", [Reason]), false
    after ?LIMIT ->
        tap:note("waits: ~0p", [process_info(Pid, current_stacktrace)]),
        false
    end.

is_whole() ->
    try
        %% Nobody may have noticed yet that a program was killed just now.
        fixture:wait_until(fun() ->
            length([OsPid || OsPid <- os_pids(), fixture:is_running(OsPid)]) =:= ?SIZE
        end, ?LIMIT),
        Calls = [request(fun() -> {ok, 2} = py:eval(<<"1 + 1">>, #{}, in()) end)
                 || _ <- lists:seq(1, 4 * ?SIZE)],
        Answered = lists:all(fun is_answered/1, Calls),
        %% Apart from them there are only successors that wait.
        fixture:wait_until(fun() -> length(workers()) =< 2 * ?SIZE end, ?LIMIT),
        #{size := ?SIZE, workers := Workers} = py:info(?POOL),
        Answered andalso length(Workers) =:= ?SIZE
    catch
        error:{never_came_true, _} ->
            tap:note("~0p~n~0p", [py:info(?POOL), workers()]),
            false
    end.
