#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `threads': calls of one worker that run beside each other, and what
%% becomes of each when one of them, or what has started them, ends.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(THREADS, 4).

main(_) ->
    Options = #{size => 1, threads => ?THREADS, init => <<"import crew">>},
    tap:run(logbook:kept(fixture:with_app(Options, [
        {"calls wait beside each other", fun overlap/0},
        {"call, eval, method and keep do, exec and contexts do not", fun which/0},
        {"threads are Python's, and have names", fun names/0},
        {"they start in their order, and no more than there are threads", fun order/0},
        {"what waits for a thread goes to another worker", fun elsewhere/0},
        {"many short ones", fun many/0},
        {"parallel uses them all", fun parallel/0},
        {"a deadline passes in Python code", fun deadline/0},
        {"an import is not interrupted", fun import/0},
        {"what a finalizer does meanwhile makes no other call hear of it", fun collected/0},
        {"what user code raises too late on a thread hits no other call", fun thrown_late/0},
        {"a cancel, and the caller's death", fun cancel/0},
        {"cancelled before it has started", fun not_started/0},
        {"blocked in C: only that call fails, and the worker is replaced", fun blocked/0},
        {"half of them are: it is replaced at once", fun half_blocked/0},
        {"the program is killed: what has started fails, nothing else", fun killed/0},
        {"os._exit and sys.exit", fun exits/0},
        {"exceptions", fun exceptions/0},
        {"a child that is forked there", fun forked/0},
        {"calls of Erlang's functions, nested calls, self and funs", fun talk/0},
        {"what is nested there holds up no other call", fun nested/0},
        {"nor does it take others along, if it does not stop", fun nested_blocked/0},
        {"coroutines", fun coroutines/0},
        {"what is printed, captured and charged", fun capture/0},
        {"spans", fun spans/0},
        {"handles and encoders", fun handles/0},
        {"a limit of the heap", fun heap/0},
        {"info and stacks say what runs", fun info/0},
        {"streams and urgent requests go on", fun meanwhile/0},
        {"a worker that is recycled, restarted, or whose pool stops, ends its calls", fun ends/0},
        {"one thread: nothing is different", fun one/0},
        {"many processes, kills and cancels", 60_000, fun soak/0}
    ]))).

async(F, Args) -> py:spawn_call(crew, F, Args).
async(F, Args, Options) -> py:spawn_call(crew, F, Args, #{}, Options).

await_all(Refs) -> [py:await(Ref) || Ref <- Refs].

seen(What) ->
    fixture:wait_until(fun() -> py:eval("len(crew.seen)") =:= {ok, length(What)} end),
    ?assertEqual({ok, What}, py:call(crew, take_seen, [])).

%% So many run on threads of the only worker.
at_work(N) ->
    fixture:wait_until(fun() -> [N] =:= [Threads || #{threads := Threads} <- fixture:workers()] end).

%% ---------------------------------------------------------------------------

%% Each waits until all have begun.
overlap() ->
    Refs = [py:spawn_call('crew.barrier', wait, [10]) || _ <- lists:seq(1, ?THREADS)],
    ?assertEqual([{ok, 0}, {ok, 1}, {ok, 2}, {ok, 3}], lists:sort(await_all(Refs))).

which() ->
    ?assertEqual({ok, false}, py:call(crew, is_main, [])),
    ?assertEqual({ok, false}, py:eval("crew.is_main()")),
    ok = py:exec("where = crew.is_main()"),
    ?assertEqual({ok, true}, py:eval("where")),
    ok = py:unbind(),
    {ok, Box} = py:call(crew, 'Box', [], #{}, #{return => handle}),
    {ok, Name} = py:call(Box, add, [1]),
    ?assertMatch(<<"pyport-", _/binary>>, Name),
    {ok, C} = py_context:open(),
    ok = py:exec("import crew", #{}, #{context => C}),
    ?assertEqual({ok, true}, py:eval("crew.is_main()", #{}, #{context => C})),
    ok = py_context:close(C).

names() ->
    {ok, Names} = py:parallel([{crew, name, []} || _ <- lists:seq(1, 20)]),
    ?assertEqual([], [Name || Name <- Names, not lists:member(Name, all_names())]),
    Counts = [py:call(crew, count, []) || _ <- lists:seq(1, 20)],
    ?assert(lists:any(fun({ok, {_, N}}) -> N > 1 end, Counts)).

all_names() -> [<<"pyport-", (integer_to_binary(N))/binary>> || N <- lists:seq(1, ?THREADS)].

order() ->
    {Refs, Pids} = held([1, 2, 3, 4, 5, 6], ?THREADS, #{}),
    at_work(?THREADS),
    receive {begun, _, _} -> error(more_than_threads) after 50 -> ok end,
    [First | Rest] = Pids,
    First ! go,
    receive {begun, _, Fifth} -> ok end,
    receive {begun, _, _} -> error(more_than_threads) after 20 -> ok end,
    [Pid ! go || Pid <- [Fifth | Rest]],
    receive {begun, _, Sixth} -> Sixth ! go end,
    ?assertEqual([{ok, N} || N <- lists:seq(1, 6)], await_all(Refs)).

%% These calls, and the functions of those that have begun, which wait for `go'.
held(Ns, Begun, Options) ->
    Self = self(),
    ok = py:register_function(begun, fun(N) -> Self ! {begun, N, self()}, receive go -> N end end),
    Refs = [async(begins, [N], Options) || N <- Ns],
    {Refs, [receive {begun, N, Pid} -> Pid after 10_000 -> error({not_begun, N}) end || N <- lists:seq(1, Begun)]}.

elsewhere() ->
    {ok, _} = py:start_pool(two, #{size => 2, threads => 2, init => <<"import crew">>,
                                   python_path => [fixture:python_path()]}),
    In = #{pool => two},
    {Long, Pids} = held([1, 2, 3], 3, In),
    ?assertEqual([{ok, I} || I <- lists:seq(1, 9)], await_all([async(nap, [0, I], In) || I <- lists:seq(1, 9)])),
    [Pid ! go || Pid <- Pids],
    ?assertEqual([{ok, N} || N <- lists:seq(1, 3)], await_all(Long)),
    ok = py:stop_pool(two).

%% The main thread runs none of them, however they come and go.
many() ->
    Refs = [async(nap, [0, N]) || N <- lists:seq(1, 500)],
    ?assertEqual([{ok, N} || N <- lists:seq(1, 500)], await_all(Refs)),
    ?assertEqual([{ok, false}], lists:usort(await_all([async(is_main, []) || _ <- lists:seq(1, 1000)]))).

%% Each waits for three others, as often as there are four.
parallel() ->
    {ok, Values} = py:parallel([{'crew.barrier', wait, [10]} || _ <- lists:seq(1, 12)]),
    ?assertEqual([0, 1, 2, 3], lists:usort(Values)),
    ?assertMatch({error, [{ok, _}, {error, {'ZeroDivisionError', _}}]},
                 py:parallel([{crew, nap, [0]}, {operator, truediv, [1, 0]}])).

%% ---------------------------------------------------------------------------
%% Time

deadline() ->
    [OsPid] = fixture:os_pids(),
    ?assertEqual({error, timeout}, py:call(crew, loop, [20], #{}, 50)),
    seen([<<"Cancelled">>]),
    ?assertEqual([{error, timeout}, {ok, <<"done">>}],
                 await_all([async(loop, [20], #{timeout => 50}), async(loop, [0.2])])),
    seen([<<"Cancelled">>]),
    at_work(0),
    ?assertEqual([OsPid], fixture:os_pids()).

%% Whoever waits for it has the whole module.
import() ->
    [First, Second] = [py:spawn_call(slow_import, get, [], #{}, #{timeout => T}) || T <- [50, 5_000]],
    ?assertEqual({error, timeout}, py:await(First)),
    ?assertEqual({ok, 1}, py:await(Second)),
    ?assertEqual({ok, [none]}, py:eval("crew.imports")),
    {ok, _} = py:eval("__import__('sys').modules.pop('slow_import') and __import__('importlib').__name__"),
    ?assertEqual({error, timeout}, py:call(slow_import, get, [], #{}, 50)),
    ?assertEqual({ok, 2}, py:call(slow_import, get, [])).

%% While it is looked at where it is, it ends, and its thread has another one.
collected() ->
    [begin
         {ok, none} = py:call(crew, collects, [Skip]),
         ?assertEqual({error, timeout}, py:eval("crew.deep(100, crew.loop, 0.15)", #{}, 50)),
         timer:sleep(150),
         ?assertEqual(lists:duplicate(?THREADS, {ok, <<"done">>}),
                      await_all([async(loop, [0.5]) || _ <- lists:seq(1, ?THREADS)])),
         {ok, none} = py:call(crew, collects_no_more, [])
     end || Skip <- [1, 30]],
    {ok, _} = py:call(crew, take_seen, []).

thrown_late() ->
    [{ok, 0}, {ok, 1}, {ok, 2}, {ok, 3}] =
        lists:sort(await_all([py:spawn_call('crew.barrier', wait, [10]) || _ <- lists:seq(1, ?THREADS)])),
    at_work(0),
    ok = py:exec("import crew\ncrew.throw_late()"),
    ok = py:unbind(),
    ?assertEqual(lists:duplicate(?THREADS, {ok, <<"done">>}),
                 await_all([async(loop, [0.05]) || _ <- lists:seq(1, ?THREADS)])).

cancel() ->
    Ref = async(loop, [20]),
    at_work(1),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    seen([<<"Cancelled">>]),
    Pid = spawn(fun() -> py:call(crew, loop, [20]) end),
    at_work(1),
    exit(Pid, kill),
    seen([<<"Cancelled">>]),
    at_work(0).

not_started() ->
    {Held, Pids} = held([1, 2, 3, 4], ?THREADS, #{}),
    ?assertEqual({error, timeout}, py:call(crew, loop, [20], #{}, 50)),
    Ref = async(loop, [20]),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    [Pid ! go || Pid <- Pids],
    _ = await_all(Held),
    at_work(0),
    ?assertEqual({ok, []}, py:call(crew, take_seen, [])).

%% The others go on to their end; whoever comes then is with the next worker.
blocked() ->
    [OsPid] = fixture:os_pids(),
    Long = async(nap, [1.0, long]),
    at_work(1),
    ?assertEqual({error, timeout}, py:call(crew, block, [30], #{}, 50)),
    fixture:wait_until(fun() -> fixture:os_pids() =/= [OsPid] end),
    ?assertEqual({ok, long}, py:await(Long)),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    #{recycled := #{threads := 1}} = py:info().

half_blocked() ->
    {ok, _} = py:start_pool(patient, #{size => 1, threads => 2, init => <<"import crew">>, interrupt_grace => 60_000,
                                       python_path => [fixture:python_path()]}),
    In = #{pool => patient},
    [OsPid] = fixture:os_pids(patient),
    ?assertEqual({error, timeout}, async_timeout(In)),
    fixture:wait_until(fun() -> fixture:os_pids(patient) =/= [OsPid] end),
    ?assertEqual({ok, 1}, py:call(crew, nap, [0, 1], #{}, In)),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    ok = py:stop_pool(patient).

async_timeout(In) -> py:call(crew, block, [30], #{}, In#{timeout => 50}).

%% ---------------------------------------------------------------------------
%% Ends

killed() ->
    {Refs, _} = held([1, 2, 3, 4], ?THREADS, #{}),
    Waiting = [async(nap, [0, N]) || N <- lists:seq(1, 5)],
    [OsPid] = fixture:os_pids(),
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual(lists:duplicate(?THREADS, {error, {worker_exit, {signal, sigkill}}}), await_all(Refs)),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 5)], await_all(Waiting)).

exits() ->
    Other = async(nap, [5]),
    at_work(1),
    ?assertEqual({error, {worker_exit, {status, 3}}}, py:call(os, '_exit', [3])),
    ?assertEqual({error, {worker_exit, {status, 3}}}, py:await(Other)),
    ?assertEqual({error, {'SystemExit', <<"4">>}}, py:call(sys, exit, [4])),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

exceptions() ->
    ?assertEqual({error, {'ZeroDivisionError', <<"division by zero">>}}, py:eval("1/0")),
    ?assertMatch({error, {'TypeError', _}}, py:eval("object()")),
    ?assertMatch({error, {'KeyboardInterrupt', _}}, py:eval("(_ for _ in ()).throw(KeyboardInterrupt)")),
    ?assertMatch({error, {badarg, _}}, py:call(crew, nap, [<<255>>])).

forked() ->
    {ok, Child} = py:call(crew, forks, []),
    ?assertEqual({ok, {Child, 0}}, py:call(os, waitpid, [Child, 0])).

%% ---------------------------------------------------------------------------
%% What runs there may do what others may

talk() ->
    Self = self(),
    ?assertEqual({ok, Self}, py:call(crew, mine, [])),
    Receives = async(receives, []),
    ok = py:send({default, 1}, hello),
    ?assertEqual({ok, hello}, py:await(Receives)),
    ok = py:register_function(name, fun() -> {ok, Name} = py:call(crew, name, []), Name end),
    ?assertEqual({ok, true}, py:call(crew, asks, [<<"name">>])),
    ok = py:register_function(late, fun() -> py:call(crew, loop, [20], #{}, 50) end),
    ?assertEqual({ok, {error, timeout}}, py:call(erlang, late, [])),
    ?assertEqual({ok, 42}, py:eval("f(41)", #{f => fun(N) -> N + 1 end})),
    ok = py:register_function(slow, fun() -> timer:sleep(20_000) end),
    ?assertEqual({error, timeout}, py:call(erlang, slow, [], #{}, 50)),
    at_work(0).

nested() ->
    ok = py:register_function(nests, fun() -> py:call(crew, begins, [1], #{}, 20_000) end),
    {[], []} = held([], 0, #{}),        % what it asks for is known
    Outer = async(asks, [nests]),
    Pid = receive {begun, 1, P} -> P end,
    timer:sleep(50),                    % a job that is so long keeps what is behind it from starting
    ?assertEqual([{ok, N} || N <- lists:seq(1, 6)], await_all([async(nap, [0, N], #{timeout => 5_000}) || N <- lists:seq(1, 6)])),
    ?assertMatch([#{threads := 1, awaited := 1, in_flight := 1, state := idle}], fixture:workers()),
    Pid ! go,
    {ok, false} = py:await(Outer).

nested_blocked() ->
    [OsPid] = fixture:os_pids(),
    ok = py:register_function(nests, fun() -> py:call(crew, block, [2], #{}, 50) end),
    Other = async(nap, [1.0, other]),
    Outer = py:spawn_call(erlang, nests, []),
    ?assertEqual({ok, other}, py:await(Other)),
    ?assertEqual({ok, {error, timeout}}, py:await(Outer)),
    fixture:wait_until(fun() -> not lists:member(OsPid, fixture:os_pids()) end),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

coroutines() ->
    {ok, {7, Name}} = py:call(crew, returns_coroutine, [7]),
    ?assertEqual(<<"asyncio">>, Name),
    ?assertEqual(lists:duplicate(50, ok), [Ok || {Ok, _} <- await_all([async(awaits, [0.01, N]) || N <- lists:seq(1, 50)])]),
    ?assertEqual({error, timeout}, py:call(crew, awaits, [20, 1], #{}, 50)),
    at_work(0).

capture() ->
    Refs = [async(says, [Text, 0.05], #{capture => true}) || Text <- [<<"a">>, <<"b">>, <<"c">>]],
    ?assertEqual([{ok, <<"a">>, <<"a\na\n">>}, {ok, <<"b">>, <<"b\nb\n">>}, {ok, <<"c">>, <<"c\nc\n">>}],
                 await_all(Refs)),
    Beside = async(says, [<<"x">>, 0.05]),
    ?assertEqual({ok, <<"in\n">>},
                 py:exec("import time\nprint('in')\ntime.sleep(0.1)", #{}, #{capture => true})),
    ok = py:unbind(),
    {ok, _} = py:await(Beside),
    {ok, none, #{time := Time}} = py:call(crew, nap, [0.05], #{}, #{bill => true}),
    ?assert(Time >= 50_000).

spans() ->
    Trace = fun(C) -> <<"00-", (binary:copy(<<C>>, 32))/binary, "-", (binary:copy(<<C>>, 16))/binary, "-01">> end,
    Refs = [async(traces, [0.05], #{traceparent => Trace(C)}) || C <- "abc"],
    ?assertEqual([{ok, Trace(C)} || C <- "abc"], await_all(Refs)),
    ?assertEqual({ok, none}, py:call(crew, traces, [0])).

handles() ->
    {ok, Box} = py:call(crew, 'Box', [], #{}, #{return => handle}),
    {ok, _} = py:parallel([{Box, add, [N]} || N <- lists:seq(1, 10)]),
    ?assertEqual({ok, 55}, py_handle:get(Box, value)).

heap() ->
    {ok, _} = py:start_pool(tight, #{size => 1, threads => 2, memory => #{heap => 60_000_000}, recycle => #{memory_errors => 100},
                                     init => <<"import crew">>, python_path => [fixture:python_path()]}),
    In = #{pool => tight},
    Beside = async(nap, [0.2, 1], In),
    ?assertMatch({error, {'MemoryError', _}}, py:eval("bytearray(2**30)", #{}, In)),
    ?assertEqual({ok, 1}, py:await(Beside)),
    ?assertMatch({error, {'MemoryError', _}}, py:eval("bytearray(2**30)", #{}, In)),
    ?assertEqual({ok, 1000}, py:eval("len(bytearray(1000))", #{}, In)),
    ok = py:stop_pool(tight).

info() ->
    Ref = async(nap, [0.5]),
    at_work(1),
    [#{threads := 1, awaited := 1, in_flight := 1}] = fixture:workers(),
    {ok, Stacks} = py:stack(1),
    ?assertMatch([_ | _], [F || #{thread := <<"pyport-", _/binary>>, frames := Frames} <- Stacks,
                                #{function := <<"nap">>} = F <- Frames]),
    {ok, _} = py:await(Ref).

meanwhile() ->
    Refs = [async(nap, [0.3]) || _ <- lists:seq(1, ?THREADS)],
    at_work(?THREADS),
    {ok, _} = py:memory_stats({default, 1}),
    ?assertEqual({ok, [0, 1, 2]}, py:stream_eval("range(3)", #{}, #{pool => {default, 1}})),
    _ = await_all(Refs).

ends() ->
    Options = #{size => 1, threads => 2, init => <<"import crew">>, python_path => [fixture:python_path()]},
    {ok, _} = py:start_pool(used, Options#{recycle => #{calls => 5, jitter => 0}}),
    ?assertEqual([{ok, N} || N <- lists:seq(1, 20)],
                 await_all([async(nap, [0.01, N], #{pool => used}) || N <- lists:seq(1, 20)])),
    ok = py:stop_pool(used),
    {ok, _} = py:start_pool(used, Options),
    ?assertEqual({ok, last}, py:await(running(last, fun() -> py:restart_workers(used) end))),
    ?assertEqual({ok, stopped}, py:await(running(stopped, fun() -> py:stop_pool(used) end))).

%% A call that runs while this is done.
running(Name, Do) ->
    Ref = async(nap, [0.3, Name], #{pool => used}),
    fixture:wait_until(fun() -> [1] =:= [N || #{threads := N} <- fixture:workers(used)] end),
    ok = Do(),
    Ref.

one() ->
    {ok, _} = py:start_pool(plain, #{size => 1, init => <<"import crew">>, python_path => [fixture:python_path()]}),
    ?assertEqual({ok, true}, py:call(crew, is_main, [], #{}, #{pool => plain})),
    ok = py:stop_pool(plain).

%% ---------------------------------------------------------------------------
%% Random

soak() ->
    {ok, _} = py:start_pool(busy, #{size => 2, threads => 3, init => <<"import asyncio, crew">>, interrupt_grace => 300,
                                    python_path => [fixture:python_path()]}),
    ok = py:register_function(name, fun() ->
        case py:call(crew, name, [], #{}, #{pool => busy, timeout => 20 + rand:uniform(100)}) of
            {ok, Name} -> Name;
            {error, _} -> none
        end
    end),
    Until = erlang:monotonic_time(millisecond) + 2_000,
    Callers = [spawn_monitor(fun() -> call_until(Until, N * 1_000_000) end) || N <- lists:seq(1, 50)],
    harass(Until, [Pid || {Pid, _} <- Callers]),
    Reasons = [receive {'DOWN', Ref, process, _, Reason} -> Reason end || {_, Ref} <- Callers],
    ?assertEqual([], [Reason || Reason <- Reasons, Reason =/= normal, Reason =/= killed]),
    fixture:wait_until(fun() -> lists:usort([N || #{in_flight := N} <- fixture:workers(busy)]) =:= [0] end),
    ?assertEqual({ok, 3}, py:call(crew, nap, [0, 3], #{}, #{pool => busy})),
    ok = py:stop_pool(busy).

call_until(Until, N) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            Timeout = lists:nth(rand:uniform(3), [10, 100, 5_000]),
            Seconds = rand:uniform(20) / 1000,
            In = #{pool => busy, timeout => Timeout},
            case rand:uniform(7) of
                1 -> expect(<<"done">>, py:call(crew, block, [Seconds], #{}, In));
                2 -> expect(<<"done">>, py:call(crew, loop, [Seconds], #{}, In));
                3 -> expect({N, <<"asyncio">>}, py:call(crew, awaits, [Seconds, N], #{}, In));
                4 -> expect(true, py:call(crew, asks, [name], #{}, In));
                5 -> _ = py:cancel(async(nap, [Seconds, N], In));
                _ -> expect(N, py:call(crew, nap, [Seconds, N], #{}, In))
            end,
            call_until(Until, N + 1);
        false ->
            ok
    end.

expect(Value, {ok, Value}) -> ok;
expect(true, {ok, false}) -> ok;     % what it asked for was too late
expect(_, {error, timeout}) -> ok;
expect(_, {error, {Why, _}}) -> true = lists:member(Why, [worker_exit, python_start, 'erlang.Error']).

harass(Until, Callers) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            timer:sleep(100),
            _ = harm(rand:uniform(8), Callers),
            harass(Until, Callers);
        false ->
            ok
    end.

harm(1, _) -> [fixture:kill("KILL", OsPid) || [OsPid | _] <- [fixture:os_pids(busy)]];
harm(_, Callers) -> exit(lists:nth(rand:uniform(length(Callers)), Callers), kill).
