#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% erlang.on_message: messages go to a handler, one at a time, between calls or beside
%% them; what a handler does wrong, and how it ends.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, timeout => 5_000, init => <<"import erlang, handlers">>}, [
        {"in order, and what is there already", fun order/0},
        {"none any more: receive takes them", fun none_any_more/0},
        {"another one takes its place", fun replaced/0},
        {"as a decorator, and wrong arguments", fun decorator/0},
        {"between calls", fun between_calls/0},
        {"a coroutine function: beside calls, one at a time", fun coroutine/0},
        {"what it raises is in the log, with the place", fun raises/0},
        {"SystemExit ends no worker", fun exits/0},
        {"what Python has no value for", fun no_value/0},
        {"an iterator is no message", fun iterator/0},
        {"receive in a handler takes the next", fun receive_in_handler/0},
        {"a call that waits comes first", fun receive_first/0},
        {"a handler that ends itself", fun ends_itself/0},
        {"in a context", fun context/0},
        {"from a thread and a coroutine it is the worker's", fun elsewhere/0},
        {"nobody has asked for it", fun nobody/0},
        {"in a forked child", fun in_child/0},
        {"contexts that are closed leave nothing", fun closed/0},
        {"a context is closed while a handler runs", fun closed_meanwhile/0},
        {"a handler uses its context", fun idle/0},
        {"out of time", fun out_of_time/0},
        {"a coroutine that is out of time", fun coroutine_out_of_time/0},
        {"what it waits for is not its time", fun own_time/0},
        {"what does not fit into a frame", fun too_large/0},
        {"a burst", fun burst/0},
        {"in init, and after a restart", fun restart/0},
        {"by exec_all", fun exec_all/0},
        {"the worker's death", fun death/0},
        {"a message counts as a call", fun recycle/0},
        {"the pool stops", fun stop/0}
    ]))).

-define(W, {default, 1}).

on(Name) -> on(Name, #{}).
on(Name, Options) -> ?assertEqual({ok, true}, py:call(handlers, on, [Name], #{}, Options)).

send(Messages) -> send(?W, Messages).
send(To, Messages) -> [?assertEqual(ok, py:send(To, Message)) || Message <- Messages].

%% What handlers have kept, when it is so many.
await(N) -> await(N, #{}).
await(N, Options) ->
    Count = fun() -> {ok, M} = py:eval("len(__import__('handlers').got)", #{}, Options), M end,
    fixture:wait_until(fun() -> Count() >= N end),
    {ok, Kept} = py:call(handlers, taken, [], #{}, Options),
    Kept.

failed() ->
    Event = logbook:await(fun(#{msg := {Format, _}}) -> is_list(Format) andalso string:find(Format, "a handler of messages") =/= nomatch;
                             (_) -> false
                          end),
    logbook:clear(),
    iolist_to_binary(logbook:text(Event)).

has(Text, Part) -> ?assertNotEqual({nomatch, Text}, {string:find(Text, Part), Text}).

order() ->
    send([first]),
    on(keep),
    send(lists:seq(1, 300)),
    ?assertEqual([first | lists:seq(1, 300)], await(301)).

none_any_more() ->
    on(none),
    send([a]),
    ?assertEqual({ok, a}, py:eval("erlang.receive(5)")),
    ?assertEqual({ok, []}, py:call(handlers, taken, [])).

replaced() ->
    on(keep),
    {ok, Before} = py:call(handlers, kept, []),
    on(keep_later),
    on(keep),
    fixture:wait_until(fun() -> {ok, Before} =:= py:call(handlers, kept, []) end),
    send([a]),
    ?assertEqual([a], await(1)).

decorator() ->
    ok = py:exec("
@erlang.on_message
def doubled(message):
    handlers.got.append(2 * message)
"),
    ?assertEqual({ok, true}, py:eval("callable(doubled)")),
    send([4]),
    ?assertEqual([8], await(1)),
    ?assertEqual({error, {'TypeError', <<"a handler is a function, not int">>}}, py:eval("erlang.on_message(1)")),
    send([5]),
    ?assertEqual([10], await(1)),
    ok = py:unbind(default),
    on(keep).

%% It waits for the call that runs, and the next call for it.
between_calls() ->
    Ref = py:spawn_call(time, sleep, [0.2]),
    fixture:wait_until(fun() -> lists:any(fun(#{running := R}) -> R =/= none end, maps:get(workers, py:info(default))) end),
    send([a, b]),
    ?assertEqual({ok, none}, py:await(Ref)),
    ?assertEqual([a, b], await(2)).

coroutine() ->
    on(keep_later),
    send([1, 2, 3]),
    Begins = await(1),
    ?assert(length(Begins) < 6),    % a call has come between
    Rest = await(6 - length(Begins)),
    ?assertEqual([{What, N} || N <- [1, 2, 3], What <- [<<"begin">>, <<"end">>]], Begins ++ Rest),
    on(keep).

raises() ->
    send([raise, next_one]),
    ?assertEqual([next_one], await(1)),
    Sync = failed(),
    [has(Sync, Part) || Part <- ["in worker 1 of pool default", "handlers.py", "in keep", "ValueError: the message is bad"]],
    on(keep_later),
    send([raise, a]),
    ?assertEqual(3, length(await(3))),
    has(failed(), "in keep_later"),
    on(keep).

exits() ->
    [OsPid] = fixture:os_pids(),
    send([exit, a]),
    ?assertEqual([a], await(1)),
    has(failed(), "SystemExit"),
    ?assertEqual([OsPid], fixture:os_pids()).

no_value() ->
    send([<<255>>, a]),
    ?assertEqual([a], await(1)),
    has(failed(), "binary is not UTF-8").

iterator() ->
    send([{iter, [1, 2]}, #{a => {iter, fun() -> [] end}}, a]),
    fixture:wait_until(fun() -> a =:= lists:last([none | await(0)]) end),
    logbook:clear().

receive_in_handler() ->
    send([next, inner, a]),
    ?assertEqual([inner, next, a], await(3)).

ends_itself() ->
    send([a, off, b]),
    ?assertEqual([a, off], await(2)),
    ?assertEqual({ok, b}, py:eval("erlang.receive(5)")),
    ?assertEqual([], await(0)),
    on(keep).

receive_first() ->
    Ref = py:spawn_call(erlang, 'receive', [5]),
    fixture:wait_until(fun() -> lists:any(fun(#{running := R}) -> R =/= none end, maps:get(workers, py:info(default))) end),
    timer:sleep(20),    % its wish is on the way
    send([for_the_call, for_the_handler]),
    ?assertEqual({ok, for_the_call}, py:await(Ref)),
    ?assertEqual([for_the_handler], await(1)).

%% ---------------------------------------------------------------------------
%% Whose it is

context() ->
    py_context:with(fun(C) ->
        send(C, [before]),
        ok = py:exec("seen = []\ndef see(m): seen.append((m, own))\nown = 7\nerlang.on_message(see)", #{}, #{context => C}),
        send([for_worker]),
        send(C, [for_c]),
        ?assertEqual([for_worker], await(1)),
        fixture:wait_until(fun() -> py:eval("seen", #{}, #{context => C}) =:= {ok, [{before, 7}, {for_c, 7}]} end),
        ok = py:exec("erlang.on_message(None)", #{}, #{context => C}),
        send(C, [a]),
        send([b]),
        ?assertEqual({ok, a}, py:eval("erlang.receive(5)", #{}, #{context => C})),
        ?assertEqual([b], await(1))
    end).

elsewhere() ->
    py_context:with(fun(C) ->
        [begin
             on(none),
             {ok, none} = py:call(handlers, How, [], #{}, #{context => C}),
             send(C, [for_nobody]),
             send([for_worker]),
             ?assertEqual([for_worker], await(1))
         end || How <- [on_in_thread, on_in_coroutine]]
    end).

nobody() ->
    ok = py:exec("erlang.on_message(lambda m: handlers.got.append(erlang.self()))"),
    send([a]),
    ?assertEqual([none], await(1)),
    ok = py:unbind(default),
    on(keep).

in_child() ->
    ?assertEqual({ok, <<"SendError: there is no connection to Erlang any more">>},
                 py:eval("__import__('given').in_child(erlang.on_message, print)")).

closed() ->
    {ok, Before} = py:call(handlers, kept, []),
    [py_context:with(fun(C) ->
         ok = py:exec("erlang.on_message(lambda m: None)", #{}, #{context => C}),
         send(C, [a])
     end) || _ <- lists:seq(1, 100)],
    fixture:wait_until(fun() -> {ok, Before} =:= py:call(handlers, kept, []) end).

closed_meanwhile() ->
    {ok, C} = py_context:open(),
    on(keep_later, #{context => C}),
    send(C, [long, b]),
    ?assertEqual([{<<"begin">>, long}], await(1)),
    logbook:clear(),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> {error, {badarg, <<"the context is closed">>}} =:= py:send(C, 1) end),
    send([a]),
    ?assertEqual([a], await(1)),
    ?assertEqual([], logbook:find(fun(#{level := Level}) -> Level =:= warning end)).

%% While it waits, nothing else of that context is under way.
idle() ->
    {ok, C} = py_context:open(#{idle => 30}),
    ok = py:exec("async def wait(m):\n    await __import__('asyncio').sleep(0.3)\n    handlers.got.append(handlers)\n",
                 #{}, #{context => C}),
    ok = py:exec("import handlers, asyncio\nasync def wait(m):\n    await asyncio.sleep(0.3)\n    handlers.got.append(m)\n"
                 "erlang.on_message(wait)", #{}, #{context => C}),
    send(C, [a]),
    ?assertEqual([a], await(1)).

%% ---------------------------------------------------------------------------
%% Time and room

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(other, maps:merge(#{size => 1, python_path => [fixture:python_path()],
                                                init => <<"import erlang, handlers\nhandlers.on('keep')">>}, Options)),
    try Fun({other, 1}, #{pool => other}) after ok = py:stop_pool(other), logbook:clear() end.

out_of_time() ->
    with_pool(#{timeout => 200}, fun(To, O) ->
        send(To, [{sleep, 60}, a]),
        ?assertEqual([a], await(1, O#{timeout => 5_000})),
        has(failed(), "timeout")
    end).

coroutine_out_of_time() ->
    with_pool(#{timeout => 200}, fun(To, O) ->
        on(keep_later, O),
        send(To, [long, a]),
        ?assertEqual([{<<"begin">>, long}, {<<"begin">>, a}, {<<"end">>, a}], await(3, O)),
        has(failed(), "timeout")
    end).

own_time() ->
    with_pool(#{timeout => 200}, fun(To, O) ->
        Ref = py:spawn_call(time, sleep, [0.7], #{}, O#{timeout => 5_000}),
        send(To, [a]),
        {ok, none} = py:await(Ref),
        ?assertEqual([a], await(1, O))
    end).

too_large() ->
    with_pool(#{max_frame => 65_536}, fun(To, O) ->
        send(To, [binary:copy(<<"x">>, 100_000), a]),
        ?assertEqual([a], await(1, O)),
        has(failed(), "larger than max_frame")
    end).

burst() ->
    Ref = py:spawn_call(time, sleep, [1]),
    fixture:wait_until(fun() -> lists:any(fun(#{running := R}) -> R =/= none end, maps:get(workers, py:info(default))) end),
    Sent = send_until_full(0),
    {ok, none} = py:await(Ref),
    ?assertEqual(lists:seq(0, Sent - 1), await(Sent)),
    ?assertEqual(10_001, Sent).     % one is on its way

send_until_full(N) ->
    case py:send(?W, N) of
        ok -> send_until_full(N + 1);
        {error, {overloaded, messages, 10_000}} -> N
    end.

%% ---------------------------------------------------------------------------
%% Ends

restart() ->
    with_pool(#{}, fun(To, O) ->
        send(To, [a]),
        ?assertEqual([a], await(1, O)),
        ok = py:restart_workers(other),
        send(To, [b]),
        ?assertEqual([b], await(1, O))
    end).

exec_all() ->
    with_pool(#{size => 2, init => []}, fun(_, _) ->
        ok = py:exec_all(<<"import erlang, handlers\nhandlers.on('keep')">>, #{pool => other}),
        [begin
             send({other, N}, [N]),
             ?assertEqual([N], await(1, #{pool => {other, N}}))
         end || N <- [1, 2]]
    end).

death() ->
    with_pool(#{}, fun(To, O) ->
        send(To, [{sleep, 60}, lost]),
        fixture:wait_until(fun() -> [message] =:= [R || #{running := R} <- maps:get(workers, py:info(other))] end),
        [#{os_pid := OsPid}] = maps:get(workers, py:info(other)),
        _ = fixture:kill("KILL", OsPid),
        fixture:wait_until(fun() -> [OsPid] =/= [P || #{os_pid := P} <- maps:get(workers, py:info(other))] end),
        fixture:wait_until(fun() -> py:send(To, a) =:= ok end),
        ?assertEqual([a], await(1, O))
    end).

recycle() ->
    with_pool(#{recycle => #{calls => 4, jitter => 0}}, fun(To, _) ->
        [#{os_pid := OsPid}] = maps:get(workers, py:info(other)),
        send(To, [1, 2, 3, 4]),
        fixture:wait_until(fun() -> [OsPid] =/= [P || #{os_pid := P} <- maps:get(workers, py:info(other))] end)
    end).

stop() ->
    with_pool(#{}, fun(To, _) -> send(To, [{sleep, 0.1} | lists:seq(1, 1000)]) end).
