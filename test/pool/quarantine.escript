#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool option `quarantine': functions that cost worker after worker their memory
%% are refused; and what is remembered of a pool's workers beyond its processes.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 1}, logbook:kept([
        {"a function that costs too many workers is refused", fun quarantine/0},
        {"calls that wait for a function that is refused are, too", fun quarantine_waiting/0},
        {"a coroutine is blamed, and not what was answered beside it", fun() -> beside(too_much_later, #{}) end},
        {"so is a call on one of several threads", fun() -> beside(too_much, #{threads => 3}) end},
        {"a handler of messages that costs too many workers gets no more", fun handler/0},
        {"what was counted outlives the pool's supervisor", fun kept/0}
    ]))).

%% Starts the pool `p'; the test stops it, but for one that fails.
start(Recycle, Options) ->
    _ = py:stop_pool(p, 0),
    {ok, _} = py:start_pool(p, maps:merge(#{size => 1, recycle => Recycle,
                                            python_path => [fixture:python_path()],
                                            init => <<"import os, time, glutton, wedge">>},
                                          Options)),
    #{pool => p}.

stop() -> ok = py:stop_pool(p).

recycled() ->
    #{recycled := Recycled} = py:info(p),
    Recycled.

waiting() ->
    #{queue := #{waiting := N}} = py:info(p),
    N.

quarantine() ->
    In = start(#{memory_errors => 1}, #{quarantine => 2}),
    Bad = fun(Name) -> py:call(glutton, Name, [], #{}, In) end,
    ?assertMatch({error, {'MemoryError', _}}, Bad(too_much)),
    ?assertMatch({error, {'MemoryError', _}}, Bad(<<"too_much">>)),
    fixture:wait_until(fun() -> #{quarantined := Q} = py:info(p), length(Q) =:= 1 end),
    ?assertEqual({error, {quarantined, {glutton, too_much, 0}, memory_errors}}, Bad(too_much)),
    ?assertMatch({error, {quarantined, {glutton, <<"too_much">>, 0}, _}}, Bad(<<"too_much">>)),
    ?assertEqual({ok, none}, Bad(drop)),
    ?assertMatch(#{quarantined := [{{<<"glutton">>, <<"too_much">>, 0}, memory_errors}]}, py:info(p)),
    ok = py:unquarantine(p, {glutton, too_much, 0}),
    ?assertMatch({error, {'MemoryError', _}}, Bad(too_much)),
    ?assertMatch({error, {'MemoryError', _}}, Bad(too_much)),
    fixture:wait_until(fun() -> #{quarantined := Q} = py:info(p), length(Q) =:= 1 end),
    ok = py:unquarantine(p),
    ?assertMatch(#{quarantined := []}, py:info(p)),
    ?assertError(badarg, py:unquarantine(p, "x")),
    stop().

quarantine_waiting() ->
    In = start(#{memory_errors => 1}, #{quarantine => 2}),
    Held = fixture:hold(In),
    Bad = [py:spawn_call(glutton, too_much, [], #{}, In) || _ <- lists:seq(1, 20)],
    Good = py:spawn_call(glutton, has_met, [], #{}, In),
    fixture:wait_until(fun() -> waiting() =:= 21 end),
    {ok, _} = fixture:release(Held),
    Classes = [Class || Ref <- Bad, {error, Reason} <- [py:await(Ref)], Class <- [element(1, Reason)]],
    ?assertEqual(#{'MemoryError' => 2, quarantined => 18},
                 maps:from_list([{C, fixture:count(fun(X) -> X =:= C end, Classes)} || C <- Classes])),
    ?assertEqual({ok, false}, py:await(Good)),
    fixture:wait_until(fun() -> recycled() =:= #{memory_errors => 2} end),
    stop().

%% Which of the threads that answer comes first is a matter of luck: so it is tried
%% several times, with as many answers of the others as there can be.
beside(Name, Options) ->
    [begin
         In = start(#{memory_errors => 1}, Options#{quarantine => 1}),
         Short = [spawn_link(fun() -> call_for_ever(In) end) || _ <- [1, 2, 3, 4]],
         ?assertMatch({error, {'MemoryError', _}}, py:call(glutton, Name, [], #{}, In)),
         fixture:wait_until(fun() -> recycled() =:= #{memory_errors => 1} end),
         #{quarantined := [{{<<"glutton">>, Blamed, 0}, memory_errors}]} = py:info(p),
         ?assertEqual(atom_to_binary(Name), Blamed),
         [begin unlink(Pid), exit(Pid, kill) end || Pid <- Short],
         stop()
     end || _ <- lists:seq(1, 12)].

call_for_ever(In) ->
    _ = py:call(glutton, has_met, [], #{}, In),
    call_for_ever(In).

handler() ->
    Code = <<"import erlang, glutton\n"
             "erlang.on_message(lambda m: glutton.too_much() if m == 'much' else glutton.kept.append(m))">>,
    In = start(#{memory_errors => 1}, #{quarantine => 1, init => Code}),
    Kept = fun() -> py:eval("__import__('glutton').kept", #{}, In) end,
    send(much),
    fixture:wait_until(fun() -> recycled() =:= #{memory_errors => 1} end),
    ?assertMatch(#{quarantined := [{message, memory_errors}]}, py:info(p)),
    logbook:clear(),
    send(refused),
    Event = logbook:await(fun(#{level := Level}) -> Level =:= warning end),
    ?assertMatch({match, _}, re:run(logbook:text(Event), "\\{quarantined,message,memory_errors\\}")),
    ?assertEqual({ok, []}, Kept()),
    ok = py:unquarantine(p, message),
    fixture:wait_until(fun() -> #{quarantined := Q} = py:info(p), Q =:= [] end),
    send(taken),
    fixture:wait_until(fun() -> Kept() =:= {ok, [taken]} end),
    stop().

send(Message) -> fixture:wait_until(fun() -> py:send({p, 1}, Message) =:= ok end).

kept() ->
    In = start(#{memory_errors => 1}, #{quarantine => 1}),
    {error, _} = py:call(glutton, too_much, [], #{}, In),
    fixture:wait_until(fun() -> recycled() =:= #{memory_errors => 1} end),
    #{quarantined := Refused} = py:info(p),
    {_, Sup, _, _} = lists:keyfind({pool, p}, 1, supervisor:which_children(py_sup)),
    exit(Sup, kill),
    fixture:wait_until(fun() -> pool_sup() =/= Sup andalso is_map(py:info(p)) end),
    ?assertMatch(#{recycled := #{memory_errors := 1}, quarantined := Refused}, py:info(p)),
    fixture:wait_until(fun() -> py:call(glutton, drop, [], #{}, In) =:= {ok, none} end),
    ?assertMatch({error, {quarantined, _, _}}, py:call(glutton, too_much, [], #{}, In)),
    stop(),
    start(#{memory_errors => 1}, #{quarantine => 1}),
    ?assertMatch(#{recycled := Recycled, quarantined := []} when map_size(Recycled) =:= 0, py:info(p)),
    stop().

pool_sup() ->
    element(2, lists:keyfind({pool, p}, 1, supervisor:which_children(py_sup))).
