#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% How contexts end with their worker, and what is heard of that.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    Settings = #{size => 2, init => <<"import wedge">>,
                 interrupt_grace => 100, close_grace => 100},
    tap:run(fixture:with_app(Settings, [
        {"the end of the worker drops the names, and runs finalizers", fun end_drops/0},
        {"the worker's death is told, with the reason", fun worker_dies/0},
        {"a timeout that ends the worker ends the context", 60_000, fun timeout/0},
        {"an opening that is late leaves nothing", 60_000, fun late_opening/0},
        {"a context of a pool that was stopped", fun stopped_pool/0},
        {"a finalizer that does not end is ended with its worker", 60_000, fun stuck_finalizer/0},
        {"a recycled worker waits for its contexts, but not for ever", 60_000, fun recycled/0},
        {"a restarted worker does not wait for them", 60_000, fun restarted/0},
        {"whoever opens, closes, dies and kills: names stay apart, and nothing is left", 240_000,
         fun murder/0}
    ])).

in(Context) -> #{context => Context}.

opened() ->
    {ok, Context} = py_context:open(),
    Context.

eval(Code, Context) -> py:eval(Code, #{}, in(Context)).

%% How many contexts each worker's program has.
open_contexts() ->
    Count = <<"import gc, sys, types\n"
              "left = sum(type(o) is types.ModuleType and o.__name__ == '__main__'\n"
              "           for o in gc.get_objects()) - 1">>,
    {ok, Oks} = py:exec(Count, #{pool => {default, all}}),
    true = lists:all(fun({_, Result}) -> Result =:= ok end, Oks),
    {ok, Counts} = py:eval(<<"left">>, #{}, #{pool => {default, all}}),
    lists:sum([N || {_, {ok, N}} <- Counts]).

all_back() ->
    all_back(default).

all_back(Pool) ->
    fixture:wait_until(fun() ->
        lists:all(fun(Id) -> py:eval(<<"1">>, #{}, #{pool => {Pool, Id}}) =:= {ok, 1} end, [1, 2])
    end).

%% Files that are open are written, too.
end_drops() ->
    Dir = fixture:tmpdir(),
    File = filename:join(Dir, "left"),
    {ok, _} = py:start_pool(other, #{size => 1}),
    [begin
         {ok, C} = py_context:open(#{pool => other}),
         ok = py:exec(<<"f = open(name, 'a')\nf.write('kept')\ndef g(): return f">>,
                      #{name => list_to_binary(File)}, in(C))
     end || _ <- [1, 2]],
    ok = py:stop_pool(other),
    ?assertEqual({ok, <<"keptkept">>}, file:read_file(File)),
    ok = file:delete(File),
    ok = file:del_dir(Dir).

worker_dies() ->
    {ok, A} = py_context:open(#{pool => {default, 1}}),
    {ok, B} = py_context:open(#{pool => {default, 1}}),
    {ok, Other} = py_context:open(#{pool => {default, 2}}),
    ok = py:exec(<<"x = 1">>, in(Other)),
    ?assertEqual({error, {worker_exit, {status, 3}}}, eval(<<"__import__('os')._exit(3)">>, A)),
    [?assertEqual({error, {worker_exit, {status, 3}}}, Result)
     || Result <- [eval(<<"1">>, A), eval(<<"1">>, B), py:stream_eval(<<"[1]">>, #{}, in(B)),
                   py:await(py:spawn_call(math, sqrt, [4], #{}, in(B)))]],
    ok = py_context:close(A),
    ?assertEqual({ok, 1}, eval(<<"x">>, Other)),
    py_context:close(Other),
    all_back().

timeout() ->
    C = opened(),
    ?assertEqual({error, timeout},
                 py:call(wedge, deaf, [], #{}, (in(C))#{timeout => 50})),
    ?assertEqual({error, {worker_exit, timeout}}, eval(<<"1">>, C)),
    all_back().

%% Whoever has not waited for it cannot close it.
late_opening() ->
    Before = open_contexts(),
    Self = self(),
    Code = <<"(erlang.send(to, erlang.Atom('runs')), __import__('time').sleep(0.2))">>,
    On = #{pool => {default, 1}},
    spawn_link(fun() -> py:eval(Code, #{to => Self}, On) end),
    receive runs -> ok end,
    ?assertEqual({error, timeout}, py_context:open(On#{timeout => 20})),
    fixture:wait_until(fun() -> open_contexts() =:= Before end).

stopped_pool() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    {ok, C} = py_context:open(#{pool => other}),
    ?assertEqual({ok, 1}, eval(<<"1">>, C)),
    ok = py:stop_pool(other),
    ?assertEqual({error, {no_pool, other}}, eval(<<"1">>, C)),
    {ok, _} = py:start_pool(other, #{size => 1}),
    ?assertEqual({error, {worker_exit, shutdown}}, eval(<<"1">>, C)),
    ok = py_context:close(C),
    ok = py:stop_pool(other).

stuck_finalizer() ->
    {ok, _} = py:start_pool(other, #{size => 1, timeout => 300, interrupt_grace => 100,
                                     close_grace => 100, python_path => fixture:python_path()}),
    [Before] = fixture:os_pids(other),
    {ok, C} = py_context:open(#{pool => other}),
    ok = py:exec(<<"import wedge\nclass Stuck:\n    def __del__(self, run=wedge.deaf): run()\n"
                   "it = Stuck()">>, in(C)),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end),
    ?assertMatch({ok, 1}, py:eval(<<"1">>, #{}, #{pool => other, timeout => 30_000})),
    ok = py:stop_pool(other).

recycling() ->
    {ok, _} = py:start_pool(other, #{size => 1, recycle => #{calls => 3, age => 3_000}, drain => 0}),
    [Before] = fixture:os_pids(other),
    {ok, C} = py_context:open(#{pool => other}),
    ok = py:exec(<<"x = 1">>, in(C)),
    [{ok, 1} = eval(<<"x">>, C) || _ <- lists:seq(1, 3)],
    fixture:wait_until(fun() -> [Before] =/= fixture:os_pids(other) end),
    ?assertEqual({ok, {1, Before}}, eval(<<"(x, __import__('os').getpid())">>, C)),
    {Before, C}.

recycled() ->
    {Before, C} = recycling(),
    ok = py_context:close(C),
    fixture:wait_until(fun() -> not fixture:is_running(Before) end),
    ok = py:stop_pool(other),
    {Again, D} = recycling(),
    fixture:wait_until(fun() -> not fixture:is_running(Again) end),
    ?assertEqual({error, {worker_exit, recycled}}, eval(<<"x">>, D)),
    ok = py:stop_pool(other).

restarted() ->
    {ok, _} = py:start_pool(other, #{size => 1}),
    {ok, C} = py_context:open(#{pool => other}),
    ok = py:restart_workers(other),
    ?assertEqual({error, {worker_exit, restarted}}, eval(<<"1">>, C)),
    ok = py:stop_pool(other).

%% Each process has contexts of its own and knows what is in them. From time to time one
%% ends a worker, or is killed.
murder() ->
    Before = open_contexts(),
    Lives = [spawn_monitor(fun() -> live(N, 40, #{}) end) || N <- lists:seq(1, 30)],
    [exit(Pid, kill) || {N, {Pid, _}} <- lists:enumerate(Lives), N rem 5 =:= 0],
    Ends = [receive {'DOWN', Ref, process, _, Why} -> Why end || {_, Ref} <- Lives],
    ?assertEqual([], [Why || Why <- Ends, Why =/= normal, Why =/= killed]),
    all_back(),
    fixture:wait_until(fun() -> open_contexts() =:= Before end),
    ?assertEqual([0, 0], [N || #{contexts := N} <- fixture:workers()]).

%% Kept: what each context has, or that its worker has ended.
live(_, 0, _) -> ok;
live(N, Left, Kept) -> live(N, Left - 1, act(rand:uniform(20), N, Left, Kept)).

act(1, 1, _, Kept) when map_size(Kept) > 0 ->
    [Context | _] = maps:keys(Kept),
    {error, _} = eval(<<"__import__('os')._exit(3)">>, Context),
    Kept;
act(Dice, N, Left, Kept) when Dice < 8 ->
    case py_context:open() of
        {ok, Context} ->
            case py:exec(<<"mine = name">>, #{name => {N, Left}}, in(Context)) of
                ok -> Kept#{Context => {N, Left}};
                {error, {worker_exit, _}} -> Kept#{Context => dead}
            end;
        {error, {worker_exit, _}} ->
            Kept
    end;
act(Dice, _, _, Kept) when Dice < 11, map_size(Kept) > 0 ->
    [Context | _] = maps:keys(Kept),
    ok = py_context:close(Context),
    maps:remove(Context, Kept);
act(_, _, _, Kept) ->
    maps:map(fun(Context, Mine) -> look(eval(<<"mine">>, Context), Mine) end, Kept).

look({ok, Mine}, Mine) -> Mine;
look({error, {worker_exit, _}}, _) -> dead.
