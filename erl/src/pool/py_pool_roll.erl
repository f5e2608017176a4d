%% SPDX-License-Identifier: Apache-2.0
%%
%% Workers are replaced one after another, each by one that is ready before the
%% old one ends: all of a pool (py:restart_workers), those that are over a limit
%% (py_pool_recycle), or one that should run nothing more. Pure: what is to be done
%% is returned as a list of effects, in order, and carried out by py_pool.
%%
%% A slot that has no live worker when its turn comes is waited for.
%%
%% The first worker that cannot start ends the roll. Then the old workers stay,
%% except those that run nothing more: they end, and their slots are filled again as
%% after any death.
-module(py_pool_roll).

-export([new/0, begin_with/4, want/3, hurry/5, next/2, failed/4, died/4]).
-export_type([roll/0, effect/0, why/0]).

-record(roll, {
    from = none :: none | gen_server:from(),    % who waits for its end
    at = none :: none | awaited(),
    left = [] :: [{pos_integer(), why()}],      % the slots that are still to come
    closed = [] :: [{pid(), why()}]             % workers that run nothing
}).

-opaque roll() :: #roll{}.
-type why() :: restarted | recycled.

%% The slot whose turn it is: its successor is under way; its worker began to start
%% before its turn; it had no worker, and gets one.
-type awaited() :: {successor | old | new, pos_integer()}.

-type effect() ::
    {reply, gen_server:from(), ok | {error, term()}}
    | {replace, Slot :: pos_integer(), why()}
    | {retire, pid(), why()}.

-spec new() -> roll().
new() ->
    #roll{}.

%% A caller wants these slots' workers replaced: one such wish at a time.
-spec begin_with(gen_server:from(), Wanted :: [pos_integer()], py_pool_slots:phases(), roll()) ->
          {roll(), [effect()]}.
begin_with(From, Wanted, Phases, #roll{from = none, left = Left} = Roll) ->
    Before = [Wish || {Slot, _} = Wish <- Left, not lists:member(Slot, Wanted)],
    next(Phases, Roll#roll{from = From, left = Before ++ [{Slot, restarted} || Slot <- Wanted]});
begin_with(From, _, _, Roll) ->
    {Roll, [{reply, From, {error, restarting}}]}.

%% This slot's worker is over a limit: it comes when the others have been
%% replaced.
-spec want(pos_integer(), py_pool_slots:phases(), roll()) -> {roll(), [effect()]}.
want(Slot, Phases, #roll{left = Left} = Roll) ->
    case maps:get(Slot, Phases) =:= replaced orelse lists:keymember(Slot, 1, Left) of
        true -> {Roll, []};
        false -> next(Phases, Roll#roll{left = Left ++ [{Slot, recycled}]})
    end.

%% This slot's worker runs nothing more: it comes first, unless its successor is
%% under way already.
-spec hurry(pos_integer(), pid(), why(), py_pool_slots:phases(), roll()) -> {roll(), [effect()]}.
hurry(Slot, Worker, Why, Phases, #roll{left = Left, closed = Closed} = Roll) ->
    First = [{Slot, Why} || maps:get(Slot, Phases) =/= replaced],
    next(Phases, Roll#roll{left = First ++ lists:keydelete(Slot, 1, Left),
                           closed = [{Worker, Why} | Closed]}).

%% Goes on when what was waited for is there.
-spec next(py_pool_slots:phases(), roll()) -> {roll(), [effect()]}.
next(Phases, #roll{from = From, at = At, left = Left} = Roll) ->
    case {is_awaited(At, Phases), Left} of
        {true, _} ->
            {Roll, []};
        {false, []} ->
            {new(), [{reply, From, ok} || From =/= none]};
        {false, [{Slot, Why} | Rest]} ->
            turn(Slot, Why, maps:get(Slot, Phases), Roll#roll{left = Rest})
    end.

is_awaited(none, _) -> false;
is_awaited({How, Slot}, Phases) -> is_coming(How, maps:get(Slot, Phases)).

is_coming(successor, Phase) -> Phase =:= replaced;
is_coming(old, Phase) -> Phase =:= replaced orelse Phase =:= starting;
is_coming(new, Phase) -> Phase =:= starting orelse Phase =:= down.

%% A restart replaces what began to start before it, too.
turn(Slot, Why, live, Roll) ->
    {Roll#roll{at = {successor, Slot}}, [{replace, Slot, Why}]};
turn(Slot, restarted, Phase, #roll{left = Rest} = Roll) when Phase =/= down ->
    {Roll#roll{at = {old, Slot}, left = [{Slot, restarted} | Rest]}, []};
turn(Slot, _, replaced, Roll) ->
    {Roll#roll{at = {successor, Slot}}, []};
turn(Slot, _, _, Roll) ->
    {Roll#roll{at = {new, Slot}}, []}.

%% A successor could not start: of this slot, or of one that does not matter here. One
%% that began to start before its turn says nothing about those that start later.
-spec failed(pos_integer(), Reason :: term(), py_pool_slots:phases(), roll()) -> {roll(), [effect()]}.
failed(Slot, _, Phases, #roll{at = {old, Slot}} = Roll) -> next(Phases, Roll);
failed(Slot, Reason, _, #roll{at = {_, Slot}} = Roll) -> fail(Reason, Roll);
failed(_, _, _, Roll) -> {Roll, []}.

%% A slot has lost its worker.
-spec died(pos_integer(), Reason :: term(), py_pool_slots:phases(), roll()) -> {roll(), [effect()]}.
died(Slot, Reason, _, #roll{at = {new, Slot}} = Roll) -> fail(Reason, Roll);
died(Slot, _, Phases, #roll{at = {old, Slot}} = Roll) -> next(Phases, Roll);
died(_, _, _, Roll) -> {Roll, []}.

fail(Reason, #roll{from = From, closed = Closed}) ->
    {new(), [{reply, From, {error, failure(Reason)}} || From =/= none]
                ++ [{retire, Worker, Why} || {Worker, Why} <- Closed]}.

failure({shutdown, Reason}) -> Reason;
failure(Reason) -> {worker_exit, Reason}.
