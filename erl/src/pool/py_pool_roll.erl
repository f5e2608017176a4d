%% SPDX-License-Identifier: Apache-2.0
%%
%% Workers are replaced one after another, each by one that is ready before the
%% old one ends: all of a pool (py:restart_workers), those that are over a limit
%% (py_pool_recycle), or one that should run nothing more. Pure: what is to be done
%% is returned as a list of effects, in order, and carried out by py_pool.
%%
%% The first successor that cannot start ends the roll. Then the old workers stay,
%% except those that run nothing more: they end, and their slots are filled again as
%% after any death.
-module(py_pool_roll).

-export([new/0, begin_with/5, want/4, hurry/6, next/3, failed/3]).
-export_type([roll/0, effect/0, why/0]).

-record(roll, {
    from = none :: none | gen_server:from(),    % who waits for its end
    at = none :: none | pos_integer(),          % whose successor is under way
    left = [] :: [{pos_integer(), why()}],      % the slots that are still to come
    closed = [] :: [{pid(), why()}]             % workers that run nothing
}).

-opaque roll() :: #roll{}.
-type why() :: restarted | recycled.

-type effect() ::
    {reply, gen_server:from(), ok | {error, term()}}
    | {replace, Slot :: pos_integer(), why()}
    | {retire, pid(), why()}.

-spec new() -> roll().
new() ->
    #roll{}.

%% A caller wants these slots' workers replaced: one such wish at a time.
-spec begin_with(gen_server:from(), Wanted :: [pos_integer()], Replaced :: [pos_integer()],
                 Live :: [pos_integer()], roll()) -> {roll(), [effect()]}.
begin_with(From, Wanted, Replaced, Live, #roll{from = none, left = Left} = Roll) ->
    Before = [Wish || {Slot, _} = Wish <- Left, not lists:member(Slot, Wanted)],
    next(Replaced, Live,
         Roll#roll{from = From, left = Before ++ [{Slot, restarted} || Slot <- Wanted]});
begin_with(From, _, _, _, Roll) ->
    {Roll, [{reply, From, {error, restarting}}]}.

%% This slot's worker is over a limit: it comes when the others have been
%% replaced.
-spec want(pos_integer(), Replaced :: [pos_integer()], [pos_integer()], roll()) ->
          {roll(), [effect()]}.
want(Slot, Replaced, Live, #roll{left = Left} = Roll) ->
    case lists:member(Slot, Replaced) orelse lists:keymember(Slot, 1, Left) of
        true -> {Roll, []};
        false -> next(Replaced, Live, Roll#roll{left = Left ++ [{Slot, recycled}]})
    end.

%% This slot's worker runs nothing more: it comes first, unless its successor is
%% under way already.
-spec hurry(pos_integer(), pid(), why(), Replaced :: [pos_integer()], [pos_integer()], roll()) ->
          {roll(), [effect()]}.
hurry(Slot, Worker, Why, Replaced, Live, #roll{left = Left, closed = Closed} = Roll) ->
    First = [{Slot, Why} || not lists:member(Slot, Replaced)],
    next(Replaced, Live, Roll#roll{left = First ++ lists:keydelete(Slot, 1, Left),
                                   closed = [{Worker, Why} | Closed]}).

%% Goes on, with the slots that are live, when the successor that was under way is
%% ready. A worker that has died meanwhile is being replaced anyway, and the next one
%% that becomes ready makes the roll go on. If a slot's successor was under way before
%% the roll, that is waited for: a restart replaces it, too.
-spec next(Replaced :: [pos_integer()], [pos_integer()], roll()) -> {roll(), [effect()]}.
next(Replaced, Live, #roll{from = From, at = At, left = Left} = Roll) ->
    case {lists:member(At, Replaced), Left} of
        {true, _} ->
            {Roll, []};
        {false, []} ->
            {new(), [{reply, From, ok} || From =/= none]};
        {false, [{Slot, Why} | Rest]} ->
            next(Slot, Why, lists:member(Slot, Replaced), lists:member(Slot, Live),
                 Roll#roll{at = none, left = Rest})
    end.

next(Slot, restarted, true, _, #roll{left = Rest} = Roll) ->
    {Roll#roll{at = Slot, left = [{Slot, restarted} | Rest]}, []};
next(Slot, _, true, _, Roll) -> {Roll#roll{at = Slot}, []};
next(Slot, Why, false, true, Roll) -> {Roll#roll{at = Slot}, [{replace, Slot, Why}]};
next(_, _, false, false, Roll) -> {Roll, []}.

%% A successor could not start: of this slot, or of one that does not matter here.
-spec failed(pos_integer(), Reason :: term(), roll()) -> {roll(), [effect()]}.
failed(Slot, Reason, #roll{at = Slot, from = From, closed = Closed}) ->
    {new(), [{reply, From, {error, failure(Reason)}} || From =/= none]
                ++ [{retire, Worker, Why} || {Worker, Why} <- Closed]};
failed(_, _, Roll) ->
    {Roll, []}.

failure({shutdown, Reason}) -> Reason;
failure(Reason) -> {worker_exit, Reason}.
