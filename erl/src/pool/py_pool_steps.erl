%% SPDX-License-Identifier: Apache-2.0
%%
%% What has to be run in every worker of a pool before it is ready: the init
%% code, then what exec_all defined, in order, and tracing when it is on. Pure.
%%
%% A worker's progress is compared with this until nothing is missing, so a
%% worker that starts while the list grows misses nothing. Each piece of code has
%% a number, and later ones have larger numbers.
%%
%% The same code may be defined again and again, and is not kept again and again.
%% What is repeated at once adds nothing. If other code came in between, two of
%% its places are kept, the first and the last: what followed the first one may
%% need its names, and the last one may have set right what others had changed.
%% With that a new worker ends up like the old ones, as long as the code defines
%% names and does not count how often it runs.
-module(py_pool_steps).

-export([new/1, append/2, trace/2, none/0, missing/2, all/1]).
-export_type([steps/0, step/0, done/0]).

-record(steps, {
    code = [] :: [{pos_integer(), code()}],
    last = 0 :: non_neg_integer(),              % number
    tracing = off :: off | pos_integer()
}).

-type code() :: py_secret:secret(py_wire:op()).
-type step() :: {code, code()} | py_wire:op().
-opaque steps() :: #steps{}.
%% What one worker has run: the code up to which number, and which tracing.
-opaque done() :: {non_neg_integer(), off | pos_integer()}.

-spec new([binary()]) -> steps().
new(Init) ->
    lists:foldl(fun(Code, Steps) -> add(py_secret:hide({exec, Code}), Steps) end, #steps{}, Init).

add(Code, #steps{code = Known, last = Last} = Steps) ->
    Steps#steps{code = Known ++ [{Last + 1, Code}], last = Last + 1}.

-spec append(code(), steps()) -> steps().
append(Code, #steps{code = Known, last = Last} = Steps) ->
    Text = py_secret:show(Code),
    case lists:reverse([N || {N, Other} <- Known, py_secret:show(Other) =:= Text]) of
        [Last | _] -> Steps;
        [Latest, _ | _] -> add(Code, Steps#steps{code = lists:keydelete(Latest, 1, Known)});
        _ -> add(Code, Steps)
    end.

-spec trace(off | pos_integer(), steps()) -> steps().
trace(Tracing, Steps) ->
    Steps#steps{tracing = Tracing}.

%% The progress of a worker that has only just started.
-spec none() -> done().
none() ->
    {0, off}.

%% The progress of one that has run everything.
-spec all(steps()) -> done().
all(#steps{last = Last, tracing = Tracing}) ->
    {Last, Tracing}.

-spec missing(done(), steps()) -> [step()].
missing({Last, Traced}, #steps{code = Code, tracing = Tracing}) ->
    tracing(Traced, Tracing) ++ [{code, Piece} || {N, Piece} <- Code, N > Last].

tracing(Same, Same) -> [];
tracing(_, off) -> [tracemalloc_stop];
tracing(_, NFrame) -> [{tracemalloc_start, NFrame}].
