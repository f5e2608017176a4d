%% SPDX-License-Identifier: Apache-2.0
%%
%% The ladder: what is done, one rung after another, about a program that goes
%% on with a request whose deadline has passed. Pure.
%%
%%   interrupt   {cancel, Id}: Python raises erlang.Cancelled in the request
%%   close       the program's port is closed, upon which the program ends by
%%               itself; what does not end in time is killed (py_worker_reaper)
%%
%% An answer to the request in time ends the ladder. How long the interrupt may take
%% is an option of the pool.
-module(py_worker_ladder).

-export([new/1, start/3, expire/2, soonest/1, off/2, is_closing/1, culprit/1]).
-export_type([ladder/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

-record(ladder, {
    grace :: non_neg_integer(),
    id = none :: none | py_wire:id(),           % the request that it is about
    until = infinity :: py_time:deadline(),     % when the interrupt's grace ends
    closing = false :: boolean()
}).

-opaque ladder() :: #ladder{}.

-spec new(Grace :: non_neg_integer()) -> ladder().
new(Grace) ->
    #ladder{grace = Grace}.

%% Steps on it because of this request, unless another is on it.
-spec start(py_wire:id(), Now :: integer(), ladder()) -> {[effect()], ladder()}.
start(Id, Now, #ladder{id = none, grace = Grace} = L) ->
    {[{rung, interrupt}, {send, py_wire:cancel(Id)}], L#ladder{id = Id, until = Now + Grace}};
start(_, _, L) ->
    {[], L}.

%% The grace of the interrupt may have ended.
-spec expire(Now :: integer(), ladder()) -> {[effect()], ladder()}.
expire(Now, #ladder{until = Until} = L) when Until =< Now ->
    {[{rung, close}], L#ladder{until = infinity, closing = true}};
expire(_, L) ->
    {[], L}.

-spec soonest(ladder()) -> py_time:deadline().
soonest(#ladder{until = Until}) ->
    Until.

%% The request was answered. Once the port is closed there is no way back.
-spec off(py_wire:id(), ladder()) -> ladder().
off(Id, #ladder{id = Id, closing = false} = L) ->
    L#ladder{id = none, until = infinity};
off(_, L) ->
    L.

%% The request for which the program is being ended.
-spec culprit(ladder()) -> py_wire:id() | none.
culprit(#ladder{closing = true, id = Id}) -> Id;
culprit(#ladder{}) -> none.

-spec is_closing(ladder()) -> boolean().
is_closing(#ladder{closing = Closing}) ->
    Closing.
