#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_pool_board and py_pool_load: who is picked, and who has room. The pool has
%% no processes: pids of this script stand for its workers.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

%% Requests that a worker takes.
-define(WINDOW, 8).
%% So many workers that they are in groups, the last of which is not full.
-define(LARGE, 100).

main(_) ->
    tap:run([
        {"a pool without workers is full", in_pool(fun no_workers/1)},
        [{["picks ", What], in_pool(fun(Pool) -> picks(Loads, Slots, Pool) end)}
         || {What, Loads, Slots} <- picked()],
        {"workers are picked in turn", in_pool(fun in_turn/1)},
        [{["a crowd goes to ", What], in_pool(fun(Pool) -> crowd(Loads, Slots, Pool) end)}
         || {What, Loads, Slots} <- crowds()],
        {"of many: an idle one, wherever it is", in_pool(?LARGE, fun idle_of_many/1)},
        {"of many: one of the least of those near it", in_pool(?LARGE, fun least_of_many/1)},
        {"of many: random loads", in_pool(?LARGE, fun random_of_many/1)},
        {"of many: marks of all at the same time", in_pool(?LARGE, fun marks_of_many/1)},
        {"a crowd is together when calls are many", in_pool(fun together/1)},
        {"a crowd that is slower together goes apart", in_pool(fun apart/1)},
        {"a pause tells no rate", in_pool(fun no_rate/1)},
        {"few of many workers, or none of few", fun few/0},
        {"a worker that has left is not picked", in_pool(fun left/1)},
        {"only the worker that is there can leave", in_pool(fun replaced/1)},
        {"a load's slot is nobody else's", in_pool(fun places/1)},
        [{["idle: ", What], in_pool(fun(Pool) -> idle(Loads, Waiting, Is, Pool) end)}
         || {What, Loads, Waiting, Is} <- idles()],
        {"a context goes where fewest are and there is room", in_pool(fun contexts/1)},
        {"each oom kill explains one death", in_pool(fun oom_kills/1)},
        {"a pool that is stopping", in_pool(fun stopping/1)},
        {"a name that is no pool's", fun no_pool/0}
    ]).

%% A pool of three, of which no worker has joined.
in_pool(Test) ->
    in_pool(3, Test).

in_pool(Size, Test) ->
    fun() ->
        Pool = py_pool_board:new(unit, #{size => Size, timeout => 1, concurrency => 100, max_frame => 1024, max_queue => 10,
                                         interrupt_grace => 1, close_grace => 1, drain => 1}),
        ok = py_pool_board:publish(Pool),
        try Test(Pool) after py_pool_board:delete(unit) end
    end.

no_workers(Pool) ->
    ?assertEqual(full, py_pool_board:pick(Pool)),
    ?assertEqual([], py_pool_board:workers(Pool)),
    ?assertEqual({error, no_worker}, py_pool_board:version(Pool)).

%% {What, the workers' loads, the slots of which one is picked}
picked() ->
    Busy = {1, 0},
    [{"one that has nothing to do", [1, 0, 1], [2]},
     {"the one with the least", [3, 2, 1], [3]},
     {"one of several", [1, 1, 5], [1, 2]},
     {"no busy one", [Busy, 7, Busy], [2]},
     {"nobody whose window is full", [?WINDOW, ?WINDOW - 1, ?WINDOW], [2]},
     {"whoever has room, with more to do than another", [?WINDOW, {?WINDOW + 1, 64}, Busy], [2]},
     {"the one with less, whatever its window", [5, {6, 64}, Busy], [1]},
     {"none, if all are full or busy", [?WINDOW, Busy, ?WINDOW + 1], []}].

picks(Loads, Slots, Pool) ->
    Workers = join(Pool, Loads),
    case py_pool_board:pick(Pool) of
        {ok, Worker} -> ?assert(lists:member(Worker, [lists:nth(S, Workers) || S <- Slots]));
        full -> ?assertEqual([], Slots)
    end.

%% Each pick is a hint to the next one.
in_turn(Pool) ->
    Workers = join(Pool, [0, 0, 0]),
    Picked = [begin {ok, W} = py_pool_board:pick(Pool), W end
              || _ <- lists:seq(1, 3 * ?WINDOW)],
    [?assertEqual(?WINDOW, length([P || P <- Picked, P =:= W])) || W <- Workers],
    ?assertEqual(full, py_pool_board:pick(Pool)),
    py_pool_load:set(Pool, 2, {0, ?WINDOW}),
    ?assertEqual({ok, lists:nth(2, Workers)}, py_pool_board:pick(Pool)).

idle_of_many(Pool) ->
    _ = join(Pool, lists:duplicate(?LARGE, 1)),
    [begin
         ok = py_pool_load:set(Pool, Slot, {0, ?WINDOW}),
         ?assertEqual({ok, Slot}, py_pool_load:pick(Pool)),
         %% Two are on their way there, but its mark still says that it is idle.
         [ok = py_pool_load:claim(Pool, Slot) || _ <- [1, 2]],
         {ok, Other} = py_pool_load:pick(Pool),
         ?assertNotEqual(Slot, Other),
         ok = py_pool_load:set(Pool, Slot, {1, ?WINDOW})
     end || Slot <- lists:seq(1, ?LARGE)].

%% All are filled, each group in its turn, and then none is overlooked that has room.
least_of_many(Pool) ->
    _ = join(Pool, lists:duplicate(?LARGE, 1)),
    Picked = [begin
                  {ok, Slot} = py_pool_load:pick(Pool),
                  ok = py_pool_load:claim(Pool, Slot),
                  Slot
              end || _ <- lists:seq(1, ?LARGE * (?WINDOW - 1))],
    [?assertEqual(?WINDOW - 1, length([S || S <- Picked, S =:= Slot])) || Slot <- lists:seq(1, ?LARGE)],
    ?assertEqual(full, py_pool_load:pick(Pool)),
    [begin
         ok = py_pool_load:set(Pool, Slot, {?WINDOW - 1, ?WINDOW}),
         ?assertEqual({ok, Slot}, py_pool_load:pick(Pool)),
         ok = py_pool_load:set_absent(Pool, Slot),
         ?assertEqual(full, py_pool_load:pick(Pool))
     end || Slot <- lists:seq(1, ?LARGE)].

random_of_many(Pool) ->
    _ = join(Pool, lists:duplicate(?LARGE, {0, 0})),
    _ = rand:seed(exsss, {1, 2, 3}),
    lists:foldl(fun(_, Loads) ->
        Slot = rand:uniform(?LARGE),
        Load = {rand:uniform(3) - 1, rand:uniform(4) - 1},
        ok = py_pool_load:set(Pool, Slot, Load),
        Now = Loads#{Slot => Load},
        is_right(py_pool_load:pick(Pool), Now),
        %% Now and then none has room.
        case rand:uniform(200) of
            1 -> [ok = py_pool_load:set_absent(Pool, S) || S <- lists:seq(1, ?LARGE)], #{};
            _ -> Now
        end
    end, #{}, lists:seq(1, 20_000)).

is_right(full, Loads) ->
    ?assertEqual([], [S || {S, {N, Window}} <- maps:to_list(Loads), N < Window]);
is_right({ok, Slot}, Loads) ->
    {N, Window} = maps:get(Slot, Loads),
    ?assert(N < Window),
    Idle = [S || {S, {0, W}} <- maps:to_list(Loads), W > 0],
    ?assert(N =:= 0 orelse Idle =:= []).

%% Each worker writes its own bits of a number that many write.
marks_of_many(Pool) ->
    _ = join(Pool, lists:duplicate(?LARGE, {0, 0})),
    Write = fun(Slot, N) -> py_pool_load:set(Pool, Slot, {N rem 2, N rem 3}) end,
    Writers = [spawn_monitor(fun() ->
                   [Write(Slot, N) || N <- lists:seq(1, 5_000)],
                   py_pool_load:set(Pool, Slot, {1, 1})
               end) || Slot <- lists:seq(1, ?LARGE)],
    [receive {'DOWN', Ref, process, _, Why} -> ?assertEqual(normal, Why) end || {_, Ref} <- Writers],
    ?assertEqual(full, py_pool_load:pick(Pool)),
    [begin
         ok = py_pool_load:set(Pool, Slot, {0, 1}),
         ?assertEqual({ok, Slot}, py_pool_load:pick(Pool)),
         ok = py_pool_load:set(Pool, Slot, {0, 0}),
         ?assertEqual(full, py_pool_load:pick(Pool))
     end || Slot <- lists:seq(1, ?LARGE)].

%% {What, the workers' loads, the slots of which one is picked}. There is room for 20.
crowds() ->
    Busy = {1, 0},
    [{"the first that has nothing to do", [1, 0, 0], [2]},
     {"the first of all", [0, 0, 0], [1]},
     {"one of the first, with more than the others", [9, 8, 0], [2]},
     {"no busy one", [Busy, 9, 8], [3]},
     {"another, if the first have too much", [20, {20, 64}, 1], [3]},
     {"nobody, if all are busy", [Busy, Busy, Busy], []}].

crowd(Loads, Slots, Pool) ->
    keep_together(Pool),
    picks(Loads, Slots, few(Pool)).

%% As if two workers could run at the same time.
few(Pool) -> Pool#pool{few = 2, ahead = 20}.

keep_together(Pool) ->
    looks([{Ms, 100 * Ms} || Ms <- lists:seq(0, 120, 30)], Pool),
    ?assert(py_pool_load:is_together(few(Pool))).

%% What workers see: {after how many ms, how many calls there have been}.
looks(Seen, Pool) ->
    Then = py_time:now_ms(),
    [begin
         py_pool_load:set_use(Pool, 1, Calls, none),
         py_pool_load:look(few(Pool), Then + Ms)
     end || {Ms, Calls} <- Seen].

together(Pool) ->
    ?assertEqual({false, true}, whether(few(Pool))),
    keep_together(Pool),
    ?assertEqual({true, false}, whether(few(Pool))),
    ?assertEqual({false, false}, whether(Pool#pool{few = 0})).

whether(Pool) ->
    {py_pool_load:is_together(Pool), py_pool_load:is_apart(Pool)}.

%% Two looks close to each other are one. More calls are under way than few have.
apart(Pool) ->
    keep_together(Pool),
    _ = join(Pool, [1, 1, 1]),
    looks([{150, 12_010}, {151, 12_010}, {152, 12_010}, {153, 12_010}], Pool),
    ?assert(py_pool_load:is_together(few(Pool))),
    looks([{180, 12_020}, {210, 12_030}], Pool),
    ?assert(py_pool_load:is_apart(few(Pool))),
    ?assertNot(py_pool_load:is_together(few(Pool))).

no_rate(Pool) ->
    looks([{0, 0}, {500, 100_000}], Pool),
    ?assertNot(py_pool_load:is_together(few(Pool))).

few() ->
    Schedulers = erlang:system_info(schedulers_online),
    ?assertEqual([0, 0, Schedulers], [py_pool_load:few(N) || N <- [1, Schedulers, Schedulers + 1]]).

left(Pool) ->
    [_, Two, _] = Workers = join(Pool, [5, 0, 5]),
    py_pool_board:leave(Pool, 2, Two),
    {ok, Picked} = py_pool_board:pick(Pool),
    ?assert(lists:member(Picked, Workers -- [Two])),
    ?assertEqual([1, 3], [Slot || {Slot, _, _} <- py_pool_board:workers(Pool)]).

replaced(Pool) ->
    [One, _, _] = join(Pool, [0, 5, 5]),
    Next = spawn(fun() -> ok end),
    py_pool_board:join(Pool, 1, Next, 99),
    py_pool_board:leave(Pool, 1, One),
    ?assertEqual({ok, Next}, py_pool_board:pick(Pool)).

places(Pool) ->
    _ = join(Pool, [1, 1, 1]),
    py_pool_load:set_waiting(Pool, 5),
    py_pool_load:set_oom_kills(Pool, 7),
    ?assertNot(py_pool_load:is_stopping(Pool)),
    [py_pool_load:set(Pool, Slot, {?WINDOW, ?WINDOW}) || Slot <- [1, 2, 3]],
    ?assert(py_pool_load:has_waiting(Pool)),
    ?assertNot(py_pool_load:claim_oom_kill(Pool, 7)),
    ?assertEqual(full, py_pool_board:pick(Pool)).

%% {What, loads, how many callers wait, whether the pool is idle}
idles() ->
    [{"nobody has anything", [0, 0, 0], 0, true},
     {"somebody has", [0, 1, 0], 0, false},
     {"somebody is busy", [0, {1, 0}, 0], 0, false},
     {"somebody takes nothing more, and has nothing", [0, {0, 0}, 0], 0, true},
     {"a caller waits", [0, 0, 0], 1, false},
     {"workers that are not there have nothing", [0], 0, true}].

idle(Loads, Waiting, Is, Pool) ->
    _ = join(Pool, Loads),
    py_pool_load:set_waiting(Pool, Waiting),
    ?assertEqual(Is, py_pool_load:is_idle(Pool)).

oom_kills(Pool) ->
    py_pool_load:set_oom_kills(Pool, 4),
    ?assertEqual([false, true, false, true, true, false],
                 [py_pool_load:claim_oom_kill(Pool, N) || N <- [4, 5, 5, 7, 7, 7]]).

stopping(Pool) ->
    ?assertEqual({ok, Pool}, py_pool_board:open(unit)),
    py_pool_load:set_stopping(Pool),
    ?assertEqual({error, {stopping, unit}}, py_pool_board:open(unit)),
    ?assertEqual({error, {stopping, unit}},
                 py_pool_board:with_open(unit, fun(_) -> error(open) end)),
    ?assertEqual({found, Pool}, py_pool_board:with_pool(unit, fun(P) -> {found, P} end)).

no_pool() ->
    ?assertEqual({error, {not_started, py}},
                 py_pool_board:with_pool(nobody, fun(_) -> error(found) end)),
    ?assertEqual([], py_pool_board:names()).

%% ---------------------------------------------------------------------------

join(Pool, Loads) ->
    [begin
         Worker = spawn(fun() -> ok end),
         py_pool_board:join(Pool, Slot, Worker, 1000 + Slot),
         py_pool_load:set(Pool, Slot, whole(Load)),
         Worker
     end || {Slot, Load} <- lists:zip(lists:seq(1, length(Loads)), Loads)].

whole({_, _} = Load) -> Load;
whole(N) -> {N, ?WINDOW}.

contexts(Pool) ->
    ?assertEqual(full, py_pool_load:claim_context(Pool, [])),
    Set = fun(Loads) -> [ok = py_pool_load:set(Pool, Slot, Load) || {Slot, Load} <- lists:enumerate(Loads)] end,
    Claim = fun() -> {ok, Slot} = py_pool_load:claim_context(Pool, []), Slot end,
    Set([{0, ?WINDOW}, {0, ?WINDOW}, {0, ?WINDOW}]),
    %% What is on its way counts, until the worker says how many it has.
    ?assertEqual([1, 2, 3, 1, 2], [Claim() || _ <- lists:seq(1, 5)]),
    [ok = py_pool_load:set_contexts(Pool, Slot, N) || {Slot, N} <- [{1, 5}, {2, 8}, {3, 5}]],
    Set([{2, ?WINDOW}, {0, ?WINDOW}, {1, ?WINDOW}]),
    ?assertEqual([3, 1, 3], [Claim() || _ <- lists:seq(1, 3)]),
    ?assertEqual([{ok, 2}, full], [py_pool_load:claim_context(Pool, Except) || Except <- [[1, 3], [3, 1, 2]]]),
    Set([{?WINDOW, ?WINDOW}, {0, ?WINDOW}, {0, 0}]),
    ?assertEqual(2, Claim()),
    Set([{?WINDOW, ?WINDOW}, {1, 0}, {0, 0}]),
    ?assertEqual(full, py_pool_load:claim_context(Pool, [])).
