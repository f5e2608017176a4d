#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% How many handles a worker may have, and those that nobody hears of.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => <<"import wedge">>}, [
        {"a worker has as many as it may, and the next worker gets the others", fun quota/0},
        {"nobody waits for it any more: it is released", 60_000, fun late/0}
    ])).

release_all(Handles) -> [ok = py_handle:release(Handle) || Handle <- Handles].

handles() -> lists:sum([N || #{handles := N} <- fixture:workers()]).

busy_wait(Micros) ->
    Until = erlang:monotonic_time(microsecond) + Micros,
    (fun Wait() -> erlang:monotonic_time(microsecond) < Until andalso Wait() end)().

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
    release_all([Again | tl(Handles)]),
    %% Many at once, also while workers are busy: not one more.
    fixture:wait_until(fun() -> [0, 0] =:= [N || #{handles := N} <- fixture:workers(other)] end),
    Refs = [py:spawn_call(time, sleep, [0.02], #{}, In#{return => handle}) || _ <- lists:seq(1, 20)],
    Results = [py:await(Ref) || Ref <- Refs],
    ?assertEqual({6, 14}, {length([H || {ok, H} <- Results]), length([R || R <- Results, R =:= Full])}),
    ok = py:stop_pool(other).

%% Its time is up, or it is cancelled, when the object is just being made.
late() ->
    Slow = <<"(__import__('time').sleep(0.3), [1])[1]">>,
    ?assertEqual({error, timeout}, py:eval(Slow, #{}, #{return => handle, timeout => 30})),
    %% Code that goes on all the same, and returns.
    ?assertEqual({error, timeout},
                 py:call(wedge, tolerate, [0.05], #{}, #{return => handle, timeout => 30})),
    Ref = py:spawn_call(builtins, eval, [Slow], #{}, #{return => handle}),
    timer:sleep(20),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    %% At any moment: what is heard of is there, and nothing else.
    Refs = [begin
                R = py:spawn_call(builtins, list, [], #{}, #{return => handle}),
                busy_wait(N * 5),
                GiveUp(R)
            end || N <- lists:seq(0, 200),
                   GiveUp <- [fun(R) -> py:await(R, 0) end, fun(R) -> ok = py:cancel(R), R end]],
    Results = [case is_reference(R) of true -> py:await(R); false -> R end || R <- Refs],
    Handles = [H || {ok, H} <- Results],
    ?assertEqual([], [R || R <- Results, element(1, R) =/= ok] -- [{error, E} || _ <- Refs, E <- [timeout, cancelled]]),
    tap:note("~b of ~b were heard of", [length(Handles), length(Refs)]),
    fixture:wait_until(fun() -> handles() =:= length(Handles) end),
    [?assertEqual({ok, []}, py_handle:value(H)) || H <- Handles],
    release_all(Handles).
