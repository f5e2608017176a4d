#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% A pool's budget: memory is given back before anybody is refused, one worker
%% after another is spared, and when all of that was of no use new calls are refused
%% until there is room again.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).
-define(BUDGET, (200 * ?MB)).

main(_) ->
    {ok, _} = application:ensure_all_started(sasl),
    tap:run(fixture:with_app(#{size => 1}, logbook:kept([
        {"garbage is given back, and nobody refused", fun garbage/0},
        {"what is kept: a worker is spared, then calls are refused", fun kept/0},
        {"a worker that is spared gets no new calls", fun spared/0},
        {"a process that is bound may free its memory", fun bound/0},
        {"a budget that is lifted", fun lifted/0},
        {"a part of what there is", fun percent/0},
        {"a pool that stops takes its alarm along", fun stopped/0},
        {"no alarm is cleared that was not set", fun no_alarm/0}
    ]))).

with_pool(Size, Budget, Fun) ->
    logbook:clear(),
    {ok, _} = py:start_pool(poor, #{size => Size, memory => #{budget => Budget},
                                    python_path => [fixture:python_path()],
                                    init => <<"import gc, os, hoard">>}),
    try Fun(#{pool => poor, timeout => 60_000}) after ok = py:stop_pool(poor, 0) end.

%% What the log says of the pool, in order.
said() ->
    [logbook:text(Event) || #{meta := #{pool := poor}} = Event <- logbook:all()].

await_said(Part) ->
    fixture:wait_until(fun() -> has_said(Part) end).

has_said(Part) ->
    lists:any(fun(Text) -> fixture:contains(Text, Part) end, said()).

alarms() ->
    [Seen || {{py_memory, poor}, Seen} <- alarm_handler:get_alarms()].

%% Statements in this worker alone.
in_worker(Slot, Code) ->
    OsPid = lists:nth(Slot, fixture:os_pids(poor)),
    Lines = [["    ", Line, "\n"] || Line <- string:split(Code, "\n", all)],
    ok = py:exec_all(["if os.getpid() == ", integer_to_list(OsPid), ":\n", Lines],
                     #{pool => poor}).

%% ---------------------------------------------------------------------------

garbage() ->
    with_pool(2, ?BUDGET, fun(Pool) ->
        [in_worker(Slot, "gc.disable()\ncycle = [bytearray(120_000_000)]\ncycle.append(cycle)\n"
                         "del cycle") || Slot <- [1, 2]],
        await_said("within their budget again"),
        tap:note("~ts", [lists:join("\n", said())]),
        {ok, #{workers := Workers}} = py:memory_stats(poor),
        ?assert(lists:sum([Rss || #{rss := Rss} <- Workers]) < ?BUDGET),
        ?assertNot(has_said("refused")),
        ?assertEqual([], alarms()),
        ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>, #{}, Pool))
    end).

kept() ->
    with_pool(2, ?BUDGET, fun(Pool) ->
        ok = py:exec_all(<<"kept = bytearray(120_000_000)">>, Pool),
        fixture:wait_until(fun() -> element(1, py:eval(<<"1">>, #{}, Pool)) =:= error end),
        {error, {overloaded, memory, #{used := Used, allowed := Allowed}}} =
            py:eval(<<"1">>, #{}, Pool),
        ?assert(Used > 240 * ?MB andalso Allowed =< ?BUDGET),
        {error, {overloaded, memory, _}} = py:stream_open(<<"[1]">>, Pool),
        {error, [{error, {overloaded, memory, _}}]} = py:parallel([{math, sqrt, [4]}], Pool),
        ?assertMatch([#{used := _, allowed := _}], alarms()),
        ok = py:exec_all(<<"del kept">>, Pool),
        fixture:wait_until(fun() -> {ok, 1} =:= py:eval(<<"1">>, #{}, Pool) end),
        tap:note("~ts", [lists:join("\n", said())]),
        Rested = [Slot || Slot <- [1, 2],
                          has_said(io_lib:format("worker ~b gets no new calls", [Slot]))],
        ?assertEqual([1, 2], Rested),
        fixture:wait_until(fun() -> alarms() =:= [] end)
    end).

%% What the budget asks of a worker, asked by the test.
spared() ->
    with_pool(2, ?BUDGET, fun(Pool) ->
        [#{pid := Worker, os_pid := First}, #{os_pid := Second}] = fixture:workers(poor),
        ok = py_worker:spare(Worker, true),
        #{state := idle} = py_worker:info(Worker, infinity),
        ?assertEqual([Second], who_works(Pool)),
        ok = py_worker:spare(Worker, false),
        fixture:wait_until(fun() -> lists:sort([First, Second]) =:= who_works(Pool) end)
    end),
    with_pool(1, ?BUDGET, fun(Pool) ->
        [#{pid := Worker}] = fixture:workers(poor),
        ok = py_worker:spare(Worker, true),
        ?assertEqual({error, timeout}, py:eval(<<"1">>, #{}, Pool#{timeout => 50})),
        Ref = py:spawn_call(math, sqrt, [4], #{}, Pool),
        fixture:wait_until(fun() -> #{queue := #{waiting := N}} = py:info(poor), N > 0 end),
        ok = py_worker:spare(Worker, false),
        ?assertEqual({ok, 2.0}, py:await(Ref))
    end).

%% The programs that share many calls.
who_works(Pool) ->
    {ok, OsPids} = py:parallel(lists:duplicate(50, {os, getpid, []}), Pool),
    lists:usort(OsPids).

bound() ->
    with_pool(1, ?BUDGET, fun(Pool) ->
        ok = py:exec(<<"kept = bytearray(300_000_000)">>, Pool),
        Ask = fun() -> py:await(py:spawn_call(math, sqrt, [4], #{}, Pool)) end,
        ?assertEqual({ok, 2.0}, Ask()),
        fixture:wait_until(fun() -> element(1, others(Pool)) =:= error end),
        ok = py:exec(<<"del kept">>, Pool),
        fixture:wait_until(fun() -> {ok, 2.0} =:= others(Pool) end),
        ok = py:unbind(poor)
    end).

lifted() ->
    with_pool(1, ?BUDGET, fun(Pool) ->
        ok = py:exec_all(<<"kept = bytearray(300_000_000)">>, Pool),
        fixture:wait_until(fun() -> element(1, py:eval(<<"1">>, #{}, Pool)) =:= error end),
        ok = py:set_memory(poor, #{budget => infinity}),
        fixture:wait_until(fun() -> {ok, 1} =:= py:eval(<<"1">>, #{}, Pool) end),
        ?assertEqual([], alarms()),
        ok = py:set_memory(poor, #{budget => ?BUDGET}),
        fixture:wait_until(fun() -> element(1, py:eval(<<"1">>, #{}, Pool)) =:= error end)
    end).

%% What a process that is bound to none is told.
others(Pool) ->
    Self = self(),
    Pid = spawn(fun() -> Self ! {self(), py:call(math, sqrt, [4], #{}, Pool)} end),
    receive {Pid, Result} -> Result end.

percent() ->
    Least = lists:min([Size || #{size := Size} <- py_os_room:places(self)]),
    Percent = 1,
    with_pool(1, {percent, Percent}, fun(Pool) ->
        ok = py:exec_all(["kept = bytearray(", integer_to_list(Least div 100), ")"], Pool),
        fixture:wait_until(fun() -> element(1, py:eval(<<"1">>, #{}, Pool)) =:= error end),
        {error, {overloaded, memory, #{allowed := Allowed}}} = py:eval(<<"1">>, #{}, Pool),
        ?assert(Allowed =< Least div 100)
    end).

stopped() ->
    with_pool(1, ?BUDGET, fun(Pool) ->
        ok = py:exec_all(<<"kept = bytearray(300_000_000)">>, Pool),
        fixture:wait_until(fun() -> alarms() =/= [] end)
    end),
    fixture:wait_until(fun() -> alarms() =:= [] end).

no_alarm() ->
    Handler = whereis(alarm_handler),
    1 = erlang:trace(Handler, true, ['receive']),
    with_pool(1, infinity, fun(Pool) -> {ok, 1} = py:eval(<<"1">>, #{}, Pool) end),
    1 = erlang:trace(Handler, false, ['receive']),
    receive {trace, Handler, 'receive', {notify, Event}} -> error({heard, Event}) after 0 -> ok end.
