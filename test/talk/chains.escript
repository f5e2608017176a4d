#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Fifty processes whose calls go from Erlang to Python and back several times, through two
%% pools, while some are cancelled, run out of time or lose their caller, and workers are
%% killed and restarted: nobody waits for ever, each has its own answer, and nothing runs twice.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(CALLERS, 50).
%% How long a call may take that nobody ends, and all callers together.
-define(LONG, 60_000).
-define(LIMIT, 120_000).

main(_) ->
    %% An interrupt that takes long, because the machine is busy, costs no worker.
    Pool = #{size => 2, interrupt_grace => 30_000, init => <<"import nesting">>, python_path => [fixture:python_path()]},
    tap:run(logbook:kept(fixture:with_app(Pool#{pools => #{other => Pool}}, [
        {"cancels, deadlines, dead callers", 2 * ?LIMIT, fun() -> crowd(fun calm/2, fun() -> ok end) end},
        {"workers and functions are killed, and workers restarted, too", 2 * ?LIMIT, fun() -> crowd(fun torn/2, fun kill_some/0) end}
    ]))).

%% ---------------------------------------------------------------------------
%% The way of a call
%%
%% It goes on from one place to a later one only, so it never waits for one that waits for
%% it. A main thread may be asked again by what it waits for; not so one that waits for
%% another thread, or for a loop.

path() ->
    Places = [Place || {Pool, Thread, Most} <- [{default, loop, 1}, {default, main, 3}, {other, loop, 1}, {other, main, 3}],
                       Place <- lists:duplicate(rand:uniform(Most + 1) - 1, {Pool, Thread})],
    Next = tl(Places ++ [none]),
    Previous = lists:droplast([none | Places]),
    [{Pool, how(Thread, Place, Before), way(Place =:= After)}
     || {{Pool, Thread} = Place, After, Before} <- lists:zip3(Places, Next, Previous)].

%% A stream would have to wait for the worker that waits, and a context may be on another one.
how(loop, _, _) -> coroutine;
how(main, Place, Place) -> one_of([call, given]);
how(main, {Pool, _}, {Pool, _}) -> one_of([call, given, context]);
how(main, _, _) -> one_of([call, call, given, context, stream]).

way(true) -> call;
way(false) -> one_of([call, thread, loop]).

one_of(List) -> lists:nth(rand:uniform(length(List)), List).

%% Erlang's part; who has been here with this token is counted.
hop(Token, Path) ->
    _ = ets:update_counter(ran, {Token, length(Path)}, 1, {none, 0}),
    case Path of
        [] -> [Token];
        [_ | _] -> answer(ask(Token, Path, ?LONG))
    end.

answer({ok, Answer}) -> Answer;
answer({error, Why}) -> exit({failed, Why}).

ask(Token, [{Pool, How, _} | _] = Path, Timeout) ->
    by_python(How, [Token, Path], #{pool => Pool, timeout => Timeout}).

by_python(call, Args, In) -> py:call(nesting, hop, Args, #{}, In);
by_python(coroutine, Args, In) -> py:call(nesting, hop_async, Args, #{}, In);
by_python(given, Args, In) -> py:call(nesting, hop, Args ++ [fun hop/2], #{}, In);
by_python(stream, Args, In) -> py:stream(nesting, hops, Args, #{}, In);
by_python(context, Args, #{pool := Pool, timeout := Timeout}) ->
    py_context:with(#{pool => Pool}, fun(C) ->
        py:call(nesting, hop, Args, #{}, #{context => C, timeout => Timeout})
    end).

%% What the call gives, and every step that it runs, each of them once.
expected(Token, Path) ->
    {ok, [Token | lists:seq(1, length(Path))]}.

ran(Token) ->
    lists:sort(ets:select(ran, [{{{Token, '$1'}, '$2'}, [], [{{'$1', '$2'}}]}])).

all_of(Path) ->
    [{Step, 1} || Step <- lists:seq(0, length(Path) - 1)].

%% ---------------------------------------------------------------------------
%% Callers

%% Harm is done for as long as they call.
crowd(Allowed, Harm) ->
    ran = ets:new(ran, [named_table, public]),
    ok = py:register_function(hop, fun hop/2),
    Rounds = 4 + list_to_integer(os:getenv("NUMTESTS", "100")) div 10,
    Pids = [spawn_monitor(fun() -> caller(Id, Rounds, Allowed) end) || Id <- lists:seq(1, ?CALLERS)],
    {Harmer, Harmed} = spawn_monitor(Harm),
    Until = erlang:monotonic_time(millisecond) + ?LIMIT,
    Reasons = [ended(Pid, Until) || Pid <- Pids],
    Harmer ! stop,
    receive {'DOWN', Harmed, process, Harmer, normal} -> ok end,
    ?assertEqual([], [Reason || Reason <- Reasons, Reason =/= normal]),
    ?assertEqual([], ets:select(ran, [{{'_', '$1'}, [{'>', '$1', 1}], ['$_']}])),
    fixture:wait_until(fun() -> functions() =:= [] end),
    [fixture:wait_until(fun() -> is_idle(Pool) end) || Pool <- [default, other]],
    ?assertEqual([{ok, 2}, {ok, 2}], [py:eval("1 + 1", #{}, #{pool => Pool}) || Pool <- [default, other]]),
    true = ets:delete(ran).

ended({Pid, Ref}, Until) ->
    receive
        {'DOWN', Ref, process, Pid, Reason} -> Reason
    after max(0, Until - erlang:monotonic_time(millisecond)) ->
        {waits, process_info(Pid, current_stacktrace), py:info(default), py:info(other)}
    end.

%% The processes in which functions run that Python has called.
functions() ->
    [Pid || Pid <- processes(), {initial_call, {py_talk_call, run, 4}} <- [process_info(Pid, initial_call)]].

is_idle(Pool) ->
    2 =:= length([Id || #{id := Id, state := idle, in_flight := 0, awaited := 0} <- fixture:workers(Pool)]).

caller(Id, Rounds, Allowed) ->
    [one_call({Id, Round}, path(), one_of([patient, patient, hurried, cancels, dies]), Allowed) || Round <- lists:seq(1, Rounds)],
    {messages, []} = process_info(self(), messages).

one_call(Token, [], _, _) ->
    [Token] = hop(Token, []);
one_call(Token, Path, Manner, Allowed) ->
    case {by(Manner, Token, Path), expected(Token, Path)} of
        {Expected, Expected} -> ?assertEqual(all_of(Path), ran(Token));
        {{error, Why}, _} -> Allowed(Manner, Why) orelse exit({Manner, Path, Why});
        {Other, _} -> exit({foreign, Manner, Token, Path, Other})
    end.

by(patient, Token, Path) ->
    ask(Token, Path, ?LONG);
by(hurried, Token, Path) ->
    ask(Token, Path, rand:uniform(40));
by(cancels, Token, [{Pool, How, _} | _] = Path) when How =:= call; How =:= coroutine ->
    Function = case How of call -> hop; coroutine -> hop_async end,
    Ref = py:spawn_call(nesting, Function, [Token, Path], #{}, #{pool => Pool, timeout => ?LONG}),
    timer:sleep(rand:uniform(20)),
    ok = py:cancel(Ref),
    py:await(Ref);
by(_, Token, Path) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({answer, ask(Token, Path, ?LONG)}) end),
    timer:sleep(rand:uniform(20)),
    exit(Pid, kill),
    receive
        {'DOWN', Ref, process, Pid, {answer, Answer}} -> Answer;
        {'DOWN', Ref, process, Pid, killed} -> {error, killed}
    end.

%% ---------------------------------------------------------------------------
%% How a call may end otherwise

calm(hurried, timeout) -> true;
calm(cancels, cancelled) -> true;
calm(Manner, killed) when Manner =/= patient, Manner =/= hurried -> true;
calm(_, _) -> false.

torn(_, {worker_exit, {signal, sigkill}}) -> true;
torn(_, {'erlang.Error', _}) -> true;
torn(Manner, Why) -> calm(Manner, Why).

kill_some() ->
    receive
        stop -> ok
    after 50 + rand:uniform(100) ->
        _ = harm(rand:uniform(3), one_of([default, other])),
        kill_some()
    end.

%% Who is killed while it starts is started anew after pauses that grow.
harm(1, Pool) -> [fixture:kill("KILL", OsPid) || #{os_pid := OsPid, calls := N} <- [one_of(fixture:workers(Pool))], N > 0];
harm(2, _) -> [exit(one_of(Pids), kill) || [_ | _] = Pids <- [functions()]];
harm(3, Pool) -> spawn(fun() -> py:restart_workers(Pool) end).
