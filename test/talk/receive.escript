#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Messages to Python: py:send and erlang.receive, for a worker and for a context; what is
%% too much, too late, or for nobody.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import inbox">>}, [
        {"sent before it is taken, and after", fun both_ways/0},
        {"any term, as in arguments", fun terms/0},
        {"in the order in which one process sent them", fun order/0},
        {"nothing comes in time", fun timeouts/0},
        {"no time at all", fun poll/0},
        {"seconds are milliseconds, rounded up, here and for channels", fun rounded/0},
        {"wrong arguments", fun wrong/0},
        {"a context has messages of its own", fun contexts/0},
        {"in a thread they are the worker's", fun threads/0},
        {"each message is taken once", fun once/0},
        {"in a stream", fun streams/0},
        {"in a forked child", fun in_child/0},
        {"in a nested call", fun nested/0},
        {"in init code, and to a worker that is just starting", fun starting/0},
        {"to a worker that is not there", fun nobody/0},
        {"to a context that is closed", fun closed/0},
        {"a context is closed while it waits", fun closed_meanwhile/0},
        {"its owner's death closes it", fun owner_dies/0},
        {"more than may wait", fun full/0},
        {"a call that is out of time takes nothing", fun out_of_time/0},
        {"a call that is cancelled takes nothing", fun cancelled/0},
        {"a caller that dies takes nothing", fun caller_dies/0},
        {"a message that Python has no value for", fun no_value/0},
        {"a message that does not fit into a frame", fun too_large/0},
        {"the worker's end drops what was sent", fun worker_dies/0},
        {"the worker does not go on without the process that keeps them", fun inbox_killed/0},
        {"urgent requests are answered while Python waits", fun urgent/0},
        {"many senders", fun many/0},
        {"a worker that gets nothing has no process for it", fun no_process/0}
    ]))).

-define(W, {default, 1}).

take(Timeout) -> py:call(inbox, take, [Timeout]).

none_within(Text) -> {ok, [<<"TimeoutError">>, <<"there was no message within ", Text/binary, " s">>]}.

inboxes() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_talk_inbox, init, 1}].

%% Whether a call of Python's waits for a message, or a message for a call.
waits() ->
    [] =/= [Box || Pid <- inboxes(), Box <- maps:values(element(6, sys:get_state(Pid))),
                   Box =/= {box, queue:new(), 0, [], none, false}].

both_ways() ->
    ok = py:send(?W, {hello, 1}),
    ?assertEqual({ok, {hello, 1}}, take(5)),
    Ref = py:spawn_call(inbox, take, [none]),
    fixture:wait_until(fun waits/0),
    ok = py:send(?W, late),
    ?assertEqual({ok, late}, py:await(Ref)).

terms() ->
    Terms = [none, [], [none], <<"text">>, 1.5, self(), make_ref(), #{a => [1, {2}]}, {point, 1}, undefined, "list"],
    [begin
         ok = py:send(?W, Term),
         ?assertEqual({ok, Same}, take(5))
     end || {Term, Same} <- lists:zip(Terms, [case T of undefined -> none; _ -> T end || T <- Terms])].

order() ->
    [ok = py:send(?W, N) || N <- lists:seq(1, 500)],
    ?assertEqual({ok, lists:seq(1, 500)}, py:call(inbox, take_all, [500])).

timeouts() ->
    {Us, Result} = timer:tc(fun() -> take(0.2) end),
    ?assertEqual(none_within(<<"0.2">>), Result),
    ?assert(Us >= 200_000),
    ok = py:send(?W, next),
    ?assertEqual({ok, next}, take(0.2)).

rounded() ->
    [?assertEqual({Seconds, {ok, [Ms, Ms]}},
                  {Seconds, py:eval("[erlang._milliseconds(s), __import__('erlang._channel')._channel._limit(s)]",
                                    #{s => Seconds})})
     || {Seconds, Ms} <- [{0, 0}, {-1, 0}, {0.0004, 1}, {0.0011, 2}, {0.05, 50}, {0.07, 70}, {1, 1000}, {1.0e12, 16#ffffffff},
                          {1 bsl 2000, 16#ffffffff}, {-1.0e308, 0}, {-(1 bsl 2000), 0}, {{decimal, <<"0.0701">>}, 71}]],
    ?assertEqual({ok, [none, infinity]},
                 py:eval("[erlang._milliseconds(None), __import__('erlang._channel')._channel._limit(None)]")).

poll() ->
    ?assertEqual(none_within(<<"0">>), take(0)),
    ?assertEqual(none_within(<<"-1">>), take(-1)),
    ok = py:send(?W, there),
    ?assertEqual({ok, there}, take(0)).

wrong() ->
    [?assertError(badarg, py:send(To, 1)) || To <- [default, {default, all}, {default, 0}, self(), {default}]],
    {error, {'TypeError', _}} = py:eval("erlang.receive('x')"),
    {error, {'TypeError', _}} = py:eval("erlang.receive(1, 2)").

%% ---------------------------------------------------------------------------
%% Whose they are

contexts() ->
    {ok, C} = py_context:open(),
    {ok, D} = py_context:open(),
    [ok = py:send(To, Term) || {To, Term} <- [{C, for_c}, {D, for_d}, {?W, for_worker}]],
    Take = fun(Options) -> py:call(inbox, take, [0], #{}, Options) end,
    ?assertEqual({ok, for_d}, Take(#{context => D})),
    ?assertEqual(none_within(<<"0">>), Take(#{context => D})),
    ?assertEqual({ok, for_worker}, Take(#{})),
    ?assertEqual({ok, for_c}, Take(#{context => C})),
    [ok = py_context:close(It) || It <- [C, D]].

threads() ->
    py_context:with(fun(C) ->
        ok = py:send(C, for_c),
        ok = py:send(?W, for_worker),
        ?assertEqual({ok, for_worker}, py:call(inbox, in_thread, [5], #{}, #{context => C})),
        ?assertEqual({ok, for_c}, py:call(inbox, take, [5], #{}, #{context => C}))
    end).

once() ->
    Ref = py:spawn_call(inbox, in_threads, [50]),
    fixture:wait_until(fun waits/0),
    [ok = py:send(?W, N) || N <- lists:seq(1, 50)],
    ?assertEqual({ok, lists:seq(1, 50)}, py:await(Ref)),
    ?assertEqual(none_within(<<"0">>), take(0)).

in_child() ->
    ?assertEqual({ok, <<"SendError: there is no connection to Erlang any more">>},
                 py:eval("__import__('given').in_child(erlang.receive, 1)")).

streams() ->
    Ref = spawn_monitor(fun() -> exit(py:stream(inbox, items, [3])) end),
    fixture:wait_until(fun waits/0),
    [ok = py:send(?W, N) || N <- [1, 2, 3]],
    {_, Monitor} = Ref,
    receive {'DOWN', Monitor, process, _, Result} -> ?assertEqual({ok, [1, 2, 3]}, Result) end.

%% What is nested is its function's: it has the box of its own request.
nested() ->
    {ok, C} = py_context:open(),
    ok = py:register_function(takes, fun() -> {py:call(inbox, take, [0]), py:call(inbox, take, [0], #{}, #{context => C})} end),
    [ok = py:send(To, Term) || {To, Term} <- [{C, for_c}, {?W, for_worker}]],
    ?assertEqual({ok, {{ok, for_worker}, {ok, for_c}}}, py:eval("erlang.call('takes')")),
    ok = py_context:close(C).

%% ---------------------------------------------------------------------------
%% For nobody

starting() ->
    Init = <<"import inbox; early = inbox.take(20)">>,
    {ok, _} = py:start_pool(early, #{size => 1, init => Init, python_path => [fixture:python_path()]}),
    ?assertEqual({ok, [<<"SendError">>, <<"nobody can send to a worker that is starting">>]},
                 py:eval("early", #{}, #{pool => early})),
    Restarts = spawn_monitor(fun() -> [ok = py:restart_workers(early) || _ <- lists:seq(1, 5)] end),
    Sent = send_while(Restarts, 0),
    tap:note("~b messages", [Sent]),
    ?assert(Sent > 0),
    ok = py:stop_pool(early).

%% It is taken, or says that the worker is gone.
send_while({Pid, Ref} = Restarts, N) ->
    case py:send({early, 1}, N) of
        ok -> ok;
        {error, {worker_exit, _}} -> ok;
        {error, {no_worker, _}} -> ok;
        {error, {overloaded, messages, _}} -> ok
    end,
    receive {'DOWN', Ref, process, Pid, normal} -> N + 1 after 1 -> send_while(Restarts, N + 1) end.

nobody() ->
    ?assertEqual({error, {no_worker, {default, 2}}}, py:send({default, 2}, 1)),
    ?assertEqual({error, {no_pool, nowhere}}, py:send({nowhere, 1}, 1)),
    {ok, _} = py:start_pool(brief, #{size => 1}),
    {ok, C} = py_context:open(#{pool => brief}),
    ok = py:stop_pool(brief),
    ?assertMatch({error, {worker_exit, _}}, py:send(C, 1)).

closed() ->
    {ok, C} = py_context:open(),
    ok = py:send(C, dropped),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> {error, {badarg, <<"the context is closed">>}} =:= py:send(C, 1) end),
    fixture:wait_until(fun() -> not waits() end).

closed_meanwhile() ->
    {ok, C} = py_context:open(),
    Ref = py:spawn_call(inbox, take, [none], #{}, #{context => C}),
    fixture:wait_until(fun waits/0),
    ok = py_context:close(C),
    ?assertEqual({ok, [<<"SendError">>, <<"the context is closed">>]}, py:await(Ref)).

owner_dies() ->
    Self = self(),
    Owner = spawn(fun() -> Self ! py_context:open(), receive stop -> ok end end),
    C = receive {ok, It} -> It end,
    ok = py:send(C, dropped),
    exit(Owner, kill),
    fixture:wait_until(fun() -> {error, {badarg, <<"the context is closed">>}} =:= py:send(C, 1) end),
    fixture:wait_until(fun() -> not waits() end).

full() ->
    [ok = py:send(?W, N) || N <- lists:seq(1, 10_000)],
    ?assertEqual({error, {overloaded, messages, 10_000}}, py:send(?W, more)),
    py_context:with(fun(C) -> ?assertEqual(ok, py:send(C, 1)) end),
    ?assertEqual({ok, 1}, take(0)),
    ?assertEqual(ok, py:send(?W, 10_001)),
    ?assertEqual({ok, lists:seq(2, 10_001)}, py:call(inbox, take_all, [10_000])).

%% ---------------------------------------------------------------------------
%% Ends

%% What comes afterwards is there for the next one.
takes_nothing(Kept) ->
    fixture:wait_until(fun() -> not waits() end),
    ok = py:send(?W, Kept),
    ?assertEqual({ok, Kept}, take(5)).

out_of_time() ->
    ?assertEqual({error, timeout}, py:call(inbox, take, [60], #{}, 200)),
    takes_nothing(a),
    _ = py:call(inbox, survives, [60], #{}, 200),
    takes_nothing(b).

cancelled() ->
    Ref = py:spawn_call(inbox, take, [60]),
    fixture:wait_until(fun waits/0),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    takes_nothing(c).

caller_dies() ->
    Pid = spawn(fun() -> take(60) end),
    fixture:wait_until(fun waits/0),
    exit(Pid, kill),
    takes_nothing(d).

no_value() ->
    ok = py:send(?W, <<255>>),
    ok = py:send(?W, next),
    {error, {badarg, <<"answer[0]: binary is not UTF-8", _/binary>>}} = take(5),
    ?assertEqual({ok, next}, take(5)).

too_large() ->
    {ok, _} = py:start_pool(small, #{size => 1, max_frame => 65_536, python_path => [fixture:python_path()]}),
    ok = py:send({small, 1}, binary:copy(<<"x">>, 100_000)),
    ok = py:send({small, 1}, next),
    Take = fun() -> py:call(inbox, take, [5], #{}, #{pool => small}) end,
    {ok, [<<"SendError">>, <<"the message is larger than max_frame (", _/binary>>]} = Take(),
    ?assertEqual({ok, next}, Take()),
    ok = py:stop_pool(small).

worker_dies() ->
    ok = py:send(?W, dropped),
    [OsPid] = fixture:os_pids(),
    Ref = py:spawn_call(inbox, take_all, [2]),
    fixture:wait_until(fun waits/0),
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    fixture:wait_until(fun() -> none_within(<<"0">>) =:= take(0) end),
    fixture:wait_until(fun() -> length(inboxes()) =:= 1 end).

inbox_killed() ->
    Ref = py:spawn_call(inbox, take, [60]),
    fixture:wait_until(fun waits/0),
    [Inbox] = inboxes(),
    exit(Inbox, kill),
    ?assertMatch({error, {worker_exit, _}}, py:await(Ref)),
    fixture:wait_until(fun() -> ok =:= py:send(?W, again) end),
    ?assertEqual({ok, again}, take(5)).

urgent() ->
    Ref = py:spawn_call(inbox, take, [60]),
    fixture:wait_until(fun waits/0),
    {ok, #{}} = py:memory_stats(?W),
    {ok, [_ | _]} = py:stack(1),
    ok = py:send(?W, enough),
    ?assertEqual({ok, enough}, py:await(Ref)).

many() ->
    Ref = py:spawn_call(inbox, take_all, [2_000]),
    [spawn(fun() -> [ok = py:send(?W, {N, I}) || I <- lists:seq(1, 50)] end) || N <- lists:seq(1, 40)],
    {ok, Taken} = py:await(Ref),
    [?assertEqual(lists:seq(1, 50), [I || {M, I} <- Taken, M =:= N]) || N <- lists:seq(1, 40)].

no_process() ->
    Before = inboxes(),
    {ok, _} = py:start_pool(quiet, #{size => 1}),
    {ok, 2} = py:eval("1 + 1", #{}, #{pool => quiet}),
    {error, timeout} = py:eval("__import__('time').sleep(20)", #{}, #{pool => quiet, timeout => 100}),
    ?assertEqual(Before, inboxes()),
    ok = py:send({quiet, 1}, 1),
    ?assertEqual(1, length(inboxes() -- Before)),
    ok = py:stop_pool(quiet),
    fixture:wait_until(fun() -> inboxes() =:= Before end).
