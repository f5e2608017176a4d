%% SPDX-License-Identifier: Apache-2.0
%%
%% The ladder: what is done, one rung after another, about a program that goes
%% on with a request whose time is up.
%%
%%   interrupt   {cancel, Id}: Python raises erlang.Cancelled in the request
%%   kill        SIGKILL to the program and all that it started
%%   abandon     the port is closed: the program is beyond reach
%%
%% An answer to the request in time ends it. The port's owner asks for the next
%% rung when the timer says so; the end of the program ends the owner.
-module(py_ladder).

-export([new/4, start/2, next/2, off/2, has_killed/1]).
-export_type([ladder/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

-define(RUNGS, [{interrupt, 500}, {kill, 2_000}, {abandon, 0}]).

-record(ladder, {
    name :: atom(),
    slot :: pos_integer(),
    port :: port(),
    os_pid :: pos_integer() | undefined,
    id = none :: none | py_wire:id(),           % the request that it is about
    rungs = [] :: [{interrupt | kill | abandon, Milliseconds :: non_neg_integer()}],
    timer = none :: none | reference(),
    killed = false :: boolean()
}).

-opaque ladder() :: #ladder{}.

-spec new(#pool{}, pos_integer(), port(), pos_integer() | undefined) -> ladder().
new(#pool{name = Name}, Slot, Port, OsPid) ->
    #ladder{name = Name, slot = Slot, port = Port, os_pid = OsPid}.

%% Steps on it, if nobody is on it.
-spec start(py_wire:id(), ladder()) -> ladder().
start(Id, #ladder{id = none} = L) -> climb(L#ladder{id = Id, rungs = ?RUNGS});
start(_, L) -> L.

%% The timer of a rung has ended.
-spec next(reference(), ladder()) -> ladder().
next(Timer, #ladder{timer = Timer, rungs = [_ | _]} = L) -> climb(L);
next(_, L) -> L.

climb(#ladder{rungs = [{Rung, Wait} | Rest]} = L) ->
    ?LOG_INFO("worker ~p of pool ~tp (os pid ~p) does not stop in time: ~p",
              [L#ladder.slot, L#ladder.name, L#ladder.os_pid, Rung], #{domain => [py]}),
    Timer = erlang:start_timer(Wait, self(), rung),
    act(Rung, L#ladder{rungs = Rest, timer = Timer}).

act(interrupt, #ladder{port = Port, id = Id} = L) ->
    _ = py_port:send(Port, py_wire:cancel(Id)),
    L;
act(kill, #ladder{os_pid = OsPid} = L) ->
    _ = spawn(py_port, kill, [OsPid]),
    L#ladder{killed = true};
act(abandon, #ladder{port = Port} = L) ->
    true = port_close(Port),
    L.

%% The request was answered. After a kill there is no way back.
-spec off(py_wire:id(), ladder()) -> ladder().
off(Id, #ladder{id = Id, killed = false, timer = Timer} = L) ->
    _ = erlang:cancel_timer(Timer),
    L#ladder{id = none, timer = none};
off(_, L) ->
    L.

-spec has_killed(ladder()) -> boolean().
has_killed(#ladder{killed = Killed}) ->
    Killed.
