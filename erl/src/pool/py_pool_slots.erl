%% SPDX-License-Identifier: Apache-2.0
%%
%% The workers of a pool, slot by slot: started, made ready, replaced. Pure: what
%% is to be done about it is returned as a list of effects, in order, and carried
%% out by py_pool.
%%
%%   down ── start ──> starting ── ready ──> live ── death ──> down
%%                      │   ^                 the first replacement is started
%%                      v   │ released        at once, the next ones after a
%%                      held                  delay that grows until one lives
%%
%% A slot that is replaced on purpose has its next worker beside the live one
%% until that is ready; then the old one retires: it ends when it has nothing
%% left to do. One whose end is near gets a successor that waits, warm, until the
%% old one takes nothing more or dies.
-module(py_pool_slots).

-export([new/2, start_others/1, start/2, started/4, prepare/2, replace/3]).
-export([ready/5, hold/3, release/3, ran/2, down/4]).
-export([phases/1, is_live/3, any_live/1, all_started/1, describe/1]).
-export_type([slots/0, phases/0, effect/0, why/0]).

%% A worker that was live for this long (ms) had started properly.
-define(LIVED, 1_000).
-define(FIRST_DELAY, 100).
%% The longest delay after a worker that could not start, and after one that
%% could, but died soon.
-define(MOST_DELAY, 5_000).
-define(MOST_DELAY_LIVE, 1_000).
%% How many dead workers are remembered, for those who are bound to them.
-define(DEATHS, 1_000).

-record(slot, {
    id :: pos_integer(),
    phase = down :: down | starting | held | warm | live,
    pid :: pid() | undefined,
    os_pid :: pos_integer() | undefined,
    monitor :: reference() | undefined,
    done = py_pool_steps:none() :: py_pool_steps:done(),
    since = 0 :: integer(),                 % when it became live
    started = false :: boolean(),           % whether one ever was live
    failures = 0 :: non_neg_integer(),      % deaths since one lived long
    restarts = 0 :: non_neg_integer(),
    %% For a successor: why it takes over, or that it still waits.
    why = waits :: waits | why()
}).

-record(slots, {
    slots :: #{pos_integer() => #slot{}},
    next = #{} :: #{pos_integer() => #slot{}},      % to take over from live ones
    retired = #{} :: #{reference() => #slot{}},     % replaced, by their monitors
    dead = queue:new() :: queue:queue(pid())
}).

-opaque slots() :: #slots{}.

%% Of each slot. It is replaced while a successor is under way that does not wait.
-type phases() :: #{pos_integer() => live | starting | down | replaced}.

%% Why a worker is replaced. One that is used up takes nothing more.
-type why() :: restarted | recycled | used_up.

-type effect() ::
    %% A worker is started; started/4 is called at once.
    {start, Id :: pos_integer()}
    %% After this many milliseconds start/2 is called.
    | {start_later, non_neg_integer(), Id :: pos_integer()}
    %% A worker has more to run before it is live.
    | {steps, pid(), [py_pool_steps:step()]}
    %% What has to be run once has been run, start_others/1 is called.
    | ran_once
    %% A worker gets the slot: from now on callers find it there.
    | {join, Id :: pos_integer(), pid(), OsPid :: pos_integer() | undefined}
    %% It is live.
    | {live, pid()}
    %% A worker that was ready is asked once more (ready/5, hold/3).
    | {ready, {Id :: pos_integer(), pid()}, OsPid :: pos_integer() | undefined}
    %% Another worker has this one's slot, or this one was not needed.
    | {retire, pid(), restarted | recycled}
    %% A worker is dead: nobody may pick it, and its reason is kept.
    | {ended, Id :: pos_integer(), pid(), OsPid :: pos_integer() | undefined, Reason :: term()}
    %% The reason of an old death is dropped.
    | {forget, pid()}.

%% ---------------------------------------------------------------------------
%% Starting

%% All slots, and the first worker of each, or of the first slot alone, because that
%% worker has to run something once.
-spec new(pos_integer(), Alone :: boolean()) -> {slots(), [effect()]}.
new(Size, Alone) ->
    Ids = lists:seq(1, Size),
    {#slots{slots = maps:from_list([{Id, #slot{id = Id}} || Id <- Ids])},
     [{start, Id} || Id <- Ids, not Alone orelse Id =:= 1]}.

%% The first one has run it.
-spec start_others(slots()) -> {slots(), [effect()]}.
start_others(#slots{slots = All} = S) ->
    {S, [{start, Id} || {Id, #slot{phase = down}} <- lists:sort(maps:to_list(All))]}.

%% The pause is over: a slot without a worker gets one.
-spec start(pos_integer(), slots()) -> {slots(), [effect()]}.
start(Id, #slots{slots = All} = S) ->
    case All of
        #{Id := #slot{phase = down}} -> {S, [{start, Id}]};
        #{} -> {S, []}
    end.

%% Starts a worker that is to take over from the live one of this slot, but waits
%% until it has to.
-spec prepare(pos_integer(), slots()) -> {slots(), [effect()]}.
prepare(Id, #slots{next = Next} = S) when is_map_key(Id, Next) -> {S, []};
prepare(Id, S) -> succeed(Id, waits, S).

succeed(Id, Why, #slots{slots = All, next = Next} = S) ->
    #{Id := #slot{restarts = Restarts}} = All,
    Slot = #slot{id = Id, restarts = Restarts + 1, why = Why},
    {S#slots{next = Next#{Id => Slot}}, [{start, Id}]}.

%% A worker is to take over from the live one of this slot: one that waits for
%% that, or a new one. A restart needs one that was not there before.
-spec replace(pos_integer(), why(), slots()) -> {slots(), [effect()]}.
replace(Id, restarted, #slots{next = Next} = S) ->
    case Next of
        #{Id := #slot{why = waits} = Slot} -> discard(Slot, succeed(Id, restarted, S));
        #{Id := _} -> {S, []};
        #{} -> succeed(Id, restarted, S)
    end;
replace(Id, Why, #slots{next = Next} = S) ->
    case Next of
        #{Id := Slot} -> go_ahead(Slot#slot{why = Why}, S);
        #{} -> succeed(Id, Why, S)
    end.

discard(#slot{monitor = Monitor, pid = Pid} = Slot, {#slots{retired = Retired} = S, Effects}) ->
    {S#slots{retired = Retired#{Monitor => Slot}}, [{retire, Pid, restarted} | Effects]}.

%% A successor that has waited need not wait any more.
go_ahead(#slot{id = Id, phase = warm, pid = Pid, os_pid = OsPid} = Slot, S) ->
    {put_next(Slot#slot{phase = starting}, S), [{ready, {Id, Pid}, OsPid}]};
go_ahead(Slot, S) ->
    {put_next(Slot, S), []}.

put_next(#slot{id = Id} = Slot, #slots{next = Next} = S) ->
    S#slots{next = Next#{Id => Slot}}.

%% This process, which is watched, is the worker that was to be started.
-spec started(pos_integer(), pid(), reference(), slots()) -> slots().
started(Id, Pid, Monitor, #slots{slots = All, next = Next} = S) ->
    case Next of
        #{Id := #slot{phase = down} = Slot} ->
            put_next(starting(Pid, Monitor, Slot), S);
        #{} ->
            #{Id := #slot{phase = down} = Slot} = All,
            S#slots{slots = All#{Id := starting(Pid, Monitor, Slot)}}
    end.

starting(Pid, Monitor, Slot) ->
    Slot#slot{phase = starting, pid = Pid, monitor = Monitor, done = py_pool_steps:none()}.

put_slot(#slot{id = Id, pid = Pid} = Slot, #slots{slots = All, next = Next} = S) ->
    case Next of
        #{Id := #slot{pid = Pid}} -> put_next(Slot, S);
        #{} -> S#slots{slots = All#{Id => Slot}}
    end.

find(Id, Pid, #slots{slots = All, next = Next}) ->
    case {Next, All} of
        {#{Id := #slot{pid = Pid} = Slot}, _} -> Slot;
        {_, #{Id := #slot{pid = Pid} = Slot}} -> Slot;
        _ -> none
    end.

%% ---------------------------------------------------------------------------
%% Becoming ready

%% A worker has run the steps that it was given: there are more, or it is live
%% from now on, or waits.
-spec ready({pos_integer(), pid()}, pos_integer() | undefined, py_pool_steps:steps(),
            Now :: integer(), slots()) -> {slots(), [effect()]}.
ready({Id, Pid}, OsPid, Steps, Now, S) ->
    case find(Id, Pid, S) of
        none -> {S, []};
        Slot -> go_on(Slot#slot{os_pid = OsPid}, Steps, Now, S)
    end.

go_on(#slot{pid = Pid, done = Done} = Slot, Steps, Now, S) ->
    Next = Slot#slot{done = py_pool_steps:all(Steps)},
    case py_pool_steps:missing(Done, Steps) of
        [] -> nothing_missing(Next, py_pool_steps:is_once_due(Steps), Now, S);
        Missing -> {put_slot(Next#slot{phase = starting}, S), [{steps, Pid, Missing}]}
    end.

nothing_missing(#slot{id = Id, pid = Pid, os_pid = OsPid} = Slot, true, _, S) ->
    {put_slot(Slot#slot{phase = starting}, S), [ran_once, {ready, {Id, Pid}, OsPid}]};
nothing_missing(Slot, false, Now, S) ->
    become_ready(Slot, Now, S).

become_ready(#slot{id = Id, pid = Pid, why = waits} = Slot, Now, #slots{next = Next} = S) ->
    case Next of
        #{Id := #slot{pid = Pid}} -> {put_next(Slot#slot{phase = warm}, S), []};
        #{} -> go_live(Slot, Now, S)
    end;
become_ready(Slot, Now, S) ->
    go_live(Slot, Now, S).

%% The old worker, which may end at once, learns of it when the slot has the new one,
%% so that there is always one. And it learns before the new one begins to say its load.
go_live(#slot{id = Id, pid = Pid, os_pid = OsPid} = Slot, Now, S) ->
    {Free, Retired} = take_over(Slot, S),
    {put_slot(Slot#slot{phase = live, started = true, since = Now}, Free),
     [{join, Id, Pid, OsPid}] ++ Retired ++ [{live, Pid}]}.

%% The worker that had the slot ends when its work is done, or after a while. One
%% that has died meanwhile has nothing to end.
take_over(#slot{pid = Pid, id = Id, why = Why}, #slots{slots = All, next = Next} = S) ->
    case Next of
        #{Id := #slot{pid = Pid}} ->
            retire(maps:get(Id, All), Why, S#slots{next = maps:remove(Id, Next)});
        #{} ->
            {S, []}
    end.

retire(#slot{pid = undefined}, _, S) ->
    {S, []};
retire(#slot{pid = Pid, monitor = Monitor} = Old, Why, #slots{retired = Retired} = S) ->
    {S#slots{retired = Retired#{Monitor => Old}}, [{retire, Pid, told(Why)}]}.

%% What callers hear for whom an old worker does not live long enough.
told(restarted) -> restarted;
told(_) -> recycled.

%% A worker that is ready waits until it is known what else it has to run.
-spec hold({pos_integer(), pid()}, pos_integer() | undefined, slots()) -> slots().
hold({Id, Pid}, OsPid, S) ->
    case find(Id, Pid, S) of
        none -> S;
        Slot -> put_slot(Slot#slot{phase = held, os_pid = OsPid}, S)
    end.

%% Those that wait for it learn what else they have to run.
-spec release(py_pool_steps:steps(), Now :: integer(), slots()) -> {slots(), [effect()]}.
release(Steps, Now, #slots{slots = All, next = Next} = S) ->
    Held = [Slot || #slot{phase = held} = Slot <- maps:values(Next) ++ maps:values(All)],
    lists:foldl(fun(Slot, {Acc, Effects}) ->
                    {After, More} = go_on(Slot, Steps, Now, Acc),
                    {After, Effects ++ More}
                end, {S, []}, Held).

%% Those that are live have run all of it.
-spec ran(py_pool_steps:steps(), slots()) -> slots().
ran(Steps, #slots{slots = All} = S) ->
    Done = py_pool_steps:all(Steps),
    S#slots{slots = maps:map(fun(_, #slot{phase = live} = Slot) -> Slot#slot{done = Done};
                                (_, Slot) -> Slot
                             end, All)}.

%% ---------------------------------------------------------------------------
%% Death and replacement

%% A worker is gone: one that had a slot, one that was to take over, or one
%% that had been replaced.
-spec down(reference(), Reason :: term(), Now :: integer(), slots()) ->
          {{slot | next, pos_integer()} | retired, slots(), [effect()]} | unknown.
down(Monitor, Reason, _, #slots{retired = Retired} = S) when is_map_key(Monitor, Retired) ->
    {Slot, Rest} = maps:take(Monitor, Retired),
    {Buried, Effects} = bury(Slot, Reason, S#slots{retired = Rest}),
    {retired, Buried, Effects};
down(Monitor, Reason, Now, #slots{slots = All, next = Next} = S) ->
    case {with(Monitor, Next), with(Monitor, All)} of
        {[Slot], _} -> successor_down(Slot, Reason, S);
        {[], [Slot]} -> slot_down(Slot, Reason, Now, S);
        {[], []} -> unknown
    end.

with(Monitor, Slots) ->
    [Slot || #slot{monitor = M} = Slot <- maps:values(Slots), M =:= Monitor].

%% The old worker stays, unless it is used up: then its slot is filled again as
%% after any death.
successor_down(#slot{id = Id, why = Why} = Slot, Reason, #slots{slots = All, next = Next} = S) ->
    #{Id := #slot{pid = Old}} = All,
    {Buried, Effects} = bury(Slot, Reason, S#slots{next = maps:remove(Id, Next)}),
    {{next, Id}, Buried,
     Effects ++ [{retire, Old, recycled} || Why =:= used_up, Old =/= undefined]}.

%% A successor that waits takes over. If it cannot, another is started.
slot_down(#slot{id = Id} = Slot, Reason, Now, #slots{slots = All, next = Next} = S) ->
    {Delay, Empty} = empty(Slot, Now),
    {Buried, Effects} = bury(Slot, Reason, S#slots{slots = All#{Id := Empty}}),
    {Ahead, Waited} = case Next of
                          #{Id := #slot{why = waits} = Successor} ->
                              go_ahead(Successor#slot{why = recycled}, Buried);
                          #{} ->
                              {Buried, []}
                      end,
    {{slot, Id}, Ahead, Effects ++ Waited ++ [{start_later, Delay, Id}]}.

bury(#slot{id = Id, pid = Pid, os_pid = OsPid}, Reason, #slots{dead = Dead} = S) ->
    {Kept, Forgotten} = trim(queue:in(Pid, Dead)),
    {S#slots{dead = Kept}, [{ended, Id, Pid, OsPid, Reason} | Forgotten]}.

trim(Dead) ->
    case queue:len(Dead) > ?DEATHS of
        true -> {queue:drop(Dead), [{forget, queue:get(Dead)}]};
        false -> {Dead, []}
    end.

%% What a slot is without its worker, and for how long it stays empty.
empty(#slot{failures = Failures} = Slot, Now) ->
    Before = case has_lived(Slot, Now) of
                 true -> 0;
                 false -> Failures
             end,
    {delay(Before, Slot),
     Slot#slot{phase = down, pid = undefined, os_pid = undefined, monitor = undefined,
               failures = Before + 1, restarts = Slot#slot.restarts + 1}}.

has_lived(#slot{phase = live, since = Since}, Now) -> Now - Since >= ?LIVED;
has_lived(_, _) -> false.

delay(0, _) -> 0;
delay(N, #slot{phase = live}) -> min(?MOST_DELAY_LIVE, doubled(N));
delay(N, _) -> min(?MOST_DELAY, doubled(N)).

doubled(Failures) ->
    ?FIRST_DELAY bsl min(Failures - 1, 16).

%% ---------------------------------------------------------------------------
%% What there is

-spec phases(slots()) -> phases().
phases(#slots{slots = All, next = Next}) ->
    maps:map(fun(Id, Slot) -> phase(Slot, maps:get(Id, Next, none)) end, All).

phase(_, #slot{why = Why}) when Why =/= waits -> replaced;
phase(#slot{phase = Phase}, _) -> state(Phase).

-spec any_live(slots()) -> boolean().
any_live(#slots{slots = All}) ->
    lists:any(fun(#slot{phase = Phase}) -> Phase =:= live end, maps:values(All)).

%% Whether this slot's live worker is that one.
-spec is_live(pos_integer(), pid(), slots()) -> boolean().
is_live(Id, Pid, #slots{slots = All}) ->
    case All of
        #{Id := #slot{phase = live, pid = Pid}} -> true;
        #{} -> false
    end.

%% Whether every slot has had a live worker.
-spec all_started(slots()) -> boolean().
all_started(#slots{slots = All}) ->
    lists:all(fun(#slot{started = Started}) -> Started end, maps:values(All)).

-spec describe(slots()) -> [map()].
describe(#slots{slots = All}) ->
    [#{id => Id, pid => Pid, os_pid => OsPid, state => state(Phase), restarts => N}
     || {Id, #slot{phase = Phase, pid = Pid, os_pid = OsPid, restarts = N}}
            <- lists:sort(maps:to_list(All))].

state(live) -> live;
state(down) -> down;
state(_) -> starting.
