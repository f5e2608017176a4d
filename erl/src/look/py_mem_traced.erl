%% SPDX-License-Identifier: Apache-2.0
%%
%% Where the memory of workers was allocated, while they trace.
-module(py_mem_traced).

-export([snapshot/1, traced/2, diff/3]).

-include("py.hrl").

-spec snapshot(py_target:target()) -> py_target:answer().
snapshot(Target) ->
    look(Target, fun(Snapshot) -> Snapshot end).

-spec traced(py_target:target(), py_mem_sites:options()) -> py_target:answer().
traced(Target, Options) ->
    look(Target, fun(Snapshot) -> py_mem_sites:rows(Snapshot, Options) end).

-spec diff(py_mem_sites:snapshot(), py_mem_sites:snapshot(), py_mem_sites:options()) ->
          {ok, [py_mem_sites:row()]} | {error, no_worker_in_both}.
diff(Before, After, Options) ->
    [py_mem_sites:is_snapshot(Snapshot)
         orelse py_options:must_be(Snapshot, "a snapshot", "what py_mem:snapshot has returned")
     || Snapshot <- [Before, After]],
    py_mem_sites:diff(Before, After, Options).

%% What Make makes of the snapshot of a worker, of a pool, of each worker.
look({_, all} = Target, Make) ->
    case ask(Target) of
        {ok, Each} -> {ok, [{Id, made(Answer, Make)} || {Id, Answer} <- Each]};
        {error, _} = Error -> Error
    end;
look(Target, Make) ->
    made(ask(Target), Make).

made({ok, Snapshot}, Make) -> {ok, Make(Snapshot)};
made({error, _} = Error, _) -> Error.

ask(Target) ->
    py_target:run(Target, fun ask/2, fun together/2).

ask(#pool{name = Name, timeout = Timeout}, Workers) ->
    Results = py_fanout:ask(Workers, urgent, traced, py_time:deadline(Timeout)),
    [{Worker, of_worker(Name, Worker, Result)} || {Worker, Result} <- Results].

of_worker(Name, {Id, _, _}, {ok, none}) -> {error, {not_tracing, {Name, Id}}};
of_worker(_, {Id, _, OsPid}, {ok, Sites}) -> {ok, py_mem_sites:snapshot(Id, OsPid, Sites)};
of_worker(_, _, {error, _} = Error) -> Error.

%% The snapshots of those that trace.
together(#pool{name = Name}, Results) ->
    Tracing = [Row || {_, Result} = Row <- Results, not is_off(Result)],
    case {py_fanout:all_ok(Tracing), [Snapshot || {_, {ok, Snapshot}} <- Tracing]} of
        {{error, _} = Error, _} -> Error;
        {ok, []} -> {error, {not_tracing, Name}};
        {ok, Snapshots} -> {ok, lists:append(Snapshots)}
    end.

is_off({error, {not_tracing, _}}) -> true;
is_off(_) -> false.
