#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% What a call has cost: its own bill, and all calls' by function.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(BILL, #{bill => true}).
%% What a call that keeps nothing may leave behind: caches, lists of free objects.
-define(LITTLE, 20_000).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, memory => #{account => true}, init => <<"import gc, time, leaky">>}, [
        {"what a call keeps", fun kept/0},
        {"what it needs meanwhile", fun needed/0},
        {"what it frees is below zero", fun freed/0},
        {"its result is not what it keeps", fun result/0},
        {"collections, and how long it took", fun collected/0},
        {"the bill of each kind of call", fun kinds/0},
        {"it comes behind what was printed", fun printed/0},
        {"of a call that did not end by itself it is empty", fun failed/0},
        {"a heap that is not counted", fun uncounted/0},
        {"it does not move the peak", fun unmoved/0},
        {"where there is no place for it", fun nowhere/0},
        {"the program: what is no call", fun no_call/0},
        {"the program: a heap that is large", 120_000, fun large/0},
        {"a leak is named: the function that keeps most", fun top/0},
        {"by time and by calls", fun orders/0},
        {"of one worker, of each, of a pool", fun targets/0},
        {"whatever makes the call", fun ways/0},
        {"names that are too long for a row", fun long/0},
        {"sums outlive their workers", fun outlived/0},
        {"a pool without the option", fun off/0},
        {"wrong arguments", fun wrong/0}
    ])).

bill({ok, _, Bill}) -> Bill.

eval(Code) -> bill(py:eval(Code, #{}, ?BILL)).

kept() ->
    #{heap_delta := Delta, heap_peak := Peak} =
        bill(py:call(leaky, remember, [<<"some words">>], #{}, ?BILL)),
    ?assert(Delta >= 1000 andalso Delta < ?LITTLE),
    ?assert(Peak >= Delta).

needed() ->
    #{heap_delta := Delta, heap_peak := Peak} = eval(<<"len(bytes(50_000_000))">>),
    ?assert(abs(Delta) < ?LITTLE),
    ?assert(Peak >= 50_000_000 andalso Peak < 51_000_000).

freed() ->
    {ok, #{heap_delta := Made, rss_delta := Grown}} = py:exec(<<"kept = [bytes(10_000_000)]">>, ?BILL),
    ?assert(Made > 9_990_000),
    ?assert(is_integer(Grown)),
    #{heap_delta := Freed} = eval(<<"kept.clear()">>),
    ?assert(Freed < -9_900_000),
    ok = py:unbind().

result() ->
    {ok, Text, #{heap_delta := Delta}} = py:eval(<<"'x' * 10_000_000">>, #{}, ?BILL),
    ?assertEqual(10_000_000, byte_size(Text)),
    ?assert(abs(Delta) < ?LITTLE).

collected() ->
    #{gc_runs := Runs, gc_pause := Pause, time := Time} = eval(<<"[gc.collect() for _ in range(7)]">>),
    ?assert(Runs >= 7),
    ?assert(Pause > 0 andalso Pause =< Time),
    #{time := Slept} = eval(<<"time.sleep(0.05)">>),
    ?assert(Slept >= 50_000).

kinds() ->
    ?assertMatch({ok, 2.0, #{time := _}}, py:call(math, sqrt, [4], #{}, ?BILL)),
    ?assertMatch({ok, #{time := _}}, py:exec(<<"pass">>, ?BILL)),
    ok = py:unbind(),
    Ref = py:spawn_call(math, sqrt, [4], #{}, ?BILL),
    ?assertMatch({ok, 2.0, #{time := _}}, py:await(Ref)),
    ?assertMatch({error, {'ZeroDivisionError', _}, #{time := _}}, py:eval(<<"1 / 0">>, #{}, ?BILL)),
    ?assertMatch({error, {'TypeError', _}, #{time := _}}, py:eval(<<"[object()]">>, #{}, ?BILL)),
    ?assertMatch({ok, [{1, {ok, 1, #{time := _}}}]},
                 py:eval(<<"1">>, #{}, #{bill => true, pool => {default, all}})),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, #{bill => false})).

printed() ->
    On = #{bill => true, capture => true},
    ?assertMatch({ok, none, <<"x\n">>, #{time := _}}, py:eval(<<"print('x')">>, #{}, On)),
    ?assertMatch({ok, <<"x\n">>, #{time := _}}, py:exec(<<"print('x')">>, On)),
    ok = py:unbind(),
    ?assertMatch({error, {no_pool, none}, <<>>, #{}}, py:eval(<<"1">>, #{}, On#{pool => none})).

failed() ->
    ?assertEqual({error, timeout, #{}}, py:eval(<<"time.sleep(60)">>, #{}, #{bill => true, timeout => 50})),
    Ref = py:spawn_call(time, sleep, [60], #{}, ?BILL),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled, #{}}, py:await(Ref)),
    ?assertMatch({error, {worker_exit, _}, Bill} when Bill =:= #{},
                 py:eval(<<"__import__('os')._exit(3)">>, #{}, ?BILL)).

uncounted() ->
    {ok, _} = py:start_pool(plain, #{size => 1}),
    Bill = bill(py:eval(<<"1">>, #{}, #{bill => true, pool => plain})),
    ok = py:stop_pool(plain),
    ?assertEqual([gc_pause, gc_runs, rss_delta, time], lists:sort(maps:keys(Bill))).

%% The peak of statistics is that of all calls, whoever has had bills.
unmoved() ->
    Peak = fun() ->
        #{heap := #{peak := Most}} = fixture:memory_stats({default, 1}, #{detail => true}),
        Most
    end,
    {ok, _} = py:eval(<<"len(bytes(90_000_000))">>),
    Before = Peak(),
    _ = eval(<<"len(bytes(10_000_000))">>),
    ?assertEqual(Before, Peak()),
    _ = eval(<<"len(bytes(99_000_000))">>),
    ?assert(Peak() > Before).

nowhere() ->
    [?assertError(badarg, Call())
     || Call <- [fun() -> py:parallel([{math, sqrt, [4]}], ?BILL) end,
                 fun() -> py:cast(math, sqrt, [4], #{}, ?BILL) end,
                 fun() -> py:stream_eval(<<"[]">>, #{}, ?BILL) end,
                 fun() -> py:exec_all(<<"pass">>, ?BILL) end,
                 fun() -> py:eval(<<"1">>, #{}, #{bill => 1}) end]].

no_call() ->
    Port = raw:open(),
    [begin
         raw:send(Port, {1, Op, ?BILL}),
         {1, {error, {badarg, Why}}} = raw:recv(Port),
         ?assert(fixture:contains(Why, "bill"))
     end || Op <- [gc, trim, {stream, {eval, <<"[]">>, #{}}}]],
    raw:send(Port, {2, {eval, <<"1">>, #{}}, ?BILL}),
    ?assertMatch({2, {bill, #{time := _}}}, raw:recv(Port)),
    ?assertEqual({2, {ok, 1}}, raw:recv(Port)),
    raw:send(Port, {3, {eval, <<"1">>, #{}}, #{bill => any}}),
    ?assertMatch({3, {error, {badarg, _}}}, raw:recv(Port)),
    ok = raw:close(Port).

%% In a heap of which a look takes long, one call in N stands for N. Whoever wants to
%% see his bill gets a whole one.
large() ->
    ok = fixture:unless_sanitized(),
    Port = raw:open(["--account"]),
    raw:send(Port, {1, {exec, <<"large = [(n,) for n in range(2_000_000)]\nkept = []\ndef keep(): kept.append(bytes(1000))">>}}),
    {1, ok} = raw:recv(Port, 60_000),
    #{heap_delta := _} = Whole = billed_keep(Port, true),
    ?assertNot(is_map_key(one_in, Whole)),
    Bills = [billed_keep(Port, some) || _ <- lists:seq(1, 2000)],
    Looks = [{Delta, N} || #{heap_delta := Delta, one_in := N} <- Bills],
    ?assert(length(Looks) > 50 andalso length(Looks) < 1000),
    ?assertEqual([], [Bill || #{heap_delta := _} = Bill <- Bills, not is_map_key(one_in, Bill)]),
    Sum = lists:sum([Delta * N || {Delta, N} <- Looks]),
    ?assert(Sum > 1_000_000 andalso Sum < 3_500_000),
    ok = raw:close(Port).

billed_keep(Port, Kind) ->
    raw:send(Port, {2, {call, '__main__', keep, [], #{}}, #{bill => Kind}}),
    {2, {bill, Bill}} = raw:recv(Port),
    {2, {ok, none}} = raw:recv(Port),
    Bill.

%% ---------------------------------------------------------------------------
%% By function

billed(Options, Fun) ->
    {ok, _} = py:start_pool(billed, Options#{bill => true, python_path => [fixture:python_path()],
                                             init => <<"import leaky">>}),
    try Fun() after ok = py:stop_pool(billed) end.

run(Function, N) ->
    [{ok, _} = py:call(leaky, Function, [<<"some words">>], #{}, #{pool => billed})
     || _ <- lists:seq(1, N)].

top() ->
    billed(#{size => 2}, fun() ->
        [run(Function, 500) || Function <- [parse, remember, answer]],
        {ok, [First, Second | _]} = py_mem:top(billed, memory),
        #{what := {<<"leaky">>, <<"remember">>}, calls := 500, growth := Growth, peak := Peak,
          p50 := P50, p99 := P99, workers := [_ | _]} = First,
        ?assert(Growth > 500_000 andalso Growth < 1_000_000),
        ?assert(Peak >= 1000),
        ?assert(0 < P50 andalso P50 =< P99),
        ?assert(maps:get(growth, Second) < Growth div 5)
    end).

orders() ->
    billed(#{size => 1}, fun() ->
        run(parse, 100),
        {ok, _} = py:eval(<<"__import__('time').sleep(0.1)">>, #{}, #{pool => billed}),
        {ok, [#{what := eval, time := Time, calls := 1}, _]} = py_mem:top(billed, time),
        ?assert(Time >= 100_000),
        {ok, [#{what := {<<"leaky">>, <<"parse">>}, calls := 100}]} =
            py_mem:top(billed, calls, #{top => 1})
    end).

targets() ->
    billed(#{size => 2}, fun() ->
        [{ok, _} = py:call(leaky, parse, [<<"x">>], #{}, #{pool => {billed, Id}}) || Id <- [1, 2, 2]],
        Calls = fun([#{calls := N, workers := Slots}]) -> {N, Slots} end,
        {ok, Both} = py_mem:top(billed, calls),
        {ok, One} = py_mem:top({billed, 2}, calls),
        {ok, [{1, {ok, Other}}, {2, {ok, One}}]} = py_mem:top({billed, all}, calls),
        ?assertEqual([{3, [1, 2]}, {2, [2]}, {1, [1]}], [Calls(Rows) || Rows <- [Both, One, Other]]),
        ?assertEqual({error, {no_worker, {billed, 3}}}, py_mem:top({billed, 3}, calls))
    end).

%% A call is counted without its caller's knowledge, and its result is what it was.
ways() ->
    billed(#{size => 2}, fun() ->
        In = #{pool => billed},
        ?assertEqual({ok, [2.0, 3.0]}, py:parallel([{math, sqrt, [4]}, {math, sqrt, [9]}], In)),
        ?assertEqual({ok, 2.0}, py:await(py:spawn_call(math, sqrt, [4], #{}, In))),
        ?assertEqual({ok, 2.0}, py:call(math, sqrt, [4], #{}, In)),
        ?assertMatch({ok, 2.0, #{heap_delta := _}}, py:call(math, sqrt, [4], #{}, In#{bill => true})),
        ?assertEqual(ok, py:exec(<<"pass">>, In)),
        ok = py:unbind(billed),
        ?assertEqual({ok, [0, 1]}, py:stream_eval(<<"range(2)">>, #{}, In)),
        ?assertMatch({error, {'ValueError', _}}, py:call(math, sqrt, [-1], #{}, In)),
        ok = py:exec_all(<<"pass">>, In),
        {ok, Rows} = py_mem:top(billed, calls),
        ?assertEqual([{{<<"math">>, <<"sqrt">>}, 6}, {exec, 1}],
                     [{What, N} || #{what := What, calls := N} <- Rows])
    end).

%% Whoever calls chooses the names, and sums have a fixed size.
long() ->
    billed(#{size => 1}, fun() ->
        Name = fun(N) -> binary:copy(<<"x">>, N) end,
        [{error, _} = py:call(Module, Function, [], #{}, #{pool => billed})
         || {Module, Function} <- [{Name(255), f}, {Name(256), f}, {os, Name(255)}, {os, Name(1_000_000)}]],
        {ok, Rows} = py_mem:top(billed, calls),
        ?assertEqual(lists:sort([{other, 2}, {{Name(255), <<"f">>}, 1}, {{<<"os">>, Name(255)}, 1}]),
                     lists:sort([{What, N} || #{what := What, calls := N} <- Rows]))
    end).

outlived() ->
    billed(#{size => 1}, fun() ->
        run(parse, 10),
        ok = py:restart_workers(billed),
        run(parse, 10),
        ?assertMatch({ok, [#{calls := 20}]}, py_mem:top(billed, calls))
    end).

off() ->
    ?assertEqual({error, {not_enabled, bill}}, py_mem:top(memory)),
    ?assertEqual({ok, [{1, {error, {not_enabled, bill}}}]}, py_mem:top({default, all}, memory)),
    ?assertEqual({error, {no_pool, nobody}}, py_mem:top(nobody, memory)).

wrong() ->
    [?assertError(badarg, Call())
     || Call <- [fun() -> py_mem:top(default, size) end,
                 fun() -> py_mem:top(default, memory, #{top => 0}) end,
                 fun() -> py_mem:top("default", memory) end]].
