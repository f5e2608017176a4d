%% SPDX-License-Identifier: Apache-2.0
%%
%% How much each worker of a pool has to do, and the pool's few other numbers
%% that everybody reads and nobody asks a process for: an array of atomics.
%%
%% A worker's load is how many requests it has in flight, and how many it takes,
%% its window, as it last wrote itself. A caller that picks a worker adds one to
%% its load as a hint to others. The worker overwrites it with the truth
%% at its next step, so whatever a caller that dies in between leaves behind does
%% not last.
%%
%% No wake-up is lost between a caller that finds no room and a worker that
%% gets some: the pool writes how many callers wait and then reads the loads;
%% the worker writes its load and then reads how many callers wait. One of the
%% two sees the other.
-module(py_pool_load).

-export([new/1, few/1, ahead/1, pick/1, claim/2, set/3, set_absent/2, is_idle/1, has_work/2]).
-export([look/2, is_together/1, is_apart/1]).
-export([set_use/4, use/2]).
-export([set_contexts/3, claim_context/2]).
-export([set_waiting/2, has_waiting/1, sent/1, arrived/1, are_on_the_way/1]).
-export([set_stopping/1, is_stopping/1]).
-export([set_oom_kills/2, claim_oom_kill/2]).
-export([refuse/3, admit/1, memory_refusal/1]).

-include("py.hrl").

-type slot() :: pos_integer().

%% The places of the pool's own numbers: how many callers wait in its queue,
%% whether it is stopping, how many of the kernel's oom kills it knows of, how much
%% memory its workers have, and may have, while new calls are refused for that.
-define(WAITING, 1).
-define(STOPPING, 2).
-define(OOM_KILLS, 3).
-define(USED, 4).
-define(ALLOWED, 5).
-define(ON_THE_WAY, 6).
%% Whether a crowd is kept together, and when to look next whether it should be (ms).
-define(TOGETHER, 7).
-define(NEXT_LOOK, 8).
%% The group of workers whose turn it is.
-define(TURN, 9).
%% Behind them the place of each worker's load, then of how much each was used, then of
%% how many contexts it has; last what each group of workers has marked.
-define(OWN_PLACES, 9).
-define(PLACE(Slot), (?OWN_PLACES + (Slot))).
-define(USE_PLACE(Size, Slot), (?OWN_PLACES + (Size) + (Slot))).
-define(CONTEXTS_PLACE(Size, Slot), (?OWN_PLACES + 2 * (Size) + (Slot))).
-define(MARKS_PLACE(Size, Group), (?OWN_PLACES + 3 * (Size) + 1 + (Group))).

%% What is added to a worker's use while its limits are not to be looked at, and
%% while it has an open stream.
-define(HELD, (1 bsl 60)).
-define(STREAMING, (1 bsl 59)).
-define(CALLS(Use), ((Use) band (?STREAMING - 1))).

%% A load: the window above the number of requests. A worker whose window is 0 is
%% not picked.
-define(LOAD(N, Window), (((Window) bsl 32) bor (N))).
-define(IN_FLIGHT(Load), ((Load) band 16#ffffffff)).
-define(TAKES(Load), ((Load) bsr 32)).
-define(ABSENT, 0).

%% Workers of a large pool are in groups, so that not each of them is looked at. Each
%% marks whether it is idle, and whether it has room: two bits for each worker of a
%% group make a small integer. A mark may be out of date, and the load decides: but a
%% worker marks itself before it reads how many callers wait, so it is not overlooked.
-define(GROUP, 28).
-define(IDLE, 1).
-define(ROOM, (1 bsl ?GROUP)).
-define(EACH(Mark), ((Mark) * ((1 bsl ?GROUP) - 1))).

%% How often it is looked how fast a crowd is (ms). The most that one of a few may have.
-define(LOOK_MS, 25).
-define(MOST_AHEAD, 1024).

%% For a pool of Size workers. There is no worker yet.
-spec new(pos_integer()) -> atomics:atomics_ref().
new(Size) ->
    Load = atomics:new(?MARKS_PLACE(Size, groups(Size) - 1), [{signed, true}]),
    [atomics:put(Load, ?PLACE(Slot), ?ABSENT) || Slot <- lists:seq(1, Size)],
    atomics:put(Load, ?NEXT_LOOK, py_time:now_ms()),
    Load.

%% ---------------------------------------------------------------------------
%% Workers

%% A worker for the next request; full when no worker has room.
-spec pick(#pool{}) -> {ok, slot()} | full.
pick(#pool{size = Size, load = Load, few = Few, ahead = Ahead} = Pool) ->
    case is_together(Pool) andalso least_of_few(Load, 1, Size, Few, none, Ahead) of
        Slot when is_integer(Slot) -> {ok, Slot};
        _ -> least(Pool)
    end.

%% Of the first that take anything, the one with the least.
least_of_few(_, Slot, Size, Left, Found, _) when Slot > Size; Left =:= 0 ->
    Found;
least_of_few(Load, Slot, Size, Left, Found, Least) ->
    Own = atomics:get(Load, ?PLACE(Slot)),
    case ?IN_FLIGHT(Own) of
        _ when ?TAKES(Own) =:= 0 -> least_of_few(Load, Slot + 1, Size, Left, Found, Least);
        0 -> Slot;
        N when N < Least -> least_of_few(Load, Slot + 1, Size, Left - 1, Slot, N);
        _ -> least_of_few(Load, Slot + 1, Size, Left - 1, Found, Least)
    end.

%% The worker with the least in flight; in a large pool an idle one, if there is one, else
%% the one with the least of a group.
least(#pool{size = Size, load = Load}) when Size =< ?GROUP ->
    found(least(Load, 0, Size, own(Size), Size, none, infinity));
least(#pool{size = Size, load = Load} = Pool) ->
    Groups = groups(Size),
    case least(?EACH(?IDLE), 1, own(Groups), Groups, Pool) of
        full ->
            Turn = atomics:add_get(Load, ?TURN, 1) rem Groups,
            least(?EACH(?ROOM), infinity, Turn, Groups, Pool);
        Idle ->
            Idle
    end.

groups(Size) -> (Size + ?GROUP - 1) div ?GROUP.

%% A place of the scheduler's own, so that callers spread out.
own(Places) -> erlang:system_info(scheduler_id) rem Places.

%% In the next group with such a mark, one with less than that in flight.
least(_, _, _, 0, _) ->
    full;
least(Mark, Below, Group, Left, #pool{size = Size, load = Load} = Pool) ->
    case atomics:get(Load, ?MARKS_PLACE(Size, Group)) band Mark of
        0 ->
            least(Mark, Below, (Group + 1) rem groups(Size), Left - 1, Pool);
        _ ->
            First = Group * ?GROUP,
            Count = min(?GROUP, Size - First),
            case least(Load, First, Count, own(Count), Count, none, Below) of
                none -> least(Mark, Below, (Group + 1) rem groups(Size), Left - 1, Pool);
                Slot -> {ok, Slot}
            end
    end.

found(none) -> full;
found(Slot) -> {ok, Slot}.

%% Of Count workers, beginning with the I-th, one that is idle, or the one with the least.
least(_, _, _, _, 0, Slot, _) ->
    Slot;
least(Load, First, Count, I, Left, Slot, Least) ->
    Own = atomics:get(Load, ?PLACE(First + I + 1)),
    case ?IN_FLIGHT(Own) of
        0 when ?TAKES(Own) > 0 -> First + I + 1;
        N when N < Least, N < ?TAKES(Own) ->
            least(Load, First, Count, (I + 1) rem Count, Left - 1, First + I + 1, N);
        _ ->
            least(Load, First, Count, (I + 1) rem Count, Left - 1, Slot, Least)
    end.

%% ---------------------------------------------------------------------------
%% A crowd: together, on a few workers, or apart, on all (py_pace)

%% As many as can run at the same time, if there are more. Otherwise nothing is gained.
-spec few(pos_integer()) -> non_neg_integer().
few(Size) ->
    case erlang:system_info(schedulers_online) of
        Few when Few < Size -> Few;
        _ -> 0
    end.

%% How much each of the few may have, in a pool where that many may wait.
-spec ahead(non_neg_integer()) -> non_neg_integer().
ahead(MaxQueue) ->
    min(?MOST_AHEAD, MaxQueue div 2).

-spec is_together(#pool{}) -> boolean().
is_together(#pool{few = 0}) -> false;
is_together(#pool{load = Load}) -> atomics:get(Load, ?TOGETHER) > 0.

%% The other way round, but never so where there are no few.
-spec is_apart(#pool{}) -> boolean().
is_apart(#pool{few = 0}) -> false;
is_apart(#pool{load = Load}) -> atomics:get(Load, ?TOGETHER) =:= 0.

%% Each worker that is at work comes here every few milliseconds. One of them does
%% something about it.
-spec look(#pool{}, Now :: integer()) -> ok.
look(#pool{few = 0}, _) ->
    ok;
look(#pool{load = Load} = Pool, Now) ->
    Next = atomics:get(Load, ?NEXT_LOOK),
    case Next =< Now andalso atomics:compare_exchange(Load, ?NEXT_LOOK, Next, Now + ?LOOK_MS) of
        ok -> look_now(Pool, Now);
        _ -> ok
    end.

%% A pool that has just been stopped has no table any more.
look_now(#pool{table = Table, load = Load} = Pool, Now) ->
    try
        {Calls, UnderWay} = sums(Pool),
        Pace = next_pace(ets:lookup(Table, pace), Calls, UnderWay, Now, Pool),
        true = ets:insert(Table, {pace, Now, Calls, Pace}),
        Together = case py_pace:is_together(Pace) of true -> 1; false -> 0 end,
        atomics:put(Load, ?TOGETHER, Together)
    catch
        error:badarg -> ok
    end.

%% Only what was seen a moment ago tells a rate. A worker that is replaced takes its
%% calls with it: then there seem to be none.
next_pace([{_, Seen, Before, Pace}], Calls, UnderWay, Now, _)
  when Now > Seen, Now - Seen < 2 * ?LOOK_MS ->
    py_pace:next(max(0, Calls - Before) * 1000 div (Now - Seen), UnderWay, Now, Pace);
next_pace([{_, _, _, Pace}], _, _, _, _) ->
    Pace;
next_pace([], _, _, Now, #pool{few = Few}) ->
    py_pace:new(Few, Now).

%% How many calls all workers have answered, and how many are under way or wait.
sums(#pool{size = Size, load = Load}) ->
    lists:foldl(fun(Slot, {Calls, UnderWay}) ->
        {Calls + ?CALLS(atomics:get(Load, ?USE_PLACE(Size, Slot))),
         UnderWay + ?IN_FLIGHT(atomics:get(Load, ?PLACE(Slot)))}
    end, {0, atomics:get(Load, ?WAITING)}, lists:seq(1, Size)).

%% ---------------------------------------------------------------------------
%% What callers and workers say

%% A caller's hint to others that it is on its way there.
-spec claim(#pool{}, slot()) -> ok.
claim(#pool{load = Load}, Slot) ->
    atomics:add(Load, ?PLACE(Slot), 1).

%% What the worker itself says: how many are in flight, and how many it takes.
-spec set(#pool{}, slot(), {non_neg_integer(), Window :: non_neg_integer()}) -> ok.
set(#pool{load = Load} = Pool, Slot, {N, Window}) ->
    atomics:put(Load, ?PLACE(Slot), ?LOAD(N, Window)),
    mark(Pool, Slot, marks(N, Window)).

%% This slot has no worker that may be picked.
-spec set_absent(#pool{}, slot()) -> ok.
set_absent(#pool{load = Load} = Pool, Slot) ->
    atomics:put(Load, ?PLACE(Slot), ?ABSENT),
    mark(Pool, Slot, 0).

marks(0, Window) when Window > 0 -> ?IDLE bor ?ROOM;
marks(N, Window) when N < Window -> ?ROOM;
marks(_, _) -> 0.

mark(#pool{size = Size}, _, _) when Size =< ?GROUP ->
    ok;
mark(#pool{size = Size, load = Load}, Slot, Marks) ->
    Place = ?MARKS_PLACE(Size, (Slot - 1) div ?GROUP),
    mark(Load, Place, (Slot - 1) rem ?GROUP, Marks, atomics:get(Load, Place)).

mark(Load, Place, I, Marks, Was) ->
    case Was band bnot ((?IDLE bor ?ROOM) bsl I) bor (Marks bsl I) of
        Was ->
            ok;
        Is ->
            case atomics:compare_exchange(Load, Place, Was, Is) of
                ok -> ok;
                Now -> mark(Load, Place, I, Marks, Now)
            end
    end.

%% Whether the worker of this slot has something to do, as it last said.
-spec has_work(#pool{}, slot()) -> boolean().
has_work(#pool{load = Load}, Slot) ->
    ?IN_FLIGHT(atomics:get(Load, ?PLACE(Slot))) > 0.

%% How many calls a worker has answered, and whether it has one now during which it
%% must not be recycled, or at least a stream, even one that waits for its consumer.
-spec set_use(#pool{}, slot(), non_neg_integer(), none | streaming | held) -> ok.
set_use(#pool{load = Load, size = Size}, Slot, Calls, InHand) ->
    atomics:put(Load, ?USE_PLACE(Size, Slot), Calls bor in_hand(InHand)).

in_hand(none) -> 0;
in_hand(streaming) -> ?STREAMING;
in_hand(held) -> ?HELD.

%% The same of this slot's worker, and whether it has nothing to do.
-spec use(#pool{}, slot()) -> #{calls := non_neg_integer(), held := boolean(), idle := boolean()}.
use(#pool{load = Load, size = Size}, Slot) ->
    Use = atomics:get(Load, ?USE_PLACE(Size, Slot)),
    Own = atomics:get(Load, ?PLACE(Slot)),
    #{calls => ?CALLS(Use), held => Use >= ?HELD,
      idle => Use < ?STREAMING andalso ?IN_FLIGHT(Own) =:= 0 andalso ?TAKES(Own) > 0}.

%% How many contexts this slot's worker has.
-spec set_contexts(#pool{}, slot(), non_neg_integer()) -> ok.
set_contexts(#pool{load = Load, size = Size}, Slot, N) ->
    atomics:put(Load, ?CONTEXTS_PLACE(Size, Slot), N).

%% Of the workers that have room, but for these, the one with the fewest contexts: it is
%% to get one more. Until it says so itself, this is a hint to others, as with a load.
-spec claim_context(#pool{}, Except :: [slot()]) -> {ok, slot()} | full.
claim_context(#pool{load = Load, size = Size}, Except) ->
    case [{atomics:get(Load, ?CONTEXTS_PLACE(Size, Slot)), ?IN_FLIGHT(Own), Slot}
          || Slot <- lists:seq(1, Size) -- Except, Own <- [atomics:get(Load, ?PLACE(Slot))],
             ?IN_FLIGHT(Own) < ?TAKES(Own)] of
        [] ->
            full;
        Takers ->
            {_, _, Slot} = lists:min(Takers),
            ok = atomics:add(Load, ?CONTEXTS_PLACE(Size, Slot), 1),
            {ok, Slot}
    end.

%% Whether no worker has anything to do, and no caller waits. That goes for workers
%% that take nothing more, too.
-spec is_idle(#pool{}) -> boolean().
is_idle(#pool{size = Size} = Pool) ->
    not has_waiting(Pool)
        andalso not lists:any(fun(Slot) -> has_work(Pool, Slot) end, lists:seq(1, Size)).

%% ---------------------------------------------------------------------------
%% The pool's own numbers

-spec set_waiting(#pool{}, non_neg_integer()) -> ok.
set_waiting(#pool{load = Load}, N) ->
    atomics:put(Load, ?WAITING, N).

%% Whether callers wait in the pool's queue.
-spec has_waiting(#pool{}) -> boolean().
has_waiting(#pool{load = Load}) ->
    atomics:get(Load, ?WAITING) > 0.

%% A caller that waited in the queue has been given a place.
-spec sent(#pool{}) -> ok.
sent(#pool{load = Load}) ->
    atomics:add(Load, ?ON_THE_WAY, 1).

%% It has gone there, or does not go.
-spec arrived(#pool{}) -> ok.
arrived(#pool{load = Load}) ->
    atomics:sub(Load, ?ON_THE_WAY, 1).

%% Whether there are callers on their way from the queue to a worker. One that dies
%% there counts for ever.
-spec are_on_the_way(#pool{}) -> boolean().
are_on_the_way(#pool{load = Load}) ->
    atomics:get(Load, ?ON_THE_WAY) > 0.

%% A pool that is to stop takes no new requests.
-spec set_stopping(#pool{}) -> ok.
set_stopping(#pool{load = Load}) ->
    atomics:put(Load, ?STOPPING, 1).

-spec is_stopping(#pool{}) -> boolean().
is_stopping(#pool{load = Load}) ->
    atomics:get(Load, ?STOPPING) > 0.

%% How many processes the kernel has killed for want of memory, as known when a
%% worker starts.
-spec set_oom_kills(#pool{}, non_neg_integer()) -> ok.
set_oom_kills(#pool{load = Load}, Kills) ->
    atomics:put(Load, ?OOM_KILLS, Kills).

%% Whether there is one more, which explains a worker's death: each explains one.
-spec claim_oom_kill(#pool{}, non_neg_integer()) -> boolean().
claim_oom_kill(#pool{load = Load}, Kills) ->
    Known = atomics:get(Load, ?OOM_KILLS),
    Kills > Known andalso atomics:add(Load, ?OOM_KILLS, 1) =:= ok.

%% ---------------------------------------------------------------------------
%% Memory

%% New calls are refused: the workers have this much memory, and may have that.
-spec refuse(#pool{}, pos_integer(), non_neg_integer()) -> ok.
refuse(#pool{load = Load}, Used, Allowed) ->
    atomics:put(Load, ?ALLOWED, Allowed),
    atomics:put(Load, ?USED, Used).

%% New calls are taken again.
-spec admit(#pool{}) -> ok.
admit(#pool{load = Load}) ->
    atomics:put(Load, ?USED, 0).

-spec memory_refusal(#pool{}) -> none | #{used := pos_integer(), allowed := non_neg_integer()}.
memory_refusal(#pool{load = Load}) ->
    case atomics:get(Load, ?USED) of
        0 -> none;
        Used -> #{used => Used, allowed => atomics:get(Load, ?ALLOWED)}
    end.
