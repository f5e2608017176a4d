#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Where a call runs: on a worker that it names, or on each of them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 3, init => <<"import os, wedge">>}, [
        [{["on one worker: ", Name], fun() -> one(Ask) end} || {Name, Ask} <- functions()],
        [{["on each worker: ", Name], fun() -> each(Ask) end} || {Name, Ask} <- each_functions()],
        {"on each: exec, and nobody is bound", fun exec_each/0},
        {"on each: what one raises, another does not", fun some_fail/0},
        {"on each: within the time limit", fun each_late/0},
        {"on each: what it prints", fun each_captured/0},
        {"a worker that is busy: the call waits for it", fun waits/0},
        {"a worker that is busy, until the time limit", fun waits_too_long/0},
        {"a worker that dies: its call is told", fun dies/0},
        {"a worker that is being replaced: the call goes to its successor", fun replaced/0},
        {"there is no such worker", fun no_worker/0},
        {"there is no such pool", fun no_pool/0},
        {"a bound process looks elsewhere and stays bound", fun elsewhere/0},
        {"a bound process names its own worker", fun at_home/0},
        {"exec binds to the worker that it names", fun binds/0},
        {"what cannot run on each worker, or on one", fun misuse/0}
    ])).

functions() ->
    [{"call", fun(In) -> py:call(os, getpid, [], #{}, In) end},
     {"eval", fun(In) -> py:eval(<<"os.getpid()">>, #{}, In) end},
     {"spawn_call", fun(In) -> py:await(py:spawn_call(os, getpid, [], #{}, In)) end},
     {"stream", fun(In) ->
          {ok, [Pid]} = py:stream_eval(<<"(f() for f in [os.getpid])">>, #{}, In),
          {ok, Pid}
      end}].

each_functions() ->
    lists:sublist(functions(), 2).

one(Ask) ->
    [?assertEqual({ok, OsPid}, Ask(#{pool => {default, Id}})) || {Id, OsPid} <- os_pids()].

each(Ask) ->
    ?assertEqual({ok, [{Id, {ok, OsPid}} || {Id, OsPid} <- os_pids()]},
                 Ask(#{pool => {default, all}})).

os_pids() ->
    [{Id, OsPid} || #{id := Id, os_pid := OsPid} <- fixture:workers()].

os_pid(Id) ->
    {Id, OsPid} = lists:keyfind(Id, 1, os_pids()),
    OsPid.

at(Id) ->
    #{pool => {default, Id}}.

exec_each() ->
    ?assertEqual({ok, [{Id, ok} || Id <- [1, 2, 3]]},
                 py:exec(<<"everywhere = os.getpid()">>, at(all))),
    ?assertEqual(undefined, py_binding:home(default)),
    ?assertEqual({ok, [{Id, {ok, OsPid}} || {Id, OsPid} <- os_pids()]},
                 py:eval(<<"everywhere">>, #{}, at(all))).

some_fail() ->
    Code = iolist_to_binary(io_lib:format("1 // (os.getpid() - ~b)", [os_pid(2)])),
    {ok, [{1, {ok, _}}, {2, {error, {'ZeroDivisionError', _}}}, {3, {ok, _}}]} =
        py:eval(Code, #{}, at(all)).

each_late() ->
    Held = fixture:hold(at(2)),
    {ok, [{1, {ok, 1}}, {2, {error, timeout}}, {3, {ok, 1}}]} =
        py:eval(<<"1">>, #{}, #{pool => {default, all}, timeout => 200}),
    fixture:release(Held).

each_captured() ->
    {ok, [{1, {ok, none, <<"x\n">>}}, {2, {ok, none, <<"x\n">>}}, {3, {ok, none, <<"x\n">>}}]} =
        py:eval(<<"print('x')">>, #{}, #{pool => {default, all}, capture => true}).

waits() ->
    Held = fixture:hold(at(2)),
    Ref = py:spawn_call(os, getpid, [], #{}, at(2)),
    %% Others are free.
    ?assertEqual({ok, os_pid(1)}, py:call(os, getpid, [], #{}, at(1))),
    {ok, _} = fixture:release(Held),
    ?assertEqual({ok, os_pid(2)}, py:await(Ref)).

waits_too_long() ->
    Held = fixture:hold(at(2)),
    ?assertEqual({error, timeout}, py:eval(<<"1">>, #{}, (at(2))#{timeout => 50})),
    {ok, _} = fixture:release(Held).

dies() ->
    ?assertMatch({error, {worker_exit, {status, 3}}}, py:call(os, '_exit', [3], #{}, at(3))),
    fixture:wait_until(fun() -> is_ok(py:eval(<<"1">>, #{}, at(3))) end).

is_ok({ok, _}) -> true;
is_ok({error, {no_worker, {default, 3}}}) -> false.

%% Many calls at the moments at which workers come and go: the slot is never empty.
replaced() ->
    Calls = [spawn_monitor(fun calls/0) || _ <- lists:seq(1, 4)],
    [ok = py:restart_workers({default, 1}) || _ <- lists:seq(1, 5)],
    [Pid ! enough || {Pid, _} <- Calls],
    [receive {'DOWN', Monitor, process, _, Reason} -> ?assertEqual(normal, Reason) end
     || {_, Monitor} <- Calls].

calls() ->
    {ok, _} = py:eval(<<"os.getpid()">>, #{}, at(1)),
    receive enough -> ok after 0 -> calls() end.

no_worker() ->
    NoWorker = {error, {no_worker, {default, 4}}},
    [?assertEqual(NoWorker, Ask(at(4))) || {Name, Ask} <- functions(), Name =/= "stream"],
    ?assertEqual(NoWorker, py:exec(<<"pass">>, at(4))),
    ?assertEqual(NoWorker, py:stream_open(<<"[1]">>, at(4))).

no_pool() ->
    [?assertEqual({error, {no_pool, nowhere}}, py:eval(<<"1">>, #{}, #{pool => {nowhere, Id}}))
     || Id <- [1, all]].

elsewhere() ->
    ok = py:exec(<<"mine = 1">>, at(1)),
    ?assertEqual({ok, os_pid(2)}, py:eval(<<"os.getpid()">>, #{}, at(2))),
    ?assertEqual({ok, os_pid(1)}, py:eval(<<"os.getpid()">>)),
    %% Another worker's death is not that of its own.
    {error, {worker_exit, _}} = py:call(os, '_exit', [3], #{}, at(3)),
    ?assertEqual({ok, 1}, py:eval(<<"mine">>)),
    fixture:wait_until(fun() -> is_ok(py:eval(<<"1">>, #{}, at(3))) end).

%% It is told of its worker's end once, as ever.
at_home() ->
    ok = py:exec(<<"mine = 1">>, at(3)),
    {error, {worker_exit, {status, 3}}} = py:call(os, '_exit', [3], #{}, at(3)),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)),
    fixture:wait_until(fun() -> is_ok(py:eval(<<"1">>, #{}, at(3))) end).

binds() ->
    [begin
         ok = py:exec(<<"pass">>, at(Id)),
         ?assertEqual({ok, os_pid(Id)}, py:eval(<<"os.getpid()">>))
     end || Id <- [2, 1]].

misuse() ->
    Each = #{pool => {default, all}},
    One = #{pool => {default, 1}},
    Calls = [{math, sqrt, [4]}],
    [?assertError(badarg, Fun())
     || Fun <- [fun() -> py:spawn_call(math, sqrt, [4], #{}, Each) end,
                fun() -> py:cast(math, sqrt, [4], #{}, Each) end,
                fun() -> py:stream_open(<<"[1]">>, Each) end,
                fun() -> py:parallel(Calls, Each) end,
                fun() -> py:parallel(Calls, One) end,
                fun() -> py:exec_all(<<"pass">>, Each) end,
                fun() -> py:exec_all(<<"pass">>, One) end,
                fun() -> py:eval(<<"1">>, #{}, #{pool => {default, 0}}) end,
                fun() -> py:eval(<<"1">>, #{}, #{pool => {default, any}}) end,
                fun() -> py:eval(<<"1">>, #{}, #{pool => <<"default">>}) end]].
