%% SPDX-License-Identifier: Apache-2.0
%%
%% When a program is asked for its numbers about memory: once, when it has had
%% nothing to do for a tick. So they are known for every worker that is at rest, and
%% no worker is woken for them later; and while short calls follow one another they
%% cost nothing. The id of the program's last request shows whether it has had
%% something to do. All but the last section is pure.
-module(py_worker_rest).

-export([remember/4, learn/4, heard/4]).
-export([new/0, question/1, soonest/3, tick/2, answered/2, moved/3]).
-export_type([rest/0]).

-include("py.hrl").
-include("py_protocol.hrl").

-record(rest, {
    seen = none :: none | py_wire:id(),         % the last request, a tick ago
    asked = none :: none | py_wire:id(),        % that of which numbers are to come
    known = none :: none | py_wire:id()         % that of which they are there
}).

-opaque rest() :: #rest{}.

-spec new() -> rest().
new() ->
    #rest{}.

%% With the id of what the worker itself asks.
-spec question(memory_stats | stack) -> iodata().
question(Op) -> py_worker_boot:request(Op, #{}).

%% When to look at a program that has nothing to do, if something has happened then.
-spec soonest(py_wire:id(), Then :: integer(), rest()) -> py_time:deadline().
soonest(Last, _, #rest{known = Last}) -> infinity;
soonest(_, Then, #rest{asked = none}) -> Then + ?TICK_MS;
soonest(_, _, _) -> infinity.

%% A program has nothing to do: whether to ask it now.
-spec tick(py_wire:id(), rest()) -> {ask | wait, rest()}.
tick(Last, #rest{seen = Last, asked = none, known = Known} = R) when Known =/= Last ->
    {ask, R#rest{asked = Last}};
tick(Last, R) ->
    {wait, R#rest{seen = Last}}.

%% It has answered: whether it is still at rest, or has got something to do meanwhile.
-spec answered(py_wire:id(), rest()) -> {boolean(), rest()}.
answered(Last, #rest{asked = Last} = R) -> {true, R#rest{asked = none, known = Last}};
answered(_, R) -> {false, R#rest{asked = none}}.

%% Whether a program that was at rest no longer is.
-spec moved(py_wire:id(), IsRunning :: boolean(), rest()) -> {boolean(), rest()}.
moved(_, _, #rest{known = none} = R) -> {false, R};
moved(Last, false, #rest{known = Last} = R) -> {false, R};
moved(_, _, R) -> {true, R#rest{known = none}}.

%% ---------------------------------------------------------------------------
%% What is known, for everybody

%% The calling worker is ready: its memory is compared with this later.
-spec remember(#pool{}, pos_integer(), pos_integer() | undefined, py_worker_memory:numbers()) ->
          ok.
remember(Pool, Slot, OsPid, Numbers) ->
    Baseline = maps:get(rss, py_os_proc:memory(OsPid), undefined),
    py_pool_board:update_memory(Pool, Slot, fun(Before) ->
        py_worker_memory:new(self(), Baseline, Numbers, py_time:now_ms(), Before)
    end).

%% The calling worker's program has been asked.
-spec heard(py_result:result(), #pool{}, pos_integer(), pid()) -> ok.
heard({ok, Numbers}, Pool, Slot, Worker) -> learn(Pool, Slot, Worker, Numbers);
heard({error, _}, _, _, _) -> ok.

%% A worker has said its numbers, whoever has asked for them.
-spec learn(#pool{}, pos_integer(), pid(), py_worker_memory:numbers()) -> ok.
learn(Pool, Slot, Worker, Numbers) ->
    Now = py_time:now_ms(),
    py_pool_board:update_memory(Pool, Slot, fun(Known) ->
        py_worker_memory:learn(Worker, Numbers, Now, Known)
    end).
