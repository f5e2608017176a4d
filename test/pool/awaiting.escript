#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Workers that await coroutines: how many, and what becomes of these when the worker
%% dies, is replaced, its pool stops, or its loop is held up.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(GRACE, 300).

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, [
        {"no more than `concurrency' at a time", fun bound/0},
        {"nor of a process that is bound, whose ordinary calls go on", fun bound_process/0},
        {"what waits for its turn is cancelled before it begins", fun waits/0},
        {"the worker dies: each hears it, and none runs again", fun dies/0},
        {"a restart waits for what is awaited", fun restart/0},
        {"a restart that cannot wait", fun restart_late/0},
        {"a recycled worker has time for what it awaits", fun recycled/0},
        {"a MemoryError counts, and what else is awaited goes on", fun memory_error/0},
        {"a MemoryError in a stream is that stream's", fun memory_error_in_stream/0},
        {"nor of anything that is answered beside it", fun memory_error_beside/0},
        {"the pool stops: what is awaited has until `drain'", fun stops/0},
        {"the pool stops and cannot wait: finally blocks run", fun stops_late/0},
        {"the loop is held up: the worker is replaced, and says where", fun blocked/0},
        {"it is held up by code that keeps the GIL", fun blocked_gil/0},
        {"it is held up, but nobody is out of time", fun slow/0},
        {"it is held up for less than the grace", fun short/0}
    ])).

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(p, maps:merge(#{size => 1, python_path => [fixture:python_path()],
                                            interrupt_grace => ?GRACE, init => <<"import waits">>}, Options)),
    Result = Fun(),
    ok = case py:stop_pool(p) of {error, {no_pool, p}} -> ok; Stopped -> Stopped end,
    Result.

call(Function, Args) -> call(Function, Args, #{}).
call(Function, Args, Options) -> py:call(waits, Function, Args, #{}, Options#{pool => p}).
start(Function, Args) -> start(Function, Args, #{}).
start(Function, Args, Options) -> py:spawn_call(waits, Function, Args, #{}, Options#{pool => p}).
eval(Code) -> py:eval(Code, #{}, #{pool => p}).

until_awaited(N) ->
    fixture:wait_until(fun() -> [N] =:= [maps:get(awaited, Worker, down) || Worker <- fixture:workers(p)] end).

file() -> filename:join(fixture:tmpdir(), "how").

how(File) ->
    fixture:wait_until(fun() -> filelib:file_size(File) > 0 end),
    element(2, {ok, _} = file:read_file(File)).

%% ---------------------------------------------------------------------------

bound() ->
    with_pool(#{concurrency => 3}, fun() ->
        Refs = [start(count, [0.05]) || _ <- lists:seq(1, 30)],
        [?assertEqual({ok, none}, py:await(Ref)) || Ref <- Refs],
        ?assertEqual({ok, {30, 3}}, eval("(waits.begun, waits.most)"))
    end).

bound_process() ->
    with_pool(#{concurrency => 3}, fun() ->
        ok = py:exec("x = 1", #{}, #{pool => p}),
        Refs = [start(count, [0.3]) || _ <- lists:seq(1, 6)],
        until_awaited(6),
        ?assertEqual({ok, {3, 1}}, eval("(waits.now, x)")),
        [?assertEqual({ok, none}, py:await(Ref)) || Ref <- Refs],
        ?assertEqual({ok, {6, 3}}, eval("(waits.begun, waits.most)")),
        py:unbind(p)
    end).

waits() ->
    with_pool(#{concurrency => 1}, fun() ->
        ok = py:exec("x = 1", #{}, #{pool => p}),
        First = start(echo, [1, 0.5]),
        until_awaited(1),
        Late = start(count, [0], #{timeout => 100}),
        Cancelled = start(count, [0]),
        until_awaited(3),
        ok = py:cancel(Cancelled),
        ?assertEqual({error, cancelled}, py:await(Cancelled)),
        ?assertEqual({error, timeout}, py:await(Late)),
        ?assertEqual({ok, 1}, py:await(First)),
        ?assertEqual({ok, 0}, eval("waits.begun")),
        py:unbind(p)
    end).

%% ---------------------------------------------------------------------------

dies() ->
    with_pool(#{}, fun() ->
        Files = [file() || _ <- lists:seq(1, 10)],
        Refs = [start(confess, [list_to_binary(File), 60]) || File <- Files],
        until_awaited(10),
        [fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end) || File <- Files],
        [ok = file:delete(File ++ ".started") || File <- Files],
        ?assertEqual({error, {worker_exit, {status, 7}}}, py:call(os, '_exit', [7], #{}, #{pool => p})),
        [?assertEqual({error, {worker_exit, {status, 7}}}, py:await(Ref)) || Ref <- Refs],
        ?assertEqual({ok, 1}, call(echo, [1])),
        ?assertNot(lists:any(fun filelib:is_file/1, [File ++ ".started" || File <- Files]))
    end).

restart() ->
    with_pool(#{drain => 30_000}, fun() ->
        Ref = start(echo, [1, 0.5]),
        until_awaited(1),
        [Before] = fixture:os_pids(p),
        ok = py:restart_workers(p),
        {ok, Pid} = py:call(os, getpid, [], #{}, #{pool => p}),
        ?assertNotEqual(Before, Pid),
        ?assertEqual({ok, 1}, py:await(Ref))
    end).

restart_late() ->
    with_pool(#{drain => 100}, fun() ->
        File = file(),
        Ref = start(confess, [list_to_binary(File), 60]),
        until_awaited(1),
        ok = py:restart_workers(p),
        ?assertEqual({error, {worker_exit, restarted}}, py:await(Ref)),
        ?assertEqual(<<"CancelledError">>, how(File))
    end).

recycled() ->
    with_pool(#{recycle => #{calls => 4, jitter => 0}}, fun() ->
        Refs = [start(echo, [N, 0.3]) || N <- lists:seq(1, 40)],
        [?assertEqual({ok, N}, py:await(Ref)) || {N, Ref} <- lists:enumerate(Refs)]
    end).

memory_error() ->
    with_pool(#{recycle => #{memory_errors => 2}, init => <<"import os, waits, glutton">>}, fun() ->
        Bad = fun(Options) -> py:call(glutton, too_much_later, [], #{}, Options#{pool => p}) end,
        {ok, OsPid} = eval("os.getpid()"),
        Other = py:spawn_call(asyncio, sleep, [0.3, other], #{}, #{pool => p}),
        [?assertMatch({error, {'MemoryError', _}}, Bad(Options)) || Options <- [#{recycle => false}, #{recycle => false}, #{}]],
        ?assertEqual({ok, OsPid}, eval("os.getpid()")),
        ?assertMatch({error, {'MemoryError', _}}, Bad(#{})),
        until_replaced(OsPid),
        ?assertMatch(#{recycled := #{memory_errors := 1}}, py:info(p)),
        ?assertEqual({ok, other}, py:await(Other))
    end).

%% Whoever has lately been answered has nothing to do with it.
memory_error_in_stream() ->
    with_pool(#{recycle => #{memory_errors => 1}}, fun() ->
        Fails = fun(Name, Options, Other) ->
            {ok, Stream} = py:stream_open({waits, out_of_memory, [Name]}, Options#{pool => p}),
            {ok, [1]} = py:stream_next(Stream),
            {ok, none} = call(open_gate, [Name], Other),
            ?assertMatch({error, {'MemoryError', _}}, py:stream_next(Stream))
        end,
        {ok, OsPid} = eval("waits.os.getpid()"),
        Fails(a, #{recycle => false}, #{}),
        ?assertEqual({ok, OsPid}, eval("waits.os.getpid()")),
        Fails(b, #{}, #{recycle => false}),
        until_replaced(OsPid)
    end).

%% What is asked at once may have begun before the program says that it has run out.
until_replaced(OsPid) -> fixture:wait_until(fun() -> {ok, OsPid} =/= eval("__import__('os').getpid()") end).

%% None of those that fail counts, and none of those that would count fails.
memory_error_beside() ->
    with_pool(#{recycle => #{memory_errors => 1}, init => <<"import waits, glutton">>}, fun() ->
        Others = [spawn_link(fun Go() -> {ok, _} = Other(), Go() end)
                  || Other <- [fun() -> eval("1 + 1") end, fun() -> call(echo, [1]) end], _ <- lists:seq(1, 4)],
        Args = [[], #{}, #{pool => p, recycle => false}],
        [?assertMatch({error, {'MemoryError', _}}, apply(py, How, [glutton, Function | Args]))
         || {How, Function} <- [{call, too_much}, {call, too_much_soon}, {stream, too_much_items}],
            _ <- lists:seq(1, 400)],
        [begin unlink(Other), exit(Other, kill) end || Other <- Others],
        {ok, 2} = eval("1 + 1"),
        ?assertMatch(#{recycled := None} when map_size(None) =:= 0, py:info(p))
    end).

stops() ->
    with_pool(#{drain => 30_000}, fun() ->
        Ref = start(echo, [1, 0.5]),
        until_awaited(1),
        ok = py:stop_pool(p),
        ?assertEqual({ok, 1}, py:await(Ref))
    end).

stops_late() ->
    with_pool(#{drain => 100}, fun() ->
        File = file(),
        Ref = start(confess, [list_to_binary(File), 60]),
        until_awaited(1),
        fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end),
        ok = py:stop_pool(p),
        ?assertEqual({error, {worker_exit, shutdown}}, py:await(Ref)),
        ?assertEqual(<<"CancelledError">>, how(File))
    end).

%% ---------------------------------------------------------------------------

blocked() ->
    with_pool(#{}, fun() ->
        Other = start(echo, [1, 60]),
        until_awaited(1),
        {_, {error, timeout}} = figure:within(200, fun() -> call(block, [60], #{timeout => 100}) end),
        {_, Result} = figure:within(?GRACE + 200, fun() -> py:await(Other) end),
        {error, {worker_exit, {loop_blocked, Where}}} = Result,
        ?assertMatch({match, _}, re:run(Where, "waits.py, line \\d+, in block$")),
        ?assertEqual({ok, 2}, call(echo, [2]))
    end).

blocked_gil() ->
    with_pool(#{}, fun() ->
        Other = start(echo, [1, 60]),
        until_awaited(1),
        ?assertEqual({error, timeout}, call(block_gil, [], #{timeout => 100})),
        ?assertEqual({error, {worker_exit, {loop_blocked, unknown}}}, py:await(Other)),
        ?assertEqual({ok, 2}, call(echo, [2]))
    end).

slow() ->
    with_pool(#{}, fun() ->
        Before = fixture:os_pids(p),
        Ref = start(block, [3 * ?GRACE / 1000]),
        until_awaited(1),
        ?assertEqual({ok, 2}, call(echo, [2])),
        ?assertEqual({ok, 3 * ?GRACE / 1000}, py:await(Ref)),
        ?assertEqual(Before, fixture:os_pids(p))
    end).

short() ->
    with_pool(#{interrupt_grace => 30_000}, fun() ->
        Before = fixture:os_pids(p),
        Other = start(echo, [1, 0.1]),
        ?assertEqual({error, timeout}, call(block, [0.5], #{timeout => 100})),
        ?assertEqual({ok, 1}, py:await(Other)),
        until_awaited(0),
        ?assertEqual(Before, fixture:os_pids(p))
    end).
