%% SPDX-License-Identifier: Apache-2.0
%%
%% A pool as its callers see it: who is there and who has room, without asking
%% a process.
%%
%%   persistent_term {py, Name}   the #pool{} record, which never changes
%%   atomics, slot by slot        the load of each worker: requests in flight as
%%                                the worker itself last wrote it, or more than
%%                                that (BUSY, ABSENT); behind them, how many
%%                                callers wait in the pool's queue, whether
%%                                the pool is stopping, and how many of the
%%                                kernel's oom kills it knows of
%%   ets                          {Slot, Worker, OsPid} for each worker that is
%%                                ready, {pool, Pid}, {workers, Supervisor},
%%                                {version, Text}, {steps, Steps},
%%                                {{dead, Worker}, Why} for recent deaths
%%
%% A caller that picks a worker adds one to its load as a hint to others. The
%% worker overwrites it with the truth at its next step, so whatever a caller
%% that dies in between leaves behind does not last.
%%
%% No wake-up is lost between a caller that finds no room and a worker that
%% gets some: the pool writes `waiting' and then reads the loads, the worker
%% writes its load and then reads `waiting'. One of the two sees the other.
-module(py_pool_board).

-export([new/2, delete/1, find/1, open/1, names/0]).
-export([pick/1, has_waiting/1, set_waiting/2, set_load/3]).
-export([busy/1, set_stopping/1, is_stopping/1, is_idle/1]).
-export([set_pool/2, pool/1, set_workers/2, workers_sup/1]).
-export([join/4, leave/3, workers/1, set_version/2, version/1, set_steps/2, steps/2]).
-export([set_oom_kills/2, claim_oom_kill/2]).
-export([died/3, forget_dead/2, has_died/2, why_died/2]).
-export_type([worker/0]).

-include("py.hrl").

-type slot() :: pos_integer().
-type worker() :: {slot(), pid(), pos_integer() | undefined}.

%% Loads of a worker that is not to be picked.
-define(BUSY, (1 bsl 20)).
-define(ABSENT, (1 bsl 30)).

%% ---------------------------------------------------------------------------
%% Pools

%% Makes the pool known. Its table belongs to the calling process.
-spec new(atom(), py_options:pool()) -> #pool{}.
new(Name, #{size := Size, timeout := Timeout, max_frame := MaxFrame,
            interrupt_grace := InterruptGrace, close_grace := CloseGrace,
            drain := Drain}) ->
    Load = atomics:new(Size + 3, [{signed, true}]),
    [atomics:put(Load, Slot, ?ABSENT) || Slot <- lists:seq(1, Size)],
    Table = ets:new(?MODULE, [public, {read_concurrency, true}]),
    Pool = #pool{name = Name, size = Size, table = Table, load = Load,
                 timeout = Timeout, max_frame = MaxFrame,
                 interrupt_grace = InterruptGrace, close_grace = CloseGrace,
                 drain = Drain},
    persistent_term:put({py, Name}, Pool),
    Pool.

%% From now on there is no such pool.
-spec delete(atom()) -> ok.
delete(Name) ->
    _ = persistent_term:erase({py, Name}),
    ok.

-spec find(atom()) -> {ok, #pool{}} | {error, {no_pool, atom()}}.
find(Name) ->
    case persistent_term:get({py, Name}, none) of
        none -> {error, {no_pool, Name}};
        Pool -> {ok, Pool}
    end.

%% The pool, if it takes new requests.
-spec open(atom()) -> {ok, #pool{}} | {error, {no_pool | stopping, atom()}}.
open(Name) ->
    case find(Name) of
        {ok, Pool} ->
            case is_stopping(Pool) of
                true -> {error, {stopping, Name}};
                false -> {ok, Pool}
            end;
        {error, _} = Error ->
            Error
    end.

-spec names() -> [atom()].
names() ->
    [Name || {{py, Name}, #pool{}} <- persistent_term:get()].

%% ---------------------------------------------------------------------------
%% Picking

%% The worker with the least in flight; full when none has room.
-spec pick(#pool{}) -> {ok, pid()} | full.
pick(#pool{size = Size, load = Load} = Pool) ->
    First = erlang:system_info(scheduler_id) rem Size,
    case idlest(Load, Size, First, Size, none, ?WINDOW) of
        none -> full;
        Slot -> claim(Pool, Slot)
    end.

%% Starts at a place of the scheduler's own, so that callers spread out.
idlest(_, _, _, 0, Slot, _) -> Slot;
idlest(Load, Size, I, Left, Slot, Least) ->
    case atomics:get(Load, I + 1) of
        N when N =< 0 -> I + 1;
        N when N < Least -> idlest(Load, Size, (I + 1) rem Size, Left - 1, I + 1, N);
        _ -> idlest(Load, Size, (I + 1) rem Size, Left - 1, Slot, Least)
    end.

claim(#pool{load = Load} = Pool, Slot) ->
    case lookup(Pool, Slot) of
        [{_, Worker, _}] ->
            atomics:add(Load, Slot, 1),
            {ok, Worker};
        [] ->
            full
    end.

%% Whether callers wait in the pool's queue.
-spec has_waiting(#pool{}) -> boolean().
has_waiting(#pool{load = Load, size = Size}) ->
    atomics:get(Load, Size + 1) > 0.

-spec set_waiting(#pool{}, non_neg_integer()) -> ok.
set_waiting(#pool{load = Load, size = Size}, N) ->
    atomics:put(Load, Size + 1, N).

%% A pool that is to stop takes no new requests.
-spec set_stopping(#pool{}) -> ok.
set_stopping(#pool{load = Load, size = Size}) ->
    atomics:put(Load, Size + 2, 1).

-spec is_stopping(#pool{}) -> boolean().
is_stopping(#pool{load = Load, size = Size}) ->
    atomics:get(Load, Size + 2) > 0.

%% Whether no worker has anything to do.
-spec is_idle(#pool{}) -> boolean().
is_idle(#pool{load = Load, size = Size} = Pool) ->
    Loads = [atomics:get(Load, Slot) || Slot <- lists:seq(1, Size)],
    not has_waiting(Pool) andalso lists:all(fun(N) -> N =< 0 orelse N =:= ?ABSENT end, Loads).

%% A worker's own truth.
-spec set_load(#pool{}, slot(), non_neg_integer()) -> ok.
set_load(#pool{load = Load}, Slot, N) ->
    atomics:put(Load, Slot, N).

%% The load of a worker with so much in flight that runs something long.
-spec busy(non_neg_integer()) -> pos_integer().
busy(InFlight) ->
    ?BUSY + InFlight.

%% ---------------------------------------------------------------------------
%% Who is there

-spec set_pool(#pool{}, pid()) -> ok.
set_pool(Pool, Pid) ->
    insert(Pool, {pool, Pid}).

-spec pool(#pool{}) -> {ok, pid()} | {error, {no_pool, atom()}}.
pool(#pool{name = Name} = Pool) ->
    case lookup(Pool, pool) of
        [{_, Pid}] -> {ok, Pid};
        [] -> {error, {no_pool, Name}}
    end.

-spec set_workers(#pool{}, pid()) -> ok.
set_workers(Pool, Supervisor) ->
    insert(Pool, {workers, Supervisor}).

-spec workers_sup(#pool{}) -> pid().
workers_sup(Pool) ->
    [{_, Pid}] = lookup(Pool, workers),
    Pid.

-spec join(#pool{}, slot(), pid(), pos_integer() | undefined) -> ok.
join(Pool, Slot, Worker, OsPid) ->
    insert(Pool, {Slot, Worker, OsPid}).

%% The worker of this slot takes no more requests.
-spec leave(#pool{}, slot(), pid()) -> ok.
leave(#pool{load = Load} = Pool, Slot, Worker) ->
    case lookup(Pool, Slot) of
        [{_, Worker, _}] ->
            atomics:put(Load, Slot, ?ABSENT),
            delete_row(Pool, Slot);
        _ ->
            ok
    end.

%% What sys.version is in the pool's Python.
-spec set_version(#pool{}, binary()) -> ok.
set_version(Pool, Version) ->
    insert(Pool, {version, Version}).

-spec version(#pool{}) -> {ok, binary()} | {error, no_worker}.
version(Pool) ->
    case lookup(Pool, version) of
        [{_, Version}] -> {ok, Version};
        [] -> {error, no_worker}
    end.

%% What is run in every worker; the default until it is set.
-spec set_steps(#pool{}, py_pool_steps:steps()) -> ok.
set_steps(Pool, Steps) ->
    insert(Pool, {steps, Steps}).

-spec steps(#pool{}, py_pool_steps:steps()) -> py_pool_steps:steps().
steps(Pool, Default) ->
    case lookup(Pool, steps) of
        [{_, Steps}] -> Steps;
        [] -> Default
    end.

%% The workers that are ready, in the order of their slots.
-spec workers(#pool{}) -> [worker()].
workers(#pool{size = Size} = Pool) ->
    [Row || Slot <- lists:seq(1, Size), Row <- lookup(Pool, Slot)].

%% ---------------------------------------------------------------------------
%% Recent deaths

-spec died(#pool{}, pid(), term()) -> ok.
died(Pool, Worker, Why) ->
    insert(Pool, {{dead, Worker}, Why}).

-spec forget_dead(#pool{}, pid()) -> ok.
forget_dead(Pool, Worker) ->
    delete_row(Pool, {dead, Worker}).

%% Whether a worker has written that it is no more.
-spec has_died(#pool{}, pid()) -> boolean().
has_died(Pool, Worker) ->
    lookup(Pool, {dead, Worker}) =/= [].

%% Why a worker is no more, where that is still remembered. A pool that was
%% stopped has shut its workers down.
-spec why_died(#pool{}, pid()) -> term().
why_died(#pool{table = Table}, Worker) ->
    case in_table(fun() -> ets:lookup(Table, {dead, Worker}) end, stopped) of
        [{_, Why}] -> Why;
        [] -> unknown;
        stopped -> shutdown
    end.

%% So many processes the kernel has killed for want of memory, as is known when
%% a worker starts.
-spec set_oom_kills(#pool{}, non_neg_integer()) -> ok.
set_oom_kills(#pool{load = Load, size = Size}, Kills) ->
    atomics:put(Load, Size + 3, Kills).

%% Whether one more explains the death of a worker: each explains one.
-spec claim_oom_kill(#pool{}, non_neg_integer()) -> boolean().
claim_oom_kill(#pool{load = Load, size = Size}, Kills) ->
    Known = atomics:get(Load, Size + 3),
    Kills > Known andalso atomics:add(Load, Size + 3, 1) =:= ok.

%% ---------------------------------------------------------------------------

%% A pool that has just been stopped has no table any more.
lookup(#pool{table = Table}, Key) ->
    in_table(fun() -> ets:lookup(Table, Key) end, []).

insert(#pool{table = Table}, Row) ->
    _ = in_table(fun() -> ets:insert(Table, Row) end, false),
    ok.

delete_row(#pool{table = Table}, Key) ->
    _ = in_table(fun() -> ets:delete(Table, Key) end, false),
    ok.

in_table(Access, Otherwise) ->
    try
        Access()
    catch
        error:badarg -> Otherwise
    end.
