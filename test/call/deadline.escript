#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Deadlines that hold: {error, timeout} comes in time whatever Python does, the
%% next call is answered by the same worker or by its successor, and what is
%% done about a worker that does not stop is logged, step by step.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(TRIES, 5).
-define(DEADLINE, 100).
%% How late the answer may be (ms): half of the time, and ever.
-define(LATE, 20).
-define(LATE_ONCE, 60).
%% The pool's graces (ms).
-define(INTERRUPT_GRACE, 150).
-define(CLOSE_GRACE, 300).

main(_) ->
    Settings = #{size => 1, init => <<"import os, time, wedge">>,
                 interrupt_grace => ?INTERRUPT_GRACE, close_grace => ?CLOSE_GRACE},
    tap:run(fixture:with_app(Settings, logbook:kept([
        [holds(Row) || Row <- wedges()],
        {"the deadline holds: a program that SIGSTOP has stopped", fun stopped/0},
        [in_time(Row) || Row <- waits()],
        {"a worker that cannot be stopped is interrupted, closed, killed", fun killed/0},
        {"one that ends when it is closed is not killed", fun closed/0},
        {"one that stops when it is interrupted lives", fun interrupted/0},
        {"the steps come after the graces that the pool's options say", fun graces/0},
        {"who waits for a worker that is killed is told why", fun bound_behind/0},
        {"what has no time is not run", fun no_time/0},
        {"grace options that make no sense", fun bad_options/0}
    ]))).

%% ---------------------------------------------------------------------------
%% What runs when the deadline comes, and who takes the next call

wedges() ->
    [{"a loop of bytecode", loop, same},
     {"time.sleep", sleep, same},
     {"a read of a socket", read_socket, same},
     {"a regular expression that backtracks", backtrack, same},
     {"C that keeps the GIL: ctypes.PyDLL(None).sleep", keep_gil, any},
     {"C that keeps the GIL and hears no signal", keep_gil_deaf, successor},
     {"code that swallows every exception", swallow, successor}].

holds({What, Function, Next}) ->
    {["the deadline holds: ", What], 120_000, fun() ->
        Tries = [attempt(Function, Next) || _ <- lists:seq(1, ?TRIES)],
        {Late, Healed} = lists:unzip(Tries),
        figure:show("late by", Late),
        figure:show("until the next call was answered", Healed),
        ?assert(figure:median(Late) =< ?LATE),
        ?assert(lists:max(Late) =< ?LATE_ONCE)
    end}.

%% Where the machine is late, what had no time to start has kept nobody busy, and
%% what had no time to stop within the grace has cost a worker: try again.
attempt(Function, Next) ->
    Before = os_pid(),
    File = filename:join(fixture:tmpdir(), "started"),
    Args = [list_to_binary(File)],
    {Late, Result} = late(fun() -> py:call(wedge, Function, Args, #{}, ?DEADLINE) end),
    ?assertEqual({error, timeout}, Result),
    {Healed, After} = figure:timed(fun os_pid/0),
    case filelib:is_file(File) andalso is_right(Next, Before, After) of
        true ->
            {Late, Healed};
        false ->
            0 < machine:excuse(?DEADLINE + Healed) orelse error({answered_by, After, Before, Next}),
            attempt(Function, Next)
    end.

%% How late something was that must not be early, what the machine is to blame
%% for left out.
late(Fun) ->
    {Ours, {Ms, Result}} = figure:ours(fun() -> figure:timed(Fun) end),
    ?assert(Ms > ?DEADLINE - 1),
    {max(0.0, Ours - ?DEADLINE), Result}.

is_right(same, OsPid, After) -> OsPid =:= After;
is_right(successor, OsPid, After) -> OsPid =/= After;
is_right(any, _, _) -> true.

os_pid() ->
    {ok, OsPid} = py:eval(<<"os.getpid()">>),
    OsPid.

stopped() ->
    OsPid = os_pid(),
    fixture:kill("STOP", OsPid),
    {Late, Result} = late(fun() -> py:eval(<<"1">>, #{}, ?DEADLINE) end),
    ?assertEqual({error, timeout}, Result),
    ?assert(Late =< ?LATE_ONCE),
    ?assertNotEqual(OsPid, os_pid()),
    ?assertNot(fixture:is_running(OsPid)).

%% ---------------------------------------------------------------------------
%% Every kind of waiting: how late each was, and its result

waits() ->
    Alone = fun late/1,
    [{"exec", Alone, fun() -> py:exec(<<"time.sleep(600)">>, ?DEADLINE) end},
     {"a stream's first items", Alone,
      fun() -> py:stream_eval(<<"iter(lambda: time.sleep(600), 1)">>, #{}, ?DEADLINE) end},
     {"a stream's next items", fun with_stream/1, fun py:stream_next/1},
     {"await with its own limit", Alone,
      fun() -> py:await(py:spawn_call(wedge, sleep, []), ?DEADLINE) end},
     {"await of a call with a limit", Alone,
      fun() -> py:await(py:spawn_call(wedge, sleep, [], #{}, ?DEADLINE)) end},
     {"a call that waits for a busy worker", fun beside_a_long_call/1,
      fun() -> py:eval(<<"1">>, #{}, ?DEADLINE) end},
     {"exec_all that waits for a busy worker", fun beside_a_long_call/1,
      fun() -> py:exec_all(<<"1">>, ?DEADLINE) end}].

in_time({What, Run, Wait}) ->
    {["in time: ", What], fun() ->
        {Late, Results} = lists:unzip([Run(Wait) || _ <- lists:seq(1, ?TRIES)]),
        figure:show("late by", Late),
        ?assertEqual([{error, timeout}], lists:usort(Results)),
        ?assert(figure:median(Late) =< ?LATE),
        ?assertMatch({ok, _}, py:eval(<<"1">>))
    end}.

%% Its first item has to come in time, too: on a machine that stalls, try again.
with_stream(Fun) ->
    Source = <<"(n or time.sleep(600) for n in [1, 0])">>,
    case py:stream_open({eval, Source, #{}}, #{timeout => ?DEADLINE, chunk => 1}) of
        {ok, Stream} ->
            {ok, [1]} = py:stream_next(Stream),
            late(fun() -> Fun(Stream) end);
        {error, timeout} ->
            with_stream(Fun)
    end.

beside_a_long_call(Fun) ->
    File = filename:join(fixture:tmpdir(), "started"),
    Caller = spawn(fun() -> py:call(wedge, sleep, [list_to_binary(File)]) end),
    fixture:wait_until(fun() -> filelib:is_file(File) end),
    Late = late(Fun),
    exit(Caller, kill),
    Late.

%% ---------------------------------------------------------------------------
%% The ladder

steps(OsPid) ->
    [Step || {Step, _} <- timed_steps(OsPid)].

timed_steps(OsPid) ->
    [{Step, Us} || #{meta := #{step := Step, os_pid := Pid, time := Us}} <- logbook:all(),
                   Pid =:= OsPid].

%% Calls and waits until the worker has a successor; what was logged of it.
wedge_and_heal(Function, In) ->
    {ok, OsPid} = py:eval(<<"os.getpid()">>, #{}, In),
    ?assertEqual({error, timeout}, py:call(wedge, Function, [], #{}, In#{timeout => 200})),
    {ok, Next} = py:eval(<<"os.getpid()">>, #{}, In),
    ?assertNotEqual(OsPid, Next),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end),
    OsPid.

killed() ->
    logbook:clear(),
    OsPid = wedge_and_heal(swallow, #{}),
    ?assertEqual([interrupt, close, kill], steps(OsPid)),
    [?assertMatch(#{application := py, pool := default, worker := 1}, Meta)
     || #{meta := #{step := _, os_pid := Pid} = Meta} <- logbook:all(), Pid =:= OsPid].

%% pyport gives a job a second after the end of its input, then it ends itself.
closed() ->
    OsPid = with_pool(#{interrupt_grace => 50, close_grace => 10_000},
                      fun(In) -> wedge_and_heal(keep_gil_deaf, In) end),
    ?assertEqual([interrupt, close], steps(OsPid)).

interrupted() ->
    logbook:clear(),
    OsPid = os_pid(),
    ?assertEqual({error, timeout}, py:call(wedge, loop, [], #{}, 50)),
    ?assertEqual(OsPid, os_pid()),
    timer:sleep(?INTERRUPT_GRACE + ?CLOSE_GRACE + 100),
    ?assertEqual(OsPid, os_pid()),
    ?assertEqual([interrupt], steps(OsPid)).

graces() ->
    ok = machine:start(),
    {Took, OsPid} = figure:timed(fun() ->
        with_pool(#{interrupt_grace => 300, close_grace => 500},
                  fun(In) -> wedge_and_heal(swallow, In) end)
    end),
    Excuse = machine:excuse(Took),
    [{interrupt, At}, {close, Closed}, {kill, Killed}] = timed_steps(OsPid),
    {ToClose, ToKill} = {(Closed - At) / 1000, (Killed - Closed) / 1000},
    tap:note("close after ~.1f of 300 ms, kill after ~.1f of 500 ms", [ToClose, ToKill]),
    ?assert(ToClose >= 295 - Excuse andalso ToClose =< 300 + ?LATE_ONCE + Excuse),
    ?assert(ToKill >= 495 - Excuse andalso ToKill =< 500 + ?LATE_ONCE + Excuse).

bound_behind() ->
    ok = py:exec(<<"mine = 1">>),
    OsPid = os_pid(),
    Wedge = py:spawn_call(wedge, swallow, [], #{}, 100),
    timer:sleep(30),
    ?assertEqual({error, {worker_exit, timeout}}, py:eval(<<"mine">>)),
    ?assertEqual({error, timeout}, py:await(Wedge)),
    ?assertNotEqual(OsPid, os_pid()).

no_time() ->
    [?assertEqual({error, timeout}, Call())
     || Call <- [fun() -> py:call(math, sqrt, [4], #{}, 0) end,
                 fun() -> py:eval(<<"1">>, #{}, #{timeout => 0}) end,
                 fun() -> py:exec(<<"no_time = 1">>, #{timeout => 0}) end,
                 fun() -> py:exec_all(<<"no_time = 1">>, #{timeout => 0}) end,
                 fun() -> py:stream_eval(<<"[1]">>, #{}, 0) end,
                 fun() -> py:await(py:spawn_call(math, sqrt, [4], #{}, 0)) end],
        _ <- lists:seq(1, 100)],
    ?assertMatch({error, [{error, timeout}]}, py:parallel([{math, sqrt, [4]}], 0)),
    ?assertEqual({ok, false}, py:eval(<<"'no_time' in globals()">>)),
    Ref = py:spawn_call(math, sqrt, [4]),
    fixture:wait_until(fun() -> not is_process_alive(element(1, get({py_async, Ref}))) end),
    ?assertEqual({ok, 2.0}, py:await(Ref, 0)).

bad_options() ->
    [?assertMatch({error, {badarg, {option, Option, _}}}, py:start_pool(wrong, #{Option => Value}))
     || Option <- [interrupt_grace, close_grace, drain], Value <- [-1, 1.5, soon]].

with_pool(Options, Fun) ->
    Init = #{size => 1, python_path => [fixture:python_path()], init => <<"import os, wedge">>},
    {ok, _} = py:start_pool(ladder, maps:merge(Init, Options)),
    try Fun(#{pool => ladder}) after ok = py:stop_pool(ladder) end.
