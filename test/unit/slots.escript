#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_slots: what a pool does about its workers, and when. No worker is
%% started here: a pid of this script and a reference stand for each.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% A worker that was live for this long had started properly (ms).
-define(LIVED, 1000).

main(_) ->
    tap:run([
        {"every slot gets a worker", fun first/0},
        {"one worker has something to run before the others start", fun alone/0},
        {"a worker is live when it has run every step", fun steps/0},
        {"a worker that is held goes on when it is released", fun held/0},
        {"what live workers have run, they do not run again", fun ran/0},
        [delays(Row) || Row <- deaths()],
        {"a slot is not started twice", fun once/0},
        {"a worker is replaced by one that is ready before the old one ends", fun replaced/0},
        {"a successor that dies leaves the old worker where it is", fun failed/0},
        {"a successor waits until the old worker is used up", fun waits/0},
        {"a successor that waits runs what is new before it is live", fun waits_and_runs/0},
        {"a successor that waits takes over from one that dies", fun waits_for_death/0},
        {"a restart does not want a successor that has waited", fun waits_in_vain/0},
        {"a worker that is used up before its successor is ready", fun used_up_early/0},
        {"a worker that is used up ends when its successor cannot start", fun used_up_alone/0},
        {"successors of several slots at the same time", fun several/0},
        {"an old worker that dies before its successor is ready", fun overtaken/0},
        {"who is not known", fun unknown/0},
        {"the last 1,000 deaths are remembered", fun remembered/0}
    ]).

%% ---------------------------------------------------------------------------

first() ->
    {S, Effects} = py_pool_slots:new(3, false),
    ?assertEqual([{start, 1}, {start, 2}, {start, 3}], Effects),
    ?assertEqual([down, down, down], states(S)),
    {One, Ref, Started} = start(1, S),
    ?assertEqual([starting, down, down], states(Started)),
    {S1, [{join, 1, One, 77}, {live, One}]} = ready(1, One, 0, Started),
    ?assertEqual([live, down, down], states(S1)),
    ?assertEqual({[1], true, false}, {in(live, S1), py_pool_slots:any_live(S1),
                                      py_pool_slots:all_started(S1)}),
    ?assertMatch({{slot, _}, _, [{ended, 1, One, 77, killed} | _]},
                 py_pool_slots:down(Ref, killed, 0, S1)).

alone() ->
    {S, Effects} = py_pool_slots:new(3, true),
    ?assertEqual([{start, 1}], Effects),
    Once = py_pool_steps:new([<<"o">>], [<<"a">>]),
    {First, Ref, Started} = start(1, S),
    {S1, [{steps, First, [Code]}]} = py_pool_slots:ready({1, First}, 77, Once, 0, Started),
    ?assertEqual(code({init_once, 1}, <<"o">>), Code),
    %% It dies: the one that takes its place has to run it.
    {{slot, _}, Died, _} = py_pool_slots:down(Ref, killed, 0, S1),
    {Next, _, Again} = start(1, Died),
    {S2, [{steps, Next, [Code]}]} = py_pool_slots:ready({1, Next}, 77, Once, 0, Again),
    {S3, [ran_once, {ready, {1, Next}, 77}]} = py_pool_slots:ready({1, Next}, 77, Once, 0, S2),
    {S4, [{start, 2}, {start, 3}]} = py_pool_slots:start_others(S3),
    Ran = py_pool_steps:ran_once(Once),
    ?assertMatch({_, [{steps, Next, [_]}]}, py_pool_slots:ready({1, Next}, 77, Ran, 0, S4)),
    {Other, _, S5} = start(2, S4),
    ?assertEqual({steps, Other, [code({init, 1}, <<"a">>)]},
                 hd(element(2, py_pool_slots:ready({2, Other}, 78, Ran, 0, S5)))).

steps() ->
    {Pid, _, S} = start(1, new(1)),
    Steps = py_pool_steps:new([<<"a">>, <<"b">>]),
    More = py_pool_steps:append(py_secret:hide({exec, <<"c">>}), Steps),
    {S1, Effects1} = py_pool_slots:ready({1, Pid}, 77, Steps, 0, S),
    ?assertEqual([{steps, Pid, [code({init, 1}, <<"a">>), code({init, 2}, <<"b">>)]}], Effects1),
    ?assertEqual([starting], states(S1)),
    {S2, Effects2} = py_pool_slots:ready({1, Pid}, 77, More, 0, S1),
    ?assertEqual([{steps, Pid, [code({definition, 3}, <<"c">>)]}], Effects2),
    {S3, Effects3} = py_pool_slots:ready({1, Pid}, 77, More, 0, S2),
    ?assertEqual([{join, 1, Pid, 77}, {live, Pid}], Effects3),
    ?assertEqual([live], states(S3)).

held() ->
    {Pid, _, S} = start(1, new(2)),
    Held = py_pool_slots:hold({1, Pid}, 77, S),
    ?assertEqual([starting, down], states(Held)),
    ?assertMatch({_, [{join, 1, Pid, 77}, {live, Pid}]}, py_pool_slots:release(none(), 0, Held)),
    Steps = py_pool_steps:new([<<"a">>]),
    {Released, Effects} = py_pool_slots:release(Steps, 0, Held),
    ?assertEqual([{steps, Pid, [code({init, 1}, <<"a">>)]}], Effects),
    ?assertEqual({Released, []}, py_pool_slots:release(Steps, 0, Released)).

ran() ->
    {Pid, Ref, S} = live(1, 0, new(1)),
    Steps = py_pool_steps:new([<<"a">>]),
    S1 = py_pool_slots:ran(Steps, S),
    ?assertMatch({_, [{join, 1, Pid, _}, {live, Pid}]}, py_pool_slots:ready({1, Pid}, 77, Steps, 0, S1)),
    %% Its successor has run nothing.
    {{slot, _}, S2, _} = py_pool_slots:down(Ref, killed, 0, S1),
    {Next, _, S3} = start(1, S2),
    ?assertMatch({_, [{steps, Next, [_]}]}, py_pool_slots:ready({1, Next}, 78, Steps, 0, S3)).

%% {What, how long each worker is live (ms; `never': it does not start), how long
%% it is until each one's successor is started}
deaths() ->
    [{"the first successor is started at once", [0], [0]},
     {"workers that live long", [?LIVED, ?LIVED, ?LIVED + 1], [0, 0, 0]},
     {"workers that die soon", [?LIVED - 1, 0, 0, 0, 0, 0, 0],
      [0, 100, 200, 400, 800, 1000, 1000]},
     {"workers that cannot start", lists:duplicate(9, never),
      [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]},
     {"one that lives long ends the delays", [0, never, 0, ?LIVED, 0, never],
      [0, 100, 200, 0, 100, 200]},
     {"many that cannot start", lists:duplicate(100, never),
      [0, 100, 200, 400, 800, 1600, 3200 | lists:duplicate(93, 5000)]}].

delays({What, Lives, Delays}) ->
    {["delays: ", What], fun() ->
        {Found, S} = lists:mapfoldl(fun die/2, new(1), Lives),
        ?assertEqual(Delays, Found),
        [#{restarts := Restarts}] = py_pool_slots:describe(S),
        ?assertEqual(length(Lives), Restarts)
    end}.

die(never, S) ->
    {_, Ref, Started} = start(1, S),
    delay(py_pool_slots:down(Ref, killed, 1 bsl 40, Started));
die(Lived, S) ->
    Now = erlang:unique_integer([positive]),
    {_, Ref, Live} = live(1, Now, S),
    delay(py_pool_slots:down(Ref, killed, Now + Lived, Live)).

delay({{slot, _}, S, Effects}) ->
    {start_later, Delay, 1} = lists:last(Effects),
    {Delay, S}.

once() ->
    {Pid, Ref, S} = live(1, 0, new(1)),
    ?assertEqual({S, []}, py_pool_slots:start(1, S)),
    {{slot, _}, Down, [{ended, 1, Pid, _, _}, {start_later, 0, 1}]} =
        py_pool_slots:down(Ref, killed, 0, S),
    ?assertEqual({Down, [{start, 1}]}, py_pool_slots:start(1, Down)),
    {_, _, Again} = start(1, Down),
    ?assertEqual({Again, []}, py_pool_slots:start(1, Again)).

replaced() ->
    {Old, OldRef, S} = live(2, 0, new(2)),
    {S1, [{start, 2}]} = py_pool_slots:replace(2, restarted, S),
    {New, NewRef, S2} = start(2, S1),
    ?assertEqual({[2], []}, {in(replaced, S2), in(live, S2)}),
    {S3, Effects} = ready(2, New, 0, S2),
    ?assertEqual([{join, 2, New, 77}, {retire, Old, restarted}, {live, New}], Effects),
    ?assertEqual({[], [2]}, {in(replaced, S3), in(live, S3)}),
    ?assert(py_pool_slots:is_live(2, Old, S2)),
    ?assertNot(py_pool_slots:is_live(2, New, S2)),
    ?assert(py_pool_slots:is_live(2, New, S3)),
    ?assertNot(py_pool_slots:is_live(1, New, S3)),
    ?assertMatch([_, #{pid := New, restarts := 1}], py_pool_slots:describe(S3)),
    {retired, S4, [{ended, 2, Old, _, {shutdown, restarted}}]} =
        py_pool_slots:down(OldRef, {shutdown, restarted}, 0, S3),
    ?assertEqual([2], in(live, S4)),
    ?assertMatch({{slot, _}, _, [{ended, 2, New, _, killed}, {start_later, 0, 2}]},
                 py_pool_slots:down(NewRef, killed, 0, S4)).

failed() ->
    {Old, _, S} = live(1, 0, new(1)),
    {S1, _} = py_pool_slots:replace(1, restarted, S),
    {New, Ref, S2} = start(1, S1),
    {{next, 1}, S3, Effects} = py_pool_slots:down(Ref, killed, 0, S2),
    ?assertEqual([{ended, 1, New, undefined, killed}], Effects),
    ?assertMatch([#{pid := Old, state := live, restarts := 0}], py_pool_slots:describe(S3)),
    ?assertEqual([], in(replaced, S3)).

%% A live worker of slot 1 with a successor that waits.
waiting() ->
    {Old, OldRef, S} = live(1, 0, new(1)),
    {S1, [{start, 1}]} = py_pool_slots:prepare(1, S),
    {New, NewRef, S2} = start(1, S1),
    {S3, []} = ready(1, New, 0, S2),
    {{Old, OldRef}, {New, NewRef}, S3}.

waits() ->
    {{Old, _}, {New, _}, S} = waiting(),
    ?assertEqual({[], [live]}, {in(replaced, S), states(S)}),
    ?assertEqual({S, []}, py_pool_slots:prepare(1, S)),
    {S1, Effects} = py_pool_slots:replace(1, used_up, S),
    ?assertEqual([{ready, {1, New}, 77}], Effects),
    ?assertEqual([1], in(replaced, S1)),
    {S2, Effects2} = ready(1, New, 0, S1),
    ?assertEqual([{join, 1, New, 77}, {retire, Old, recycled}, {live, New}], Effects2),
    ?assert(py_pool_slots:is_live(1, New, S2)).

waits_and_runs() ->
    {_, {New, _}, S} = waiting(),
    {S1, [{ready, {1, New}, 77}]} = py_pool_slots:replace(1, recycled, S),
    Steps = py_pool_steps:new([<<"a">>]),
    ?assertMatch({_, [{steps, New, [_]}]}, py_pool_slots:ready({1, New}, 77, Steps, 0, S1)).

waits_for_death() ->
    {{Old, Ref}, {New, _}, S} = waiting(),
    {{slot, _}, S1, Effects} = py_pool_slots:down(Ref, killed, 0, S),
    ?assertEqual([{ended, 1, Old, 77, killed}, {ready, {1, New}, 77}, {start_later, 0, 1}],
                 Effects),
    {S2, [{join, 1, New, 77}, {live, New}]} = ready(1, New, 0, S1),
    ?assertEqual({S2, []}, py_pool_slots:start(1, S2)).

waits_in_vain() ->
    {_, {New, NewRef}, S} = waiting(),
    {S1, Effects} = py_pool_slots:replace(1, restarted, S),
    ?assertEqual([{retire, New, restarted}, {start, 1}], Effects),
    ?assertEqual([1], in(replaced, S1)),
    ?assertMatch({retired, _, [{ended, 1, New, 77, _}]},
                 py_pool_slots:down(NewRef, {shutdown, restarted}, 0, S1)).

used_up_early() ->
    {Old, _, S} = live(1, 0, new(1)),
    {S1, [{start, 1}]} = py_pool_slots:prepare(1, S),
    {New, _, S2} = start(1, S1),
    {S3, []} = py_pool_slots:replace(1, used_up, S2),
    ?assertMatch({_, [{join, 1, New, 77}, {retire, Old, recycled}, {live, New}]}, ready(1, New, 0, S3)).

used_up_alone() ->
    {Old, _, S} = live(1, 0, new(1)),
    {S1, [{start, 1}]} = py_pool_slots:replace(1, used_up, S),
    {New, Ref, S2} = start(1, S1),
    ?assertMatch({{next, 1}, _, [{ended, 1, New, _, killed}, {retire, Old, recycled}]},
                 py_pool_slots:down(Ref, killed, 0, S2)).

several() ->
    {_, _, S1} = live(1, 0, new(2)),
    {_, _, S2} = live(2, 0, S1),
    {S3, [{start, 1}]} = py_pool_slots:replace(1, used_up, S2),
    {S4, [{start, 2}]} = py_pool_slots:replace(2, recycled, S3),
    ?assertEqual([1, 2], in(replaced, S4)),
    {New, _, S5} = start(2, S4),
    {S6, _} = ready(2, New, 0, S5),
    ?assertEqual([1], in(replaced, S6)).

overtaken() ->
    {_, OldRef, S} = live(1, 0, new(1)),
    {S1, _} = py_pool_slots:replace(1, restarted, S),
    {New, _, S2} = start(1, S1),
    {{slot, _}, S3, _} = py_pool_slots:down(OldRef, killed, 0, S2),
    {S4, Effects} = ready(1, New, 0, S3),
    ?assertEqual([{join, 1, New, 77}, {live, New}], Effects),
    %% The message that is under way finds the slot taken.
    ?assertEqual({S4, []}, py_pool_slots:start(1, S4)).

unknown() ->
    {_, _, S} = live(1, 0, new(1)),
    Stranger = pid(),
    ?assertEqual({S, []}, ready(1, Stranger, 0, S)),
    ?assertEqual(S, py_pool_slots:hold({1, Stranger}, 77, S)),
    ?assertEqual(unknown, py_pool_slots:down(make_ref(), killed, 0, S)).

remembered() ->
    {Pids, S} = lists:mapfoldl(fun(_, S) ->
        {Pid, Ref, Started} = start(1, S),
        {{slot, _}, Down, [{ended, 1, Pid, _, _}, {start_later, _, 1}]} =
            py_pool_slots:down(Ref, killed, 0, Started),
        {Pid, Down}
    end, new(1), lists:seq(1, 1000)),
    {_, Ref, Started} = start(1, S),
    {{slot, _}, _, Effects} = py_pool_slots:down(Ref, killed, 0, Started),
    ?assertEqual([{forget, hd(Pids)}], [E || {forget, _} = E <- Effects]).

%% ---------------------------------------------------------------------------

new(Size) ->
    {S, _} = py_pool_slots:new(Size, false),
    S.

start(Id, S) ->
    {Pid, Ref} = {pid(), make_ref()},
    {Pid, Ref, py_pool_slots:started(Id, Pid, Ref, S)}.

live(Id, Now, S) ->
    {Pid, Ref, Started} = start(Id, S),
    {Live, [{join, Id, Pid, 77}, {live, Pid}]} = ready(Id, Pid, Now, Started),
    {Pid, Ref, Live}.

ready(Id, Pid, Now, S) ->
    py_pool_slots:ready({Id, Pid}, 77, none(), Now, S).

none() -> py_pool_steps:new([]).

%% One that is nobody's.
pid() -> spawn(fun() -> ok end).

in(Phase, S) ->
    [Id || {Id, P} <- lists:sort(maps:to_list(py_pool_slots:phases(S))), P =:= Phase].

states(S) ->
    [State || #{state := State} <- py_pool_slots:describe(S)].

%% Code is out of sight.
code(From, Text) -> {code, From, py_secret:hide({exec, Text})}.
