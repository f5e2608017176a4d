%% SPDX-License-Identifier: Apache-2.0
%%
%% What has to be run in every worker of a pool before it is ready: the init
%% code, then what exec_all defined, in order, and tracing when it is on. Pure.
%%
%% A worker's progress is compared with this until nothing is missing, so a
%% worker that starts while the list grows misses nothing.
-module(py_pool_steps).

-export([new/1, append/2, trace/2, none/0, missing/2, all/1]).
-export_type([steps/0, done/0]).

-record(steps, {
    code = [] :: [py_wire:op()],
    tracing = off :: off | pos_integer()
}).

-opaque steps() :: #steps{}.
%% What one worker has run: how many pieces of the code, and which tracing.
-opaque done() :: {non_neg_integer(), off | pos_integer()}.

-spec new([binary()]) -> steps().
new(Init) ->
    #steps{code = [{exec, Code} || Code <- Init]}.

-spec append(py_wire:op(), steps()) -> steps().
append(Op, #steps{code = Code} = Steps) ->
    Steps#steps{code = Code ++ [Op]}.

-spec trace(off | pos_integer(), steps()) -> steps().
trace(Tracing, Steps) ->
    Steps#steps{tracing = Tracing}.

%% The progress of a worker that has only just started.
-spec none() -> done().
none() ->
    {0, off}.

%% The progress of one that has run everything.
-spec all(steps()) -> done().
all(#steps{code = Code, tracing = Tracing}) ->
    {length(Code), Tracing}.

-spec missing(done(), steps()) -> [py_wire:op()].
missing({N, Traced}, #steps{code = Code, tracing = Tracing}) ->
    tracing(Traced, Tracing) ++ lists:nthtail(N, Code).

tracing(Same, Same) -> [];
tracing(_, off) -> [tracemalloc_stop];
tracing(_, NFrame) -> [{tracemalloc_start, NFrame}].
