%% SPDX-License-Identifier: Apache-2.0
%%
%% Workers are replaced one after another, each by one that is ready before the
%% old one ends: all of a pool (py:restart_workers), or one that is spoilt. Pure:
%% what is to be done is returned as a list of effects, in order, and carried out
%% by py_pool.
%%
%% The first successor that cannot start ends it. Then the old workers stay, but
%% not the spoilt ones, which run nothing: they end, and their slots are filled
%% again as after any death.
-module(py_pool_roll).

-export([new/0, begin_with/3, hurry/5, next/3, failed/2]).
-export_type([roll/0, effect/0]).

-record(roll, {
    from = none :: none | gen_server:from(),    % who waits for its end
    left = [] :: [pos_integer()],               % the slots that are still to come
    spoilt = [] :: [pid()]
}).

-opaque roll() :: #roll{}.

-type effect() ::
    {reply, gen_server:from(), ok | {error, term()}}
    | {replace, Slot :: pos_integer()}
    | {retire, pid()}.

-spec new() -> roll().
new() ->
    #roll{}.

%% Somebody wants these slots' workers replaced: one such wish at a time. While
%% spoilt ones are replaced, a successor is under way.
-spec begin_with(gen_server:from(), [pos_integer()], roll()) -> {roll(), [effect()]}.
begin_with(From, Live, #roll{from = none, spoilt = []} = Roll) ->
    next(none, Live, Roll#roll{from = From, left = Live});
begin_with(From, Live, #roll{from = none} = Roll) ->
    {Roll#roll{from = From, left = Live}, []};
begin_with(From, _, Roll) ->
    {Roll, [{reply, From, {error, restarting}}]}.

%% This slot's worker is spoilt: it comes first, unless its successor is under
%% way already.
-spec hurry(pos_integer(), pid(), Replaced :: none | pos_integer(), [pos_integer()], roll()) ->
          {roll(), [effect()]}.
hurry(Slot, Worker, Replaced, Live, #roll{left = Left, spoilt = Spoilt} = Roll) ->
    First = [Slot || Slot =/= Replaced],
    next(Replaced, Live, Roll#roll{left = First ++ (Left -- First), spoilt = [Worker | Spoilt]}).

%% Goes on when no successor is under way: with the slots that are live. A worker
%% that has died meanwhile is being replaced as it is, and whichever becomes
%% ready next brings this on.
-spec next(Replaced :: none | pos_integer(), [pos_integer()], roll()) -> {roll(), [effect()]}.
next(none, _, #roll{from = From, left = []}) ->
    {new(), [{reply, From, ok} || From =/= none]};
next(none, Live, #roll{left = [Slot | Rest]} = Roll) ->
    {Roll#roll{left = Rest}, [{replace, Slot} || lists:member(Slot, Live)]};
next(_, _, Roll) ->
    {Roll, []}.

%% A successor could not start.
-spec failed(Reason :: term(), roll()) -> {roll(), [effect()]}.
failed(Reason, #roll{from = From, spoilt = Spoilt}) ->
    {new(), [{reply, From, {error, failure(Reason)}} || From =/= none]
                ++ [{retire, Worker} || Worker <- Spoilt]}.

failure({shutdown, Reason}) -> Reason;
failure(Reason) -> {worker_exit, Reason}.
