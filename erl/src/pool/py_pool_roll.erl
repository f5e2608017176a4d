%% SPDX-License-Identifier: Apache-2.0
%%
%% A rolling restart (py:restart_workers): the workers of a pool are replaced one
%% after another, each by one that is ready before the old one ends. The first
%% successor that cannot start ends it, and the old worker stays. Pure: what is to
%% be done is returned as a list of effects, in order, and carried out by py_pool.
-module(py_pool_roll).

-export([new/0, begin_with/3, next/3, failed/2]).
-export_type([roll/0, effect/0]).

%% Who is waiting for its end, and the slots that are still to come.
-opaque roll() :: none | {gen_server:from(), Left :: [pos_integer()]}.

-type effect() ::
    {reply, gen_server:from(), ok | {error, term()}}
    | {replace, Slot :: pos_integer()}.

-spec new() -> roll().
new() ->
    none.

%% Somebody wants these slots' workers replaced: one such wish at a time.
-spec begin_with(gen_server:from(), [pos_integer()], roll()) -> {roll(), [effect()]}.
begin_with(From, Live, none) ->
    next(false, Live, {From, Live});
begin_with(From, _, Roll) ->
    {Roll, [{reply, From, {error, restarting}}]}.

%% Goes on when no successor is under way: with the slots that are live. A worker
%% that has died meanwhile is being replaced as it is, and whichever becomes
%% ready next brings this on.
-spec next(IsReplacing :: boolean(), [pos_integer()], roll()) -> {roll(), [effect()]}.
next(false, _, {From, []}) ->
    {none, [{reply, From, ok}]};
next(false, Live, {From, [Slot | Rest]}) ->
    {{From, Rest}, [{replace, Slot} || lists:member(Slot, Live)]};
next(_, _, Roll) ->
    {Roll, []}.

%% A successor could not start.
-spec failed(Reason :: term(), roll()) -> {roll(), [effect()]}.
failed(Reason, {From, _}) ->
    {none, [{reply, From, {error, failure(Reason)}}]}.

failure({shutdown, Reason}) -> Reason;
failure(Reason) -> {worker_exit, Reason}.
