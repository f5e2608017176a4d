%% SPDX-License-Identifier: Apache-2.0
%%
%% What a pool's workers may have together, and what is done when they have more.
%% Pure: what is to be done is returned as a list of effects, in order, and carried
%% out by py_pool_relief.
%%
%%   calm ── above ──> relieved ── still ──> sparing, one worker after another
%%    ^   idle workers     │  the largest gets no new work; once it  │
%%    │   collect and trim │  is idle, it collects and trims         │ no other
%%    │                    v                                         v is left
%%    └─────── well below the budget ◄───────────────────────── refusing
%%
%% A worker that was spared in vain works again, and is not chosen a second time
%% before the pool is calm. Nothing is decided while a relief is under way.
-module(py_pool_budget).

-export([new/0, allowed/4, is_below/1, observe/2, relieved/1]).
-export_type([budget/0, limit/0, seen/0, effect/0]).

-type limit() :: pos_integer() | {percent, 1..100}.

%% What was seen in one round.
-type seen() :: #{used := non_neg_integer(),        % by all workers (bytes)
                  allowed := integer(),
                  workers := [worker()]}.           % those that are live
-type worker() :: #{worker := py_pool_board:worker(), uss := non_neg_integer(),
                    idle := boolean()}.

-type effect() ::
    %% From now on there is pressure, or there no longer is.
    pressure | calm
    %% These collect garbage and give memory back; then relieved/1 is called.
    | {relieve, [py_pool_board:worker()]}
    %% This one gets no new work, or gets it again.
    | {spare, py_pool_board:worker()} | {use, py_pool_board:worker()}
    %% New calls are refused (said in each round), or taken again.
    | refuse | admit.

%% The worker that is spared; what all had when it began, how many rounds it has been at
%% its last calls, whether it has been relieved.
-type spared() :: #{worker := py_pool_board:worker(), used := non_neg_integer(),
                  rounds := non_neg_integer(), relieved := boolean()}.

%% It is calm again below this much of what is allowed (percent).
-define(CALM, 95).
%% What stays free in the machine and in each cgroup (percent).
-define(FREE, 2).
%% While processes wait for memory for more than this share of their time (percent),
%% only this share of the budget counts (percent).
-define(STALLED, 10.0).
-define(STALLED_SHARE, 80).
%% For how many rounds a worker that is spared may be at its last calls.
-define(PATIENCE, 3).
%% After how many rounds idle workers are relieved again while calls are refused.
-define(AGAIN, 10).

%% If nobody knows how much memory there is, a share of it does not limit anything.
-define(UNKNOWN, (1 bsl 62)).

-record(budget, {
    stage = calm :: calm | relieved | {sparing, spared()} | {refusing, Rounds :: non_neg_integer()},
    tried = [] :: [Slot :: pos_integer()],
    waits = false :: boolean()          % a relief is under way
}).

-opaque budget() :: #budget{}.

-spec new() -> budget().
new() ->
    #budget{}.

%% How much the workers may have in these places, given how much they have now: the
%% limit, or what they have and what is left, whichever is less.
-spec allowed(limit(), [py_os_room:place()], {ok, float()} | unknown, Used :: non_neg_integer()) ->
          integer().
allowed(Limit, Places, Stalled, Used) ->
    Left = [Used + Left - Size * ?FREE div 100 || #{size := Size, left := Left} <- Places],
    lists:min([squeezed(Stalled, limit(Limit, [Size || #{size := Size} <- Places])) | Left]).

limit({percent, _}, []) -> ?UNKNOWN;
limit({percent, P}, Sizes) -> lists:min(Sizes) * P div 100;
limit(Bytes, Sizes) -> lists:min([Bytes | Sizes]).

squeezed({ok, Share}, Bytes) when Share >= ?STALLED -> Bytes * ?STALLED_SHARE div 100;
squeezed(_, Bytes) -> Bytes.

%% ---------------------------------------------------------------------------
%% Round by round

-spec observe(seen(), budget()) -> {[effect()], budget()}.
observe(_, #budget{waits = true} = B) ->
    {[], B};
observe(Seen, #budget{stage = Stage} = B) ->
    case zone(Seen) of
        above -> above(Stage, Seen, B);
        near -> {[refuse || is_refusing(Stage)], B};
        below -> below(Stage, B)
    end.

zone(#{used := Used, allowed := Allowed}) when Used > Allowed -> above;
zone(#{used := Used, allowed := Allowed}) when 100 * Used > ?CALM * Allowed -> near;
zone(_) -> below.

%% Whether it is well below what is allowed.
-spec is_below(seen()) -> boolean().
is_below(Seen) ->
    zone(Seen) =:= below.

is_refusing({refusing, _}) -> true;
is_refusing(_) -> false.

below(calm, B) -> {[], B};
below(relieved, _) -> {[calm], new()};
below({sparing, #{worker := Worker}}, _) -> {[{use, Worker}, calm], new()};
below({refusing, _}, _) -> {[admit, calm], new()}.

above(calm, Seen, B) ->
    relieve(idle(Seen), [pressure], B#budget{stage = relieved});
above(relieved, Seen, B) ->
    spare_next([], Seen, B);
above({sparing, Spared}, Seen, B) ->
    sparing(look_up(Spared, Seen), Spared, Seen, B);
above({refusing, ?AGAIN}, Seen, B) ->
    relieve(idle(Seen), [refuse], B#budget{stage = {refusing, 0}});
above({refusing, Rounds}, _, B) ->
    {[refuse], B#budget{stage = {refusing, Rounds + 1}}}.

relieve([], Effects, B) -> {Effects, B};
relieve(Workers, Effects, B) -> {Effects ++ [{relieve, Workers}], B#budget{waits = true}}.

idle(#{workers := Workers}) ->
    [Worker || #{worker := Worker, idle := true} <- Workers].

%% A relief is over: the next round shows what has come of it.
-spec relieved(budget()) -> budget().
relieved(B) ->
    B#budget{waits = false}.

%% ---------------------------------------------------------------------------
%% One worker is spared

%% The largest of those that were not spared yet, by what it alone has. If there is
%% none left, new calls are refused.
spare_next(Effects, #{workers := Workers, used := Used}, #budget{tried = Tried} = B) ->
    Others = [{Uss, Worker} || #{worker := {Slot, _, _} = Worker, uss := Uss} <- Workers,
                               not lists:member(Slot, Tried)],
    case lists:sort(Others) of
        [] ->
            refuse(Effects, B);
        Sorted ->
            {_, {Slot, _, _} = Worker} = lists:last(Sorted),
            Spared = #{worker => Worker, used => Used, rounds => 0, relieved => false},
            {Effects ++ [{spare, Worker}],
             B#budget{stage = {sparing, Spared}, tried = [Slot | Tried]}}
    end.

refuse(Effects, B) ->
    {Effects ++ [refuse], B#budget{stage = {refusing, 0}}}.

look_up(#{worker := Worker}, #{workers := Workers}) ->
    case [Idle || #{worker := W, idle := Idle} <- Workers, W =:= Worker] of
        [true] -> idle;
        [false] -> busy;
        [] -> gone
    end.

%% If it is idle, its memory can come back now. If that has not come back, or the
%% worker is gone, it is the next one's turn. If it is still at work, that may last
%% for a while.
sparing(idle, #{worker := Worker, relieved := false} = Spared, _, B) ->
    relieve([Worker], [], B#budget{stage = {sparing, Spared#{relieved := true}}});
sparing(busy, #{rounds := Rounds} = Spared, _, B) when Rounds < ?PATIENCE ->
    {[], B#budget{stage = {sparing, Spared#{rounds := Rounds + 1}}}};
sparing(busy, #{worker := Worker, used := Before}, #{used := Used}, B) when Used > Before ->
    refuse([{use, Worker}], B);
sparing(gone, _, Seen, B) ->
    spare_next([], Seen, B);
sparing(_, #{worker := Worker}, Seen, B) ->
    spare_next([{use, Worker}], Seen, B).
