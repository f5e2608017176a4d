#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% How many handles there may be, how they end with their worker, what is heard of that, and
%% that nothing is left of them.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 2, init => <<"import wedge">>,
                 interrupt_grace => 100, close_grace => 100},
    tap:run(fixture:with_app(Settings, [
        {"the end of the worker frees the objects, and runs finalizers", fun end_frees/0},
        {"the worker's death is told, with the reason, each time", fun worker_dies/0},
        {"a timeout that ends the worker ends its handles", 60_000, fun timeout/0},
        {"handles of a pool that was stopped", fun stopped_pool/0},
        {"a finalizer that does not end is ended with its worker", 60_000, fun stuck_finalizer/0},
        {"a recycled worker waits for its handles, but not for ever", 60_000, fun recycled/0},
        {"a restarted worker does not wait for them", 60_000, fun restarted/0},
        {"a worker has as many as it may, and the next worker gets the others", fun quota/0},
        {"a hundred thousand made and released leave nothing", 300_000, fun flat/0},
        {"whoever makes, releases, dies and kills: objects stay apart, and nothing is left", 240_000,
         fun murder/0}
    ])).

kept(Code, Options) ->
    {ok, Handle} = py:eval(Code, #{}, Options#{return => handle}),
    Handle.

handles() -> lists:sum([N || #{handles := N} <- fixture:workers()]).

all_back() ->
    fixture:wait_until(fun() ->
        lists:all(fun(Id) -> py:eval(<<"1">>, #{}, #{pool => {default, Id}}) =:= {ok, 1} end, [1, 2])
    end).

quota() ->
    {ok, _} = py:start_pool(other, #{size => 2, handles => 3, concurrency => 2}),
    Make = fun(Options) -> py:call(builtins, list, [], #{}, Options#{return => handle}) end,
    In = #{pool => other},
    Full = {error, {overloaded, handles, 3}},
    Handles = [H || {ok, H} <- [Make(In) || _ <- lists:seq(1, 6)]],
    ?assertEqual([3, 3], [N || #{handles := N} <- fixture:workers(other)]),
    Counts = <<"__import__('builtins').__dict__.__setitem__('ran', True)">>,
    [?assertEqual(Full, Result)
     || Result <- [py:eval(Counts, #{}, In#{return => handle}), Make(#{pool => {other, 1}}),
                   py_handle:get(hd(Handles), '__class__', #{return => handle}),
                   py:await(py:spawn_call(builtins, list, [], #{}, In#{return => handle})),
                   py_handle:copy(hd(Handles), {other, 2})]],
    ?assertEqual({ok, [{1, Full}, {2, Full}]}, Make(#{pool => {other, all}})),
    ?assertEqual({error, [Full, Full]}, py:parallel([{builtins, list, []}, {builtins, list, []}], In#{return => handle})),
    %% It has not run, and calls without a handle go on.
    ?assertEqual({ok, [{1, {ok, false}}, {2, {ok, false}}]},
                 py:eval(<<"'ran' in __import__('builtins').__dict__">>, #{}, #{pool => {other, all}})),
    ok = py_handle:release(hd(Handles)),
    {ok, Again} = Make(In),
    [ok = py_handle:release(H) || H <- [Again | tl(Handles)]],
    %% Many at once, also while workers are busy: not one more.
    fixture:wait_until(fun() -> [0, 0] =:= [N || #{handles := N} <- fixture:workers(other)] end),
    Refs = [py:spawn_call(time, sleep, [0.02], #{}, In#{return => handle}) || _ <- lists:seq(1, 20)],
    Results = [py:await(Ref) || Ref <- Refs],
    ?assertEqual({6, 14}, {length([H || {ok, H} <- Results]), length([R || R <- Results, R =:= Full])}),
    ok = py:stop_pool(other).

%% Files that are open are written, too.
end_frees() ->
    Dir = fixture:tmpdir(),
    File = filename:join(Dir, "left"),
    {ok, _} = py:start_pool(other, #{size => 1}),
    [begin
         {ok, H} = py:call(builtins, open, [list_to_binary(File), <<"a">>], #{},
                           #{pool => other, return => handle}),
         {ok, 4} = py:call(H, write, [<<"kept">>])
     end || _ <- [1, 2]],
    ok = py:stop_pool(other),
    ?assertEqual({ok, <<"keptkept">>}, file:read_file(File)),
    ok = file:delete(File),
    ok = file:del_dir(Dir).

worker_dies() ->
    [A, B] = [kept(<<"[1]">>, #{pool => {default, 1}}) || _ <- [1, 2]],
    Other = kept(<<"[2]">>, #{pool => {default, 2}}),
    Exit = {error, {worker_exit, {status, 3}}},
    ?assertEqual(Exit, py:eval(<<"__import__('os')._exit(3)">>, #{a => A})),
    [?assertEqual(Exit, Result)
     || Result <- [py_handle:value(A), py_handle:value(A), py:call(B, pop, []), py:call(builtins, len, [B]),
                   py:stream_open(B), py:await(py:spawn_call(B, pop, []))]],
    ?assertEqual({error, [Exit, {ok, [2]}]}, py:parallel([{B, pop, []}, {Other, copy, []}])),
    ok = py_handle:release(A),
    ?assertEqual({ok, [2]}, py_handle:value(Other)),
    ok = py_handle:release(Other),
    all_back().

timeout() ->
    H = kept(<<"wedge.deaf">>, #{}),
    ?assertEqual({error, timeout}, py:call(H, '__call__', [], #{}, 50)),
    fixture:wait_until(fun() -> py_handle:repr(H) =:= {error, {worker_exit, timeout}} end),
    all_back().

stopped_pool() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    H = kept(<<"[1]">>, #{pool => other}),
    ok = py:stop_pool(other),
    ?assertEqual({error, {no_pool, other}}, py_handle:value(H)),
    {ok, _} = py:start_pool(other, #{size => 1}),
    ?assertMatch({error, {worker_exit, _}}, py_handle:value(H)),
    ok = py_handle:release(H),
    ok = py:stop_pool(other).

stuck_finalizer() ->
    {ok, _} = py:start_pool(other, #{size => 1, timeout => 300, interrupt_grace => 100,
                                     close_grace => 100, python_path => fixture:python_path()}),
    [Before] = fixture:os_pids(other),
    H = kept(<<"type('Stuck', (), {'__del__': lambda self: __import__('wedge').deaf()})()">>, #{pool => other}),
    ok = py_handle:release(H),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end),
    ?assertMatch({ok, 1}, py:eval(<<"1">>, #{}, #{pool => other, timeout => 30_000})),
    ok = py:stop_pool(other).

recycling() ->
    {ok, _} = py:start_pool(other, #{size => 1, recycle => #{calls => 3, age => 3_000}, drain => 0}),
    [Before] = fixture:os_pids(other),
    H = kept(<<"[1]">>, #{pool => other}),
    [{ok, [1]} = py_handle:value(H) || _ <- lists:seq(1, 3)],
    fixture:wait_until(fun() -> [Before] =/= fixture:os_pids(other) end),
    ?assertEqual({ok, {[1], Before}}, py:eval(<<"(h, __import__('os').getpid())">>, #{h => H})),
    {Before, H}.

recycled() ->
    {Before, H} = recycling(),
    ok = py_handle:release(H),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end),
    ok = py:stop_pool(other),
    {Again, G} = recycling(),
    fixture:wait_until(fun() -> not fixture:is_running(Again) end),
    ?assertEqual({error, {worker_exit, recycled}}, py_handle:value(G)),
    ok = py:stop_pool(other).

restarted() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    H = kept(<<"[1]">>, #{pool => other}),
    ok = py:restart_workers(other),
    ?assertEqual({error, {worker_exit, restarted}}, py_handle:value(H)),
    ok = py:stop_pool(other).

flat() ->
    fixture:unless_sanitized(),
    On = #{pool => {default, 1}},
    [OsPid | _] = [Pid || #{id := 1, os_pid := Pid} <- fixture:workers()],
    [#{pid := Worker}] = [W || #{id := 1} = W <- fixture:workers()],
    Make = fun(N) ->
        [begin
             {ok, H} = py:call(builtins, list, [[1]], #{}, On#{return => handle}),
             N rem 2 =:= 0 andalso py_handle:release(H)
         end || _ <- lists:seq(1, N)]
    end,
    Round = fun(N) ->
        {Pid, Ref} = spawn_monitor(fun() -> Make(N), exit(made) end),
        receive {'DOWN', Ref, process, Pid, Why} -> ?assertEqual(made, Why) end,
        fixture:wait_until(fun() -> py_handle:types({default, 1}) =:= {ok, []} end),
        ?assertEqual(0, handles()),
        true = erlang:garbage_collect(Worker),
        {element(2, process_info(Worker, memory)), fixture:proc_kb(OsPid, "VmRSS")}
    end,
    {_, _} = Round(10_001),
    {Words, Kb} = Round(10_000),
    Rounds = [Round(N) || N <- [20_001, 20_000, 20_001, 20_000, 20_001]],
    {LastWords, LastKb} = lists:last(Rounds),
    tap:note("worker ~b -> ~b bytes, program ~b -> ~b kB", [Words, LastWords, Kb, LastKb]),
    ?assert(LastWords =< 2 * Words),
    %% Where it has had as many at a time as in the last round before.
    ?assert(LastKb - element(2, hd(Rounds)) < 2_000).

%% Each process has objects of its own and knows what they are. From time to time one
%% ends a worker, or is killed.
murder() ->
    ?assertEqual(0, handles()),
    Lives = [spawn_monitor(fun() -> live(N, 40, #{}) end) || N <- lists:seq(1, 30)],
    [exit(Pid, kill) || {N, {Pid, _}} <- lists:enumerate(Lives), N rem 5 =:= 0],
    Ends = [receive {'DOWN', Ref, process, _, Why} -> Why end || {_, Ref} <- Lives],
    ?assertEqual([], [Why || Why <- Ends, Why =/= normal, Why =/= killed]),
    all_back(),
    fixture:wait_until(fun() -> handles() =:= 0 end),
    fixture:wait_until(fun() -> py_handle:types() =:= {ok, []} end).

%% Kept: what each object is, or that its worker has ended.
live(_, 0, _) -> ok;
live(N, Left, Kept) -> live(N, Left - 1, act(rand:uniform(20), N, Left, Kept)).

act(1, 1, _, Kept) when map_size(Kept) > 0 ->
    [Handle | _] = maps:keys(Kept),
    {error, _} = py:eval(<<"__import__('os')._exit(3)">>, #{h => Handle}),
    Kept;
act(Dice, N, Left, Kept) when Dice < 8 ->
    case py:call(builtins, list, [[N, Left]], #{}, #{return => handle}) of
        {ok, Handle} -> Kept#{Handle => [N, Left]};
        {error, {worker_exit, _}} -> Kept
    end;
act(Dice, _, _, Kept) when Dice < 11, map_size(Kept) > 0 ->
    [Handle | _] = maps:keys(Kept),
    ok = py_handle:release(Handle),
    maps:remove(Handle, Kept);
act(_, _, _, Kept) ->
    maps:map(fun(Handle, Mine) -> look(py_handle:value(Handle), Mine) end, Kept).

look({ok, Mine}, Mine) -> Mine;
look({error, {worker_exit, _}}, _) -> dead.
