#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Functions that threads of Python's call and that ask their own worker something: it
%% runs on the thread that waits, whatever the main thread does meanwhile.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include_lib("py/include/py_protocol.hrl").

main(_) ->
    tap:run(logbook:kept(fixture:with_app(#{size => 1, init => <<"import nested">>}, [
        {"functions are registered", fun register_all/0},
        {"it runs on the thread that waits", fun same_thread/0},
        {"call, eval and exec, and they see the same names", fun every_kind/0},
        {"as deep as can be on one thread, and no deeper", fun depth/0},
        {"many threads at once", fun at_once/0},
        {"a thread that a coroutine waits for, but not the loop", fun coroutines/0},
        {"what runs on such a thread holds up no other call", fun beside/0},
        {"an exception in what is nested", fun exception/0},
        {"what is nested runs out of time by itself", fun inner_timeout/0},
        {"what waits for another call ends from the top down", fun middle_timeout/0},
        {"it is told once, and what comes later is not", fun told_once/0},
        {"the function's process is killed in between", fun function_killed/0},
        {"the job is over, and its thread goes on", fun job_is_over/0},
        {"a thread that belongs to no job", fun no_job/0},
        {"what is printed, captured and charged", fun capture/0},
        {"with and without a context, beside one", fun contexts/0},
        {"what returns a coroutine", fun awaited/0},
        {"a child that is forked there", fun forked/0},
        {"the worker dies in the middle", fun worker_dies/0},
        {"many threads, kills and cancels", 60_000, fun soak/0}
    ]))).

register_all() ->
    Functions =
        [{python, fun(M, F, Args) -> value(py:call(M, F, Args)) end},
         {run, fun(Code, Options) -> py:eval(Code, #{}, Options) end},
         {down, fun(N) -> value(py:call(nested, down, [N])) end}],
    [ok = py:register_function(Name, Function) || {Name, Function} <- Functions],
    ok.

value({ok, Value}) -> Value;
value({error, Reason}) -> Reason.

%% In a thread.
run(Code, Options) ->
    py:eval(<<"nested.in_thread(erlang.call, 'run', code, options)">>, #{code => Code, options => Options}).

seen(What) ->
    fixture:wait_until(fun() -> py:eval("len(nested.seen)") =:= {ok, length(What)} end),
    ?assertEqual({ok, What}, py:call(nested, take_seen, [])).

%% ---------------------------------------------------------------------------

same_thread() ->
    ?assertEqual({ok, true}, py:eval("nested.in_thread(nested.same_thread)")),
    ?assertEqual({ok, true}, py:eval("nested.same_thread()")).

every_kind() ->
    ok = py:register_function(kinds, fun() -> {py:call(operator, add, [1, 2]), py:eval("3 + 4"),
                                               py:exec("kind = 5"), py:eval("kind")} end),
    ?assertEqual({ok, {{ok, 3}, {ok, 7}, ok, {ok, 5}}}, py:eval("nested.in_thread(erlang.call, 'kinds')")),
    ?assertEqual({ok, 5}, py:eval("kind")),
    ?assertEqual({ok, {1, 1}}, py:eval("nested.in_thread(nested.own_names)")).

depth() ->
    Down = fun(N) -> py:eval("nested.in_thread(nested.down, n)", #{n => N}) end,
    [?assertEqual({ok, N}, Down(N)) || N <- [1, 2, ?MOST_NESTED]],
    ?assertEqual({ok, {too_deep, ?MOST_NESTED}}, Down(?MOST_NESTED + 1)),
    ?assertEqual({ok, ?MOST_NESTED}, Down(?MOST_NESTED)).

at_once() ->
    ?assertEqual({ok, lists:duplicate(12, true)}, py:eval("nested.at_once(12, nested.same_thread)")),
    ?assertEqual({ok, lists:duplicate(6, 5)}, py:eval("nested.at_once(6, nested.down, 5)")).

%% On the loop's thread nothing runs but the loop: what is asked there comes to its turn.
coroutines() ->
    ?assertEqual({ok, true}, py:eval("nested.aside(nested.same_thread)")),
    ?assertEqual({ok, false}, py:eval("nested.on_the_loop(nested.same_thread)")).

beside() ->
    Self = self(),
    ok = py:register_function(waits, fun() -> Self ! {waits, self()}, receive go_on -> waited end end),
    ok = py:register_function(holds, fun() -> value(py:call(erlang, waits, [], #{}, 20_000)) end),
    Ref = py:spawn_call(nested, asks_aside, [<<"holds">>]),
    Pid = receive {waits, P} -> P after 10_000 -> error(nothing) end,
    timer:sleep(50),                    % a job that is so long keeps what is behind it from starting
    ?assertEqual({ok, true}, py:call(nested, where, [], #{}, 5_000)),
    Pid ! go_on,
    ?assertEqual({ok, waited}, py:await(Ref)).

exception() ->
    ?assertEqual({ok, {error, {'ZeroDivisionError', <<"division by zero">>}}}, run(<<"1/0">>, #{})).

%% ---------------------------------------------------------------------------
%% Time

inner_timeout() ->
    ?assertEqual({ok, {error, timeout}}, run(<<"nested.loops(20)">>, #{timeout => 100})),
    seen([<<"inner">>]).

middle_timeout() ->
    ?assertEqual({ok, {error, timeout}}, run(<<"nested.loop_in({})">>, #{timeout => 100})),
    seen([<<"inner">>, <<"Cancelled">>, <<"outer">>]).

%% What was told too late for the job that it is for hits nobody.
told_once() ->
    ok = py:register_function(short, fun() ->
        [py:eval("nested.loops(0.01)", #{}, #{timeout => T}) || T <- lists:seq(5, 20)], done
    end),
    ?assertEqual({ok, lists:duplicate(4, done)}, py:eval("nested.at_once(4, erlang.call, 'short')")),
    {ok, _} = py:call(nested, take_seen, []).

function_killed() ->
    Self = self(),
    Ref = py:spawn_call(nested, in_thread, [fun() -> Self ! {loops, self()}, py:call(nested, loops, [20]) end]),
    receive {loops, Pid} -> ok end,
    in_loops(),
    exit(Pid, kill),
    ?assertEqual({error, {'erlang.Error', <<"exit: killed">>}}, py:await(Ref)),
    seen([<<"inner">>]).

in_loops() ->
    fixture:wait_until(fun() ->
        {ok, Stacks} = py:stack(1),
        [] =/= [F || #{frames := Frames} <- Stacks, #{function := <<"loops">>} = F <- Frames]
    end).

%% ---------------------------------------------------------------------------
%% Threads and jobs

job_is_over() ->
    Self = self(),
    ok = py:register_function(goes_on, fun() ->
        Self ! {asked, self()},
        receive go_on -> py:eval("nested.where()") end
    end),
    {ok, none} = py:eval("nested.later('late', erlang.call, 'goes_on')"),
    receive {asked, Pid} -> Pid ! go_on end,
    ?assertEqual({ok, [{ok, false}]}, py:call(nested, over, [<<"late">>])).

%% It calls while the main thread does nothing: what is asked comes to its turn there.
no_job() ->
    Self = self(),
    ok = py:register_function(asks, fun() -> Self ! {asked, py:eval("nested.where()")} end),
    ok = py:exec("import threading, time\nnested.later('early', lambda: (time.sleep(0.1), erlang.call('asks'))[0])"),
    receive {asked, Where} -> ?assertEqual({ok, true}, Where) after 10_000 -> error(nothing) end,
    {ok, _} = py:call(nested, over, [<<"early">>]).

capture() ->
    ok = py:register_function(captured, fun() ->
        element(3, py:call(nested, prints, [<<"within">>], #{}, #{capture => true}))
    end),
    ?assertEqual({ok, <<"within\n">>, <<"before\nafter\n">>},
                 py:eval("(print('before'), nested.in_thread(erlang.call, 'captured'), print('after'))[1]",
                         #{}, #{capture => true})),
    ok = py:register_function(charged, fun() -> py:eval("nested.loops(0.05)", #{}, #{bill => true}) end),
    {ok, {ok, <<"slept">>, #{time := Inner}}, #{time := Outer}} =
        py:eval("nested.in_thread(erlang.call, 'charged')", #{}, #{bill => true}),
    ?assert(Inner >= 50_000 andalso Inner =< Outer),
    {ok, _} = py:call(nested, take_seen, []).

contexts() ->
    {ok, C} = py_context:open(),
    {ok, D} = py_context:open(),
    Ways = [{<<"main">>, #{}}, {<<"c">>, #{context => C}}, {<<"d">>, #{context => D}}],
    [ok = py:exec(<<"who = '", Who/binary, "'\ndef here():\n    import __main__\n    return __main__.who">>, #{}, O)
     || {Who, O} <- Ways],
    ok = py:register_function(whose, fun() ->
        [{py:eval("who", #{}, O), py:call('__main__', here, [], #{}, O)} || {_, O} <- Ways]
    end),
    Expected = [{{ok, Who}, {ok, Who}} || {Who, _} <- Ways],
    [?assertEqual({ok, {Expected, Who}},
                  py:eval("(__import__('nested').in_thread(erlang.call, 'whose'), here())", #{}, O))
     || {Who, O} <- Ways],
    [ok = py_context:close(It) || It <- [C, D]].

awaited() ->
    ok = py:register_function(awaits, fun() -> py:eval("nested.on_the_loop(nested.where)") end),
    ?assertEqual({ok, {ok, false}}, py:eval("nested.in_thread(erlang.call, 'awaits')")).

forked() ->
    ok = py:register_function(forks, fun() -> py:eval("__import__('os').fork()") end),
    {ok, {ok, Child}} = py:eval("nested.in_thread(erlang.call, 'forks')"),
    ?assertMatch({ok, {Child, 0}}, py:eval("__import__('os').waitpid(child, 0)", #{child => Child})).

worker_dies() ->
    [OsPid] = fixture:os_pids(),
    Ref = py:spawn_call(nested, in_thread, [fun() -> py:call(nested, loops, [20]) end]),
    in_loops(),
    _ = fixture:kill("KILL", OsPid),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:await(Ref)),
    ?assertEqual({ok, 2}, py:eval("1 + 1")).

%% ---------------------------------------------------------------------------
%% Random

soak() ->
    ok = py:register_function(slowly, fun(N, Ms, Timeout) ->
        timer:sleep(Ms),
        case py:call(operator, add, [N, 1], #{}, Timeout) of {ok, M} -> M; {error, timeout} -> late end
    end),
    Until = erlang:monotonic_time(millisecond) + 2_000,
    Callers = [spawn_monitor(fun() -> call_until(Until, N * 1_000_000) end) || N <- lists:seq(1, 20)],
    harass(Until, [Pid || {Pid, _} <- Callers]),
    Reasons = [receive {'DOWN', Ref, process, _, Reason} -> Reason end || {_, Ref} <- Callers],
    ?assertEqual([], [Reason || Reason <- Reasons, Reason =/= normal, Reason =/= killed]),
    fixture:wait_until(fun() -> py:eval("nested.at_once(3, erlang.call, 'slowly', 2, 0, 5000)")
                                    =:= {ok, [3, 3, 3]} end).

call_until(Until, N) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            Late = lists:nth(rand:uniform(2), [5, 5_000]),
            case py:eval("nested.at_once(3, erlang.call, 'slowly', n, ms, late)",
                         #{n => N, ms => rand:uniform(10), late => Late},
                         #{timeout => lists:nth(rand:uniform(3), [20, 200, 5_000])}) of
                {ok, Sums} -> ?assertEqual([], [M || M <- Sums, M =/= N + 1, M =/= late]);
                {error, timeout} -> ok;
                {error, {Why, _}} -> true = lists:member(Why, [worker_exit, python_start, 'erlang.Error'])
            end,
            call_until(Until, N + 1);
        false ->
            ok
    end.

harass(Until, Callers) ->
    case erlang:monotonic_time(millisecond) < Until of
        true ->
            timer:sleep(50),
            _ = harm(rand:uniform(8), Callers),
            harass(Until, Callers);
        false ->
            ok
    end.

harm(1, _) -> [fixture:kill("KILL", OsPid) || [OsPid | _] <- [fixture:os_pids()]];
harm(2, Callers) -> exit(lists:nth(rand:uniform(length(Callers)), Callers), kill);
harm(_, _) -> [exit(Pid, kill) || [Pid | _] <- [functions()]].

functions() ->
    [Pid || Pid <- processes(), {initial_call, {py_talk_call, run, 4}} <- [process_info(Pid, initial_call)]].
