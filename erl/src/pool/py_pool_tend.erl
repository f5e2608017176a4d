%% SPDX-License-Identifier: Apache-2.0
%%
%% What a pool does about workers whose memory is used up: those that are over a
%% limit are replaced (py_pool_recycle), functions that cost too many of them are
%% refused (py_pool_quarantine), and workers give back what they have free
%% (py_pool_trim). What was counted is kept beyond the pool's processes. All of it
%% runs in py_pool, which replaces the workers.
-module(py_pool_tend).

-export([new/2, hear/3, ends/6, live/5, ended/5, lift/3, describe/1]).
-export_type([tend/0, heard/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

%% How long a worker may take to give memory back (ms).
-define(GIVE_BACK, 5_000).

-record(tend, {
    recycle :: py_pool_recycle:recycle(),
    quarantine :: py_pool_quarantine:quarantine(),
    trim :: py_pool_trim:trim()
}).

-opaque tend() :: #tend{}.

%% What is heard about a worker's memory: from the sampler, how much each live worker
%% has; from a helper, that a worker has collected and given back what it could, or
%% what it had before it was trimmed and has now; from a worker, that it has ended
%% because of its memory, and what it was doing.
-type heard() :: {sampled, [py_pool_sampler:sample()]}
               | {gave_back, pos_integer(), pid()}
               | {trimmed, pid(), Before :: non_neg_integer(), After :: non_neg_integer()}
               | {cost, py_wire:what() | none, py_pool_quarantine:why()}.

-spec new(#pool{}, py_pool_options:hidden()) -> tend().
new(#pool{name = Name, size = Size} = Pool,
    #{recycle := Limits, quarantine := Limit, trim := Policy}) ->
    Q = py_pool_quarantine:new(Limit, py_pool_kept:get(Name, quarantine, #{})),
    T = #tend{recycle = py_pool_recycle:new(Limits, Size, py_pool_kept:get(Name, recycled, #{})),
              quarantine = Q, trim = py_pool_trim:new(Policy)},
    refuse(Pool, Q),
    T.

%% ---------------------------------------------------------------------------
%% What is heard about the workers: those to be replaced are returned

-spec hear(heard(), #pool{}, tend()) -> {[{pos_integer(), pid()}], tend()}.
hear({sampled, Samples}, Pool, #tend{recycle = R} = T) ->
    Seen = [seen(Pool, Slot, Worker, Rss) || {Slot, Worker, _, #{rss := Rss}} <- Samples],
    act(Pool, py_pool_recycle:seen(Seen, py_time:now_ms(), R), trim(Pool, Samples, T));
hear({trimmed, Worker, Before, After}, _, #tend{trim = Trim} = T) ->
    {[], T#tend{trim = py_pool_trim:trimmed(Worker, Before, After, py_time:now_ms(), Trim)}};
hear({gave_back, Slot, Worker}, Pool, #tend{recycle = R} = T) ->
    Seen = case row(Pool, Slot) of
               {_, Worker, OsPid} -> seen(Pool, Slot, Worker, rss(OsPid));
               _ -> gone
           end,
    act(Pool, py_pool_recycle:gave_back(Slot, Seen, py_time:now_ms(), R), T);
hear({cost, What, Why}, Pool, T) ->
    {[], cost(Pool, What, Why, T)}.

seen(Pool, Slot, Worker, Rss) ->
    (py_pool_load:use(Pool, Slot))#{slot => Slot, worker => Worker, rss => Rss,
                                    baseline => baseline(Pool, Slot, Worker)}.

baseline(Pool, Slot, Worker) ->
    py_worker_memory:baseline(Worker, py_pool_board:memory(Pool, Slot)).

row(Pool, Slot) ->
    lists:keyfind(Slot, 1, py_pool_board:workers(Pool)).

rss(OsPid) ->
    maps:get(rss, py_os_proc:memory(OsPid), 0).

trim(Pool, Samples, #tend{trim = Trim} = T) ->
    Seen = [{Worker, Rss, not py_pool_load:has_work(Pool, Slot)}
            || {Slot, Worker, _, #{rss := Rss}} <- Samples],
    Live = [Worker || {_, Worker, _} <- py_pool_board:workers(Pool)],
    {Due, Next} = py_pool_trim:seen(Seen, Live, py_time:now_ms(), Trim),
    [trim(Sample) || {_, Worker, _, _} = Sample <- Samples, lists:member(Worker, Due)],
    T#tend{trim = Next}.

%% In a process of its own, so that nobody waits for a program that is slow.
trim({Slot, Worker, OsPid, #{rss := Before}}) ->
    Pool = self(),
    spawn(fun() ->
        ask({Slot, Worker, OsPid}, [trim]),
        case py_os_rss:once(OsPid) of
            {ok, After} -> py_pool:heard(Pool, {trimmed, Worker, Before, After});
            gone -> ok
        end
    end).

act(Pool, {Effects, R}, T) ->
    {lists:append([effect(Effect, Pool) || Effect <- Effects]), T#tend{recycle = R}}.

effect({recycle, Slot, Worker}, _) ->
    [{Slot, Worker}];
effect({give_back, Slot, Worker}, _) ->
    Self = self(),
    Row = {Slot, Worker, undefined},
    _ = spawn(fun() ->
        ask(Row, [{gc, 2}, trim]),
        py_pool:heard(Self, {gave_back, Slot, Worker})
    end),
    [];
effect(Warning, #pool{name = Name}) ->
    {Format, Args} = text(Warning),
    ?LOG_WARNING("pool ~tp: " ++ Format, [Name | Args], #{domain => [py]}),
    [].

%% Both are answered while Python runs a call.
ask(Row, Ops) ->
    Deadline = py_time:deadline(?GIVE_BACK),
    _ = [py_fanout:ask([Row], urgent, Op, Deadline) || Op <- Ops],
    ok.

text({useless, rss, Limit, Baseline}) ->
    {"recycle => #{rss => ~b} is of no use: a worker that is ready has ~b bytes. "
     "No worker is recycled for that", [Limit, Baseline]};
text({too_low, Which, Limit, Times, Proposed}) ->
    {"~b workers of the last hour were recycled just above recycle => #{~p => ~b}. If that is what "
     "their calls need, ~b may suit them better", [Times, Which, Limit, Proposed]}.

%% ---------------------------------------------------------------------------
%% Ends

%% This worker takes nothing more and is to be replaced; this is what it was doing.
-spec ends(#pool{}, pos_integer(), pid(), py_worker_tenure:closing(), py_wire:what() | none,
           tend()) -> tend().
ends(_, _, _, spoilt, _, T) ->
    T;
ends(_, _, Worker, Why, _, #tend{recycle = R} = T) when Why =:= calls; Why =:= threads ->
    T#tend{recycle = py_pool_recycle:ends(Worker, Why, R)};
ends(Pool, _, Worker, Why, What, #tend{recycle = R} = T) ->
    cost(Pool, What, Why, T#tend{recycle = py_pool_recycle:ends(Worker, Why, R)}).

%% This has used up a worker's memory.
cost(Pool, What, Why, #tend{quarantine = Q} = T) ->
    Before = py_pool_quarantine:refused(Q),
    Next = py_pool_quarantine:cost(What, Why, Q),
    _ = [?LOG_WARNING("pool ~tp refuses ~0tp from now on: it has cost its workers their memory "
                      "too often", [Pool#pool.name, Refused], #{domain => [py]})
         || {Refused, _} <- py_pool_quarantine:refused(Next),
            not lists:keymember(Refused, 1, Before)],
    remember(Pool, Next, T).

remember(#pool{name = Name} = Pool, Q, T) ->
    py_pool_kept:put(Name, quarantine, py_pool_quarantine:known(Q)),
    refuse(Pool, Q),
    T#tend{quarantine = Q}.

refuse(Pool, Q) ->
    py_pool_board:set_refused(Pool, py_pool_quarantine:refused(Q)).

%% It may be called again; or all that are refused may.
-spec lift(#pool{}, all | py_wire:what(), tend()) -> tend().
lift(Pool, What, #tend{quarantine = Q} = T) ->
    remember(Pool, py_pool_quarantine:lift(What, Q), T).

%% This worker is live: the one that had its slot until now may have been recycled.
-spec live(#pool{}, pos_integer(), pid(), OsPid :: pos_integer() | undefined, tend()) -> tend().
live(Pool, Slot, Worker, OsPid, T) ->
    case row(Pool, Slot) of
        {_, Old, OldOsPid} when Old =/= Worker -> recycled(Pool, Slot, Old, OldOsPid, OsPid, T);
        _ -> T
    end.

%% A worker has ended, perhaps before it had a successor.
-spec ended(#pool{}, pos_integer(), pid(), Reason :: term(), tend()) -> tend().
ended(Pool, Slot, Worker, {shutdown, recycled}, T) ->
    recycled(Pool, Slot, Worker, undefined, undefined, T);
ended(_, _, Worker, _, #tend{recycle = R} = T) ->
    T#tend{recycle = py_pool_recycle:forget(Worker, R)}.

recycled(#pool{name = Name} = Pool, Slot, Worker, Before, After, #tend{recycle = R} = T) ->
    Had = rss(Before),
    Memory = #{rss => Had, growth => Had - baseline(Pool, Slot, Worker)},
    {Why, Warnings, Next} = py_pool_recycle:ended(Worker, Memory, py_time:now_ms(), R),
    Why =:= none orelse log(Why, Slot, Had, rss(After), py_talk_log:metadata(Pool, Slot, Before)),
    py_pool_kept:put(Name, recycled, py_pool_recycle:counts(Next)),
    _ = [effect(Warning, Pool) || Warning <- Warnings],
    T#tend{recycle = Next}.

%% Routine is logged below the level notice.
log(Why, Slot, Before, After, #{pool := Name} = Meta) ->
    Level = case lists:member(Why, [calls, age, idle]) of true -> info; false -> notice end,
    ?LOG(Level, "worker ~b of pool ~tp was recycled (~p): it had ~b bytes, its successor has ~b",
         [Slot, Name, Why, Before, After], Meta#{reason => Why, before => Before, 'after' => After}).

%% As py:info/1 shows it.
-spec describe(tend()) -> #{recycled := map(), quarantined := [{py_wire:what(), term()}]}.
describe(#tend{recycle = R, quarantine = Q}) ->
    #{recycled => py_pool_recycle:counts(R), quarantined => py_pool_quarantine:refused(Q)}.
