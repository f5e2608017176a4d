%% SPDX-License-Identifier: Apache-2.0
%%
%% The workers of a pool, slot by slot: started, made ready, replaced.
%%
%%   down ── start ──> starting ── ready ──> live ── death ──> down
%%                      │   ^                 the first replacement is started
%%                      v   │ released        at once, the next ones after a
%%                      held                  delay that grows until one lives
%%
%% A slot that is replaced on purpose has its next worker beside the live one
%% until that is ready; then the old one retires: it ends when it has nothing
%% left to do.
-module(py_pool_slots).

-export([new/2, start/2, replace/2, ready/4, hold/2, release/2, ran/2, down/4]).
-export([live/1, is_replacing/1]).
-export([all_started/1, any_live/1, describe/1]).
-export_type([slots/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% A worker that was live for so long (ms) had started properly.
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
    phase = down :: down | starting | held | live,
    pid :: pid() | undefined,
    os_pid :: pos_integer() | undefined,
    monitor :: reference() | undefined,
    done = py_pool_steps:none() :: py_pool_steps:done(),
    since = 0 :: integer(),                 % when it became live
    started = false :: boolean(),           % whether one ever was live
    failures = 0 :: non_neg_integer(),      % deaths since one lived long
    restarts = 0 :: non_neg_integer()
}).

-record(slots, {
    pool :: #pool{},
    options :: py_options:pool(),
    slots :: #{pos_integer() => #slot{}},
    next = none :: none | #slot{},          % to take over from a live one
    retired = #{} :: #{reference() => #slot{}},     % replaced, by their monitors
    dead = queue:new() :: queue:queue(pid())
}).

-opaque slots() :: #slots{}.

-spec new(#pool{}, py_options:pool()) -> slots().
new(#pool{size = Size} = Pool, Options) ->
    All = maps:from_list([{Id, #slot{id = Id}} || Id <- lists:seq(1, Size)]),
    Empty = #slots{pool = Pool, options = Options, slots = All},
    lists:foldl(fun start/2, Empty, maps:keys(All)).

%% Starts a worker in the calling process' name, where there is none: its
%% successor may have taken over already.
-spec start(pos_integer(), slots()) -> slots().
start(Id, #slots{slots = All} = S) ->
    case All of
        #{Id := #slot{phase = down} = Slot} -> put_slot(start_worker(Slot, S), S);
        #{} -> S
    end.

start_worker(#slot{id = Id} = Slot, #slots{pool = Pool, options = Options}) ->
    Args = #{pool => Pool, boss => self(), slot => Id, options => Options},
    {ok, Pid} = supervisor:start_child(py_pool_board:workers_sup(Pool), [Args]),
    Slot#slot{phase = starting, pid = Pid, monitor = monitor(process, Pid),
              done = py_pool_steps:none()}.

%% Starts a worker that is to take over from the live one of this slot.
-spec replace(pos_integer(), slots()) -> slots().
replace(Id, #slots{slots = All, next = none} = S) ->
    S#slots{next = start_worker(#slot{id = Id, restarts = restarts(Id, All) + 1}, S)}.

restarts(Id, All) ->
    #slot{restarts = N} = maps:get(Id, All),
    N.

-spec is_replacing(slots()) -> boolean().
is_replacing(#slots{next = Next}) ->
    Next =/= none.

%% The slots that have a live worker.
-spec live(slots()) -> [pos_integer()].
live(#slots{slots = All}) ->
    [Id || {Id, #slot{phase = live}} <- lists:sort(maps:to_list(All))].

put_slot(#slot{pid = Pid} = Slot, #slots{next = #slot{pid = Pid}} = S) ->
    S#slots{next = Slot};
put_slot(#slot{id = Id} = Slot, #slots{slots = All} = S) ->
    S#slots{slots = All#{Id => Slot}}.

find(Id, Pid, #slots{next = #slot{id = Id, pid = Pid} = Slot}) -> Slot;
find(Id, Pid, #slots{slots = All}) ->
    case All of
        #{Id := #slot{pid = Pid} = Slot} -> Slot;
        #{} -> none
    end.

%% ---------------------------------------------------------------------------
%% Becoming ready

%% A worker has run the steps that it was given: there are more, or it is live.
-spec ready({pos_integer(), pid()}, pos_integer() | undefined, py_pool_steps:steps(), slots()) ->
          slots().
ready({Id, Pid}, OsPid, Steps, S) ->
    case find(Id, Pid, S) of
        none -> S;
        Slot -> go_on(Slot#slot{os_pid = OsPid}, Steps, S)
    end.

go_on(#slot{pid = Pid, done = Done} = Slot, Steps, S) ->
    Next = Slot#slot{done = py_pool_steps:all(Steps)},
    case py_pool_steps:missing(Done, Steps) of
        [] ->
            go_live(Next, S);
        Missing ->
            py_worker:steps(Pid, Missing),
            put_slot(Next#slot{phase = starting}, S)
    end.

go_live(#slot{id = Id, pid = Pid, os_pid = OsPid} = Slot, #slots{pool = Pool} = S) ->
    Free = take_over(Slot, S),
    py_pool_board:join(Pool, Id, Pid, OsPid),
    py_worker:live(Pid),
    put_slot(Slot#slot{phase = live, started = true, since = now_ms()}, Free).

%% The worker that had the slot ends when its work is done, or after a while.
take_over(#slot{pid = Pid, id = Id}, #slots{next = #slot{pid = Pid}, slots = All} = S) ->
    retire(maps:get(Id, All), S#slots{next = none});
take_over(_, S) ->
    S.

%% One that has died meanwhile has nothing to end.
retire(#slot{pid = undefined}, S) ->
    S;
retire(#slot{pid = Pid, monitor = Monitor} = Old, #slots{pool = #pool{drain = Drain}} = S) ->
    py_worker:retire(Pid, Drain),
    S#slots{retired = (S#slots.retired)#{Monitor => Old}}.

%% A worker that is ready waits until it is known what else it has to run.
-spec hold({pos_integer(), pid(), pos_integer() | undefined}, slots()) -> slots().
hold({Id, Pid, OsPid}, S) ->
    case find(Id, Pid, S) of
        none -> S;
        Slot -> put_slot(Slot#slot{phase = held, os_pid = OsPid}, S)
    end.

-spec release(py_pool_steps:steps(), slots()) -> slots().
release(Steps, #slots{slots = All, next = Next} = S) ->
    Held = [Slot || #slot{phase = held} = Slot <- [Next | maps:values(All)]],
    lists:foldl(fun(Slot, Acc) -> go_on(Slot, Steps, Acc) end, S, Held).

%% Those that are live have run all of it.
-spec ran(py_pool_steps:steps(), slots()) -> slots().
ran(Steps, #slots{slots = All} = S) ->
    Done = py_pool_steps:all(Steps),
    S#slots{slots = maps:map(fun(_, #slot{phase = live} = Slot) -> Slot#slot{done = Done};
                                (_, Slot) -> Slot
                             end, All)}.

%% ---------------------------------------------------------------------------
%% Death and replacement

%% A worker is gone. Its successor is to be started when the calling process
%% gets the message {start, Id}.
-spec down(reference(), pid(), term(), slots()) ->
          {slot | next | retired, slots()} | unknown.
down(Monitor, Pid, Reason, #slots{next = #slot{monitor = Monitor} = Next} = S) ->
    log_death(Next, Reason, S#slots.pool),
    {next, remember(Pid, Reason, S#slots{next = none})};
down(Monitor, Pid, Reason, #slots{slots = All, retired = Retired} = S) ->
    case [Slot || #slot{monitor = M} = Slot <- maps:values(All), M =:= Monitor] of
        [Slot] -> {slot, bury(Slot, Pid, Reason, S)};
        [] when is_map_key(Monitor, Retired) -> {retired, forget(Monitor, Pid, Reason, S)};
        [] -> unknown
    end.

forget(Monitor, Pid, Reason, #slots{retired = Retired} = S) ->
    {Slot, Rest} = maps:take(Monitor, Retired),
    log_death(Slot, Reason, S#slots.pool),
    remember(Pid, Reason, S#slots{retired = Rest}).

bury(#slot{id = Id} = Slot, Pid, Reason, #slots{pool = Pool} = S) ->
    py_pool_board:leave(Pool, Id, Pid),
    log_death(Slot, Reason, Pool),
    Failures = failures(Slot),
    _ = erlang:send_after(delay(Failures, Slot), self(), {start, Id}),
    Empty = Slot#slot{phase = down, pid = undefined, os_pid = undefined,
                      monitor = undefined, failures = Failures + 1,
                      restarts = Slot#slot.restarts + 1},
    remember(Pid, Reason, put_slot(Empty, S)).

failures(#slot{phase = live, since = Since, failures = N}) ->
    case now_ms() - Since of
        Lived when Lived >= ?LIVED -> 0;
        _ -> N
    end;
failures(#slot{failures = N}) ->
    N.

delay(0, _) -> 0;
delay(N, #slot{phase = live}) -> min(?MOST_DELAY_LIVE, doubled(N));
delay(N, _) -> min(?MOST_DELAY, doubled(N)).

doubled(Failures) ->
    ?FIRST_DELAY bsl min(Failures - 1, 16).

%% The worker itself wrote down why, unless it was killed.
remember(Pid, Reason, #slots{pool = Pool, dead = Dead} = S) ->
    py_pool_board:why_died(Pool, Pid) =:= unknown
        andalso py_pool_board:died(Pool, Pid, exit_reason(Reason)),
    S#slots{dead = trim(Pool, queue:in(Pid, Dead))}.

exit_reason({shutdown, {worker_exit, Why}}) -> Why;
exit_reason({shutdown, Why}) -> Why;
exit_reason(Why) -> Why.

trim(Pool, Dead) ->
    case queue:len(Dead) > ?DEATHS of
        true ->
            py_pool_board:forget_dead(Pool, queue:get(Dead)),
            queue:drop(Dead);
        false ->
            Dead
    end.

%% One event for each death.
log_death(_, shutdown, _) ->
    ok;
log_death(_, {shutdown, retired}, _) ->
    ok;
log_death(#slot{id = Id, os_pid = OsPid}, Reason, #pool{name = Name}) ->
    Meta = #{application => py, pool => Name, worker => Id, os_pid => OsPid},
    case Reason of
        {shutdown, {python_start, Text}} ->
            ?LOG_ERROR("worker ~p of pool ~tp could not start: ~ts", [Id, Name, Text], Meta);
        _ ->
            ?LOG_WARNING("worker ~p of pool ~tp (os pid ~p) ended: ~tp",
                         [Id, Name, OsPid, exit_reason(Reason)], Meta)
    end.

now_ms() ->
    erlang:monotonic_time(millisecond).

%% ---------------------------------------------------------------------------
%% What there is

%% Whether every slot has had a live worker.
-spec all_started(slots()) -> boolean().
all_started(#slots{slots = All}) ->
    lists:all(fun(#slot{started = Started}) -> Started end, maps:values(All)).

-spec any_live(slots()) -> boolean().
any_live(#slots{slots = All}) ->
    lists:any(fun(#slot{phase = Phase}) -> Phase =:= live end, maps:values(All)).

-spec describe(slots()) -> [map()].
describe(#slots{slots = All}) ->
    [#{id => Id, pid => Pid, os_pid => OsPid, state => state(Phase), restarts => N}
     || {Id, #slot{phase = Phase, pid = Pid, os_pid = OsPid, restarts = N}}
            <- lists:sort(maps:to_list(All))].

state(live) -> live;
state(down) -> down;
state(_) -> starting.
