%% SPDX-License-Identifier: Apache-2.0
%%
%% The ladder: what is done, one rung after another, about a program that goes
%% on with a request whose time is up.
%%
%%   interrupt   {cancel, Id}: Python raises erlang.Cancelled in the request
%%   close       its port is closed, upon which the program ends itself; the
%%               port's owner ends, too
%%   kill        SIGKILL to the program and all that it started
%%
%% An answer to the request in time ends it. The port's owner asks for the next
%% rung when the timer says so. Each rung's grace is an option of the pool.
-module(py_worker_ladder).

-export([new/4, start/2, next/2, off/2, is_closing/1]).
-export_type([ladder/0]).

-include_lib("kernel/include/logger.hrl").
-include("py.hrl").

-record(ladder, {
    pool :: #pool{},
    slot :: pos_integer(),
    port :: port(),
    os_pid :: pos_integer() | undefined,
    id = none :: none | py_wire:id(),           % the request that it is about
    timer = none :: none | reference(),
    closing = false :: boolean()
}).

-opaque ladder() :: #ladder{}.

-spec new(#pool{}, pos_integer(), port(), pos_integer() | undefined) -> ladder().
new(Pool, Slot, Port, OsPid) ->
    #ladder{pool = Pool, slot = Slot, port = Port, os_pid = OsPid}.

%% Steps on it, if nobody is on it.
-spec start(py_wire:id(), ladder()) -> ladder().
start(Id, #ladder{id = none, port = Port, pool = #pool{interrupt_grace = Grace}} = L) ->
    _ = spawn(fun() -> log(interrupt, L) end),
    _ = py_os_port:send(Port, py_wire:cancel(Id)),
    L#ladder{id = Id, timer = erlang:start_timer(Grace, self(), rung)};
start(_, L) ->
    L.

%% The grace of the interrupt has ended.
-spec next(reference(), ladder()) -> ladder().
next(Timer, #ladder{timer = Timer, port = Port} = L) ->
    py_os_port:close(Port),
    _ = spawn(fun() -> reap(L) end),
    L#ladder{closing = true, timer = none};
next(_, L) ->
    L.

%% In a process of its own, so that the owner waits for nobody, not even for a
%% handler of the logger.
reap(#ladder{os_pid = OsPid, pool = #pool{close_grace = Grace}} = L) ->
    log(close, L),
    case py_os_port:wait_gone(OsPid, Grace) of
        gone ->
            ok;
        running ->
            log(kill, L),
            py_os_port:kill(OsPid)
    end.

log(Rung, #ladder{pool = #pool{name = Name}, slot = Slot, os_pid = OsPid}) ->
    ?LOG_INFO("worker ~p of pool ~tp (os pid ~p) does not stop in time: ~p",
              [Slot, Name, OsPid, Rung],
              #{application => py, pool => Name, worker => Slot, os_pid => OsPid,
                step => Rung}).

%% The request was answered. Once closed there is no way back.
-spec off(py_wire:id(), ladder()) -> ladder().
off(Id, #ladder{id = Id, closing = false, timer = Timer} = L) ->
    _ = erlang:cancel_timer(Timer),
    L#ladder{id = none, timer = none};
off(_, L) ->
    L.

-spec is_closing(ladder()) -> boolean().
is_closing(#ladder{closing = Closing}) ->
    Closing.
