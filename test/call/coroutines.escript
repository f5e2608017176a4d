#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Functions that return coroutines: their results, many at once, deadlines, cancelling.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, concurrency => 1000, init => <<"import waits, asyncio">>}, [
        {"the result of a coroutine is the result", fun results/0},
        {"errors are the errors of an ordinary call", fun errors/0},
        {"whatever is awaited, and however it fails, it is answered", fun odd/0},
        {"what never begins is dropped, even if that fails", fun dropped/0},
        {"spawn_call, cast, parallel, every worker", fun forms/0},
        {"the value of eval may be a coroutine", fun eval/0},
        {"await in eval", fun await_in_eval/0},
        {"await in exec: its names stay", fun await_in_exec/0},
        {"await in init and exec_all", fun await_in_init/0},
        {"it runs in a thread of its own", fun threads/0},
        {"asyncio.run in an ordinary call works as before", fun run/0},
        {"in a context: its names, and their end", fun contexts/0},
        {"an asynchronous generator is a stream", fun streams/0},
        {"a stream of one that is closed, left, out of time", fun stream_ends/0},
        {"what is awaited gives a stream's source", fun awaited_source/0},
        {"ordinary calls go on meanwhile", fun beside/0},
        {"a thousand at once", 60_000, fun thousand/0},
        {"the next goes to the worker that awaits less", fun spread/0},
        {"its time is up: CancelledError, and no worker is lost", fun deadline/0},
        {"it is cancelled", fun cancel/0},
        {"its caller dies", fun caller_dies/0},
        {"code that does not heed that goes on, and costs no worker", fun stubborn/0},
        {"what it prints comes with its result", fun capture/0},
        {"what it has cost", fun bill/0},
        {"a trace goes on in it, and in no other", fun trace/0},
        {"what it returns is kept, and methods are awaited", fun handles/0},
        {"a child that it has forked ends, and answers nothing", fun fork/0},
        {"a fork in an ordinary call", fun fork_beside/0},
        {"every result belongs to its request, whatever is cancelled", 120_000, fun random/0}
    ])).

call(Function, Args) -> py:call(waits, Function, Args).
call(Function, Args, Options) -> py:call(waits, Function, Args, #{}, Options).

awaited() -> lists:sum([maps:get(awaited, Worker) || Worker <- fixture:workers()]).

until_awaited(N) -> fixture:wait_until(fun() -> awaited() =:= N end).

%% ---------------------------------------------------------------------------

results() ->
    ?assertEqual({ok, [1, <<"two">>]}, call(echo, [[1, <<"two">>]])),
    ?assertEqual({ok, 3}, py:call(waits, echo, [3], #{seconds => 0.01})),
    ?assertEqual({ok, null}, call(echo, [none], #{none => null})),
    ?assertEqual({ok, <<"later">>}, call('Later', [])),
    Large = binary:copy(<<"x">>, 3_000_000),
    ?assertEqual({ok, Large}, call(echo, [Large])).

errors() ->
    ?assertEqual({error, {'ValueError', <<"no">>}}, call(fail, [no])),
    ?assertMatch({error, {'ValueError', <<"no">>, #{frames := [#{function := <<"fail">>}]}}},
                 call(fail, [no], #{traceback => true})),
    ?assertEqual({error, {'SystemExit', <<"3">>}}, call(leave, [3])),
    ?assertEqual({error, {'asyncio.exceptions.CancelledError', <<>>}}, call(itself, [])),
    ?assertMatch({error, {'TypeError', <<"result[0]: cannot encode object", _/binary>>}},
                 py:eval("waits.echo([object()])")),
    ?assertMatch({error, {'TypeError', <<"echo() missing 1 required", _/binary>>}}, call(echo, [])),
    ?assertEqual({ok, 1}, call(echo, [1])).

%% Then it also makes room for others.
odd() ->
    ?assertEqual({error, {'waits.Empty', <<"no">>}}, call(fail_empty, [<<"no">>])),
    ?assertEqual({error, {'RuntimeError', <<"of no class">>}}, call('Unbound', [])),
    until_awaited(0).

dropped() ->
    {ok, _} = py:start_pool(dropped, #{size => 1, concurrency => 1, python_path => [fixture:python_path()],
                                         init => <<"import waits">>}),
    On = #{pool => dropped},
    ok = py:exec("import waits", #{}, On),
    Calls = [py:spawn_call(waits, Function, Args, #{}, On)
             || {Function, Args} <- [{echo, [1, 0.5]}, {half, []}, {'Unbound', []}, {echo, [2, 60]}]],
    fixture:wait_until(fun() -> [4] =:= [N || #{awaited := N} <- fixture:workers(dropped)] end),
    [_ | Rest] = Calls,
    [py:cancel(Call) || Call <- Rest],
    fixture:wait_until(fun() -> [0] =:= [N || #{awaited := N} <- fixture:workers(dropped)] end),
    ?assertEqual({ok, 1}, py:await(hd(Calls))),
    [?assertEqual({error, cancelled}, py:await(Call)) || Call <- Rest],
    ?assertEqual({ok, 3}, py:call(waits, echo, [3], #{}, On)),
    ok = py:stop_pool(dropped).

forms() ->
    Ref = py:spawn_call(waits, echo, [1, 0.05]),
    ?assertEqual({ok, 2}, call(echo, [2])),
    ?assertEqual({ok, 1}, py:await(Ref)),
    File = filename:join(fixture:tmpdir(), "cast"),
    ok = py:cast(waits, confess, [list_to_binary(File), 0.01]),
    ?assertEqual(<<"done">>, how(File)),
    Calls = [{waits, echo, [N, 0.01]} || N <- lists:seq(1, 50)],
    ?assertEqual({ok, lists:seq(1, 50)}, py:parallel(Calls)),
    ?assertEqual({ok, lists:seq(1, 50)}, py:parallel(Calls, #{chunk => 25})),
    ?assertMatch({ok, [{1, {ok, 7}}, {2, {ok, 7}}]}, call(echo, [7], #{pool => {default, all}})).

eval() ->
    ?assertEqual({ok, 5}, py:eval("waits.echo(n)", #{n => 5})),
    ?assertMatch({error, {'TypeError', _}}, py:eval("[waits.Later()]")).

await_in_eval() ->
    ?assertEqual({ok, 3}, py:eval("await waits.echo(1) + await waits.echo(2)")),
    ?assertEqual({ok, [0, 1, 2]}, py:eval("[await waits.echo(x) for x in range(n)]", #{n => 3})),
    ?assertEqual({error, timeout}, py:eval("await waits.echo(1, 60)", #{}, 100)),
    ?assertMatch({error, {'ValueError', <<"no">>}}, py:eval("await waits.fail('no')")),
    ?assertMatch({error, {'SyntaxError', _}}, py:eval("await waits.echo(")),
    ?assertEqual({ok, 1}, py:eval("(lambda: 1)()")).

await_in_exec() ->
    ok = py:exec("
        first = await waits.echo(1)
        async def twice(x):
            return 2 * await waits.echo(x)
        async with asyncio.Lock():
            second = await twice(first)
        for n in range(2):
            await waits.echo(n)
    "),
    ?assertEqual({ok, [1, 2, 1]}, py:eval("[first, second, n]")),
    ?assertEqual({error, {'ValueError', <<"no">>}}, py:exec("third = 3\nawait waits.fail('no')\nthird = 4")),
    ?assertEqual({ok, 3}, py:eval("third")),
    ?assertMatch({error, {badarg, <<"locals: code with an await", _/binary>>}},
                 py:exec("await waits.echo(x)", #{x => 1}, #{})),
    ?assertMatch({error, {'NameError', _}}, py:eval("x")),
    py:unbind(),
    {ok, C} = py_context:open(),
    ok = py:exec("import waits\nown = await waits.echo(7)", #{}, #{context => C}),
    ?assertEqual({ok, 7}, py:eval("own", #{}, #{context => C})),
    ok = py_context:close(C).

await_in_init() ->
    Path = [fixture:python_path()],
    {ok, _} = py:start_pool(init, #{size => 1, python_path => Path,
                                    init => "import waits\nready = await waits.echo('ready', 0.1)"}),
    ok = py:exec_all("more = await waits.echo(ready)", #{pool => init}),
    ?assertEqual({ok, <<"ready">>}, py:eval("more", #{}, #{pool => init})),
    ok = py:restart_workers(init),
    ?assertEqual({ok, <<"ready">>}, py:eval("more", #{}, #{pool => init})),
    ok = py:stop_pool(init),
    ?assertMatch({error, {python_start, <<"init, piece 1, line 2: ValueError: no", _/binary>>}},
                 py:start_pool(init, #{size => 1, python_path => Path,
                                       init => "import waits\nawait waits.fail('no')"})).

threads() ->
    ?assertEqual({ok, false}, call(thread, [])),
    Ref = py:spawn_call(waits, block, [0.5], #{}, #{pool => {default, 1}}),
    until_awaited(1),
    {ok, Stacks} = py:stack(1),
    ?assertMatch([#{frames := [_ | _]}], [Stack || #{thread := <<"asyncio">>} = Stack <- Stacks]),
    ?assertEqual({ok, 0.5}, py:await(Ref)).

run() ->
    Ref = py:spawn_call(waits, echo, [1, 0.2]),
    ?assertEqual({ok, 2}, py:eval("asyncio.run(waits.echo(2))")),
    ?assertEqual({ok, 1}, py:await(Ref)).

contexts() ->
    {ok, C} = py_context:open(),
    O = #{context => C},
    ok = py:exec("import asyncio\nx = 1\nasync def f():\n    await asyncio.sleep(0.05)\n    return x", #{}, O),
    Ref = py:spawn_call('__main__', f, [], #{}, O),
    ok = py:exec("x = 2", #{}, O),
    ?assertEqual({ok, 2}, py:await(Ref)),
    ok = py_context:close(C),
    ?assertMatch({error, _}, py:call('__main__', f, [], #{}, O)).

streams() ->
    ?assertEqual({ok, lists:seq(0, 2999)}, py:stream(waits, items, [3000])),
    ?assertEqual({ok, [2, 1, 0]}, py:stream(waits, 'Countdown', [3])),
    ?assertEqual({ok, [0, 10]}, py:stream_eval("(10 * i async for i in waits.items(2))")),
    ?assertEqual({error, {'ValueError', <<"no more">>}}, py:stream(waits, faulty, [])),
    ?assertEqual({ok, []}, py:stream(waits, items, [0])),
    {ok, Stream} = py:stream_open({waits, items, [3, none, 0.1]}, #{}),
    Ref = py:spawn_call(waits, echo, [1, 0.05]),
    ?assertEqual({ok, 1}, py:await(Ref)),
    ok = py:stream_close(Stream).

stream_ends() ->
    with_same_workers(fun() ->
        Closed = file(),
        {ok, Stream} = py:stream_open({waits, items, [100_000, list_to_binary(Closed), none]}, #{chunk => 10}),
        {ok, [0 | _]} = py:stream_next(Stream),
        ok = py:stream_close(Stream),
        ?assertEqual(<<"GeneratorExit">>, how(Closed)),
        Late = file(),
        ?assertEqual({error, timeout}, py:stream(waits, items, [3, list_to_binary(Late), 60], #{}, 100)),
        ?assertEqual(<<"CancelledError">>, how(Late)),
        Left = file(),
        Pid = spawn(fun() -> py:stream(waits, items, [3, list_to_binary(Left), 60]) end),
        timer:sleep(100),
        exit(Pid, kill),
        ?assertEqual(<<"CancelledError">>, how(Left))
    end).

awaited_source() ->
    ?assertEqual({ok, [0, 1, 2]}, py:stream(waits, listed, [3])),
    ?assertEqual({ok, [0, 1]}, py:stream_eval("await waits.listed(2)")),
    ?assertMatch({error, {'TypeError', <<"'int' object is not iterable">>}}, py:stream(waits, echo, [3])),
    ?assertEqual({error, {'ValueError', <<"no">>}}, py:stream(waits, fail, [no])).

beside() ->
    Refs = [py:spawn_call(waits, echo, [N, 0.5]) || N <- lists:seq(1, 40)],
    until_awaited(40),
    [?assertMatch(#{state := idle, running := none}, Worker) || Worker <- fixture:workers()],
    {_, {ok, 1}} = figure:within(100, fun() -> py:eval("1") end),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 40)], [py:await(Ref) || Ref <- Refs]),
    until_awaited(0).

thousand() ->
    {ok, _} = py:start_pool(one, #{size => 1, concurrency => 1000, init => <<"import waits">>,
                                   python_path => [fixture:python_path()]}),
    ?assertEqual({ok, 1}, call(echo, [1], #{pool => one})),
    {Ms, Values} = figure:within(250, fun() ->
        Refs = [py:spawn_call(waits, echo, [N, 0.1], #{}, #{pool => one}) || N <- lists:seq(1, 1000)],
        [py:await(Ref) || Ref <- Refs]
    end),
    tap:note("a thousand times 100 ms: ~.1f ms", [Ms]),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 1000)], Values),
    ok = py:stop_pool(one).

spread() ->
    Refs = [begin
                Ref = py:spawn_call(waits, echo, [N, 60]),
                until_awaited(N),
                Ref
            end || N <- lists:seq(1, 20)],
    ?assertEqual([10, 10], [N || #{awaited := N} <- fixture:workers()]),
    [ok = py:cancel(Ref) || Ref <- Refs],
    [{error, cancelled} = py:await(Ref) || Ref <- Refs],
    until_awaited(0).

%% ---------------------------------------------------------------------------

file() -> filename:join(fixture:tmpdir(), "how").

how(File) ->
    fixture:wait_until(fun() -> filelib:file_size(File) > 0 end),
    element(2, {ok, _} = file:read_file(File)).

confess(File, Options) -> py:spawn_call(waits, confess, [list_to_binary(File), 60], #{}, Options).

started(File) -> fixture:wait_until(fun() -> filelib:is_file(File ++ ".started") end).

with_same_workers(Fun) ->
    Before = fixture:os_pids(),
    Fun(),
    ?assertEqual({ok, 1}, call(echo, [1])),
    ?assertEqual(Before, fixture:os_pids()).

deadline() ->
    with_same_workers(fun() ->
        File = file(),
        Ref = confess(File, #{timeout => 100}),
        {_, {error, timeout}} = figure:within(150, fun() -> py:await(Ref) end),
        ?assertEqual(<<"CancelledError">>, how(File)),
        Refs = [py:spawn_call(waits, count, [60], #{}, #{timeout => 200}) || _ <- lists:seq(1, 100)],
        [?assertEqual({error, timeout}, py:await(R)) || R <- Refs],
        until_awaited(0)
    end).

cancel() ->
    with_same_workers(fun() ->
        File = file(),
        Ref = confess(File, #{}),
        started(File),
        ok = py:cancel(Ref),
        ?assertEqual({error, cancelled}, py:await(Ref)),
        ?assertEqual(<<"CancelledError">>, how(File)),
        until_awaited(0)
    end).

caller_dies() ->
    with_same_workers(fun() ->
        File = file(),
        Pid = spawn(fun() -> call(confess, [list_to_binary(File), 60]) end),
        started(File),
        exit(Pid, kill),
        ?assertEqual(<<"CancelledError">>, how(File)),
        until_awaited(0)
    end).

%% The grace is 500 ms: the loop goes round all the time.
stubborn() ->
    with_same_workers(fun() ->
        {_, {error, timeout}} = figure:within(150, fun() -> call(stubborn, [1.5], #{timeout => 100}) end),
        ?assertEqual(1, awaited()),
        until_awaited(0)
    end).

capture() ->
    O = #{capture => true, pool => {default, 1}},
    Refs = [py:spawn_call(waits, tell, [Name, 5], #{}, O) || Name <- [a, b]],
    {ok, _, Beside} = py:call(builtins, print, [main], #{}, O),
    ?assertEqual(<<"main\n">>, Beside),
    [?assertEqual({ok, Name, binary:copy(<<(atom_to_binary(Name))/binary, "\n">>, 5)}, py:await(Ref))
     || {Name, Ref} <- lists:zip([a, b], Refs)],
    ?assertEqual({error, {'ValueError', <<"no">>}, <<>>}, call(fail, [no], O)).

bill() ->
    {ok, 1, #{time := Time} = Bill} = call(echo, [1, 0.1], #{bill => true}),
    ?assert(Time >= 100_000),
    ?assertNot(is_map_key(heap_delta, Bill)).

trace() ->
    Parent = <<"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01">>,
    ?assertEqual({ok, Parent}, call(traced, [], #{traceparent => Parent})),
    ?assertEqual({ok, Parent}, py:eval("await waits.traced()", #{}, #{traceparent => Parent})),
    ?assertEqual({ok, none}, call(traced, [])),
    ?assertEqual({ok, Parent, <<>>}, call(traced, [], #{traceparent => Parent, capture => true})).

handles() ->
    {ok, Model} = call(load, [3], #{return => handle}),
    ?assertEqual({ok, 12}, py:call(Model, times, [4])),
    Refs = [py:spawn_call(Model, times, [N]) || N <- lists:seq(1, 20)],
    ?assertEqual([{ok, 3 * N} || N <- lists:seq(1, 20)], [py:await(Ref) || Ref <- Refs]),
    ?assertEqual({error, {'ValueError', <<"no">>}}, call(fail, [no], #{return => handle})),
    ?assertMatch(#{handles := 1}, hd([W || #{handles := N} = W <- fixture:workers(), N > 0])),
    ok = py_handle:release(Model),
    {error, timeout} = call(echo, [1, 0.2], #{return => handle, timeout => 50}),
    until_awaited(0),
    fixture:wait_until(fun() -> lists:all(fun(#{handles := N}) -> N =:= 0 end, fixture:workers()) end).

fork() ->
    File = file(),
    {ok, Pid} = call(fork, [list_to_binary(File)], #{pool => {default, 1}}),
    ?assertEqual(Pid, hd(fixture:os_pids())),
    fixture:wait_until(fun() -> {ok, <<"child parent ">>} =:= file:read_file(File) end),
    ?assertEqual({ok, 1}, call(echo, [1], #{pool => {default, 1}})).

fork_beside() ->
    O = #{pool => {default, 1}},
    Ref = py:spawn_call(waits, echo, [1, 0.3], #{}, O),
    until_awaited(1),
    ?assertEqual({ok, 0}, py:call(waits, child, [], #{}, O)),
    ?assertEqual({ok, 1}, py:await(Ref)).

%% ---------------------------------------------------------------------------

%% Each caller echoes its own numbers, and some of its calls end early.
random() ->
    Self = self(),
    Callers = [spawn_monitor(fun() -> some(N, 60), Self ! {done, N} end) || N <- lists:seq(1, 20)],
    [receive {'DOWN', Monitor, process, Pid, Why} -> ?assertEqual(normal, Why) end
     || {Pid, Monitor} <- Callers],
    [receive {done, N} -> ok end || N <- lists:seq(1, 20)],
    until_awaited(0),
    ?assertEqual({messages, []}, process_info(self(), messages)).

some(_, 0) -> ok;
some(N, Left) ->
    Value = {N, Left},
    Seconds = rand:uniform() / 50,
    case rand:uniform(4) of
        1 ->
            ?assertEqual({ok, Value}, py:eval("v", #{v => Value}));
        2 ->
            Ref = py:spawn_call(waits, echo, [Value, Seconds]),
            rand:uniform(2) =:= 1 andalso timer:sleep(rand:uniform(20)),
            ok = py:cancel(Ref),
            is_one_of(py:await(Ref), [{ok, Value}, {error, cancelled}]);
        3 ->
            is_one_of(call(echo, [Value, Seconds], #{timeout => rand:uniform(20)}), [{ok, Value}, {error, timeout}]);
        4 ->
            ?assertEqual({ok, Value}, call(echo, [Value, Seconds]))
    end,
    some(N, Left - 1).

is_one_of(Result, Allowed) ->
    lists:member(Result, Allowed) orelse error({neither, Result, Allowed}).
