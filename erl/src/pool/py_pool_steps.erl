%% SPDX-License-Identifier: Apache-2.0
%%
%% What has to be run in every worker of a pool before it is ready: the init
%% code, then what exec_all defined, in order, and before them the settings that
%% differ from Python's own: tracing and the garbage collector. Pure.
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

-export([new/1, append/2, set/2, limits/1, none/0, missing/2, all/1]).
-export_type([steps/0, step/0, done/0]).

-record(steps, {
    code = [] :: [{pos_integer(), code()}],
    last = 0 :: non_neg_integer(),              % number
    settings = #{} :: settings()
}).

%% The operation that made each setting what it is.
-type settings() :: #{tracing | collecting | threshold | memory => py_wire:op()}.

-type code() :: py_secret:secret(py_wire:op()).
-type step() :: {code, code()} | py_wire:op().
-opaque steps() :: #steps{}.
%% What one worker has run: the code up to which number, and which settings.
-opaque done() :: {non_neg_integer(), settings()}.

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

%% From now on every worker has what this operation sets.
-spec set(py_wire:op(), steps()) -> steps().
set({set_memory, Limits}, #steps{settings = Settings} = Steps) ->
    Steps#steps{settings = Settings#{memory => {set_memory, maps:merge(limits(Steps), Limits)}}};
set(Op, #steps{settings = Settings} = Steps) ->
    Steps#steps{settings = Settings#{setting(Op) => Op}}.

setting(tracemalloc_stop) -> tracing;
setting({tracemalloc_start, _}) -> tracing;
setting(gc_enable) -> collecting;
setting(gc_disable) -> collecting;
setting({gc_threshold, _, _, _}) -> threshold.

%% The limits that were set since the pool was started.
-spec limits(steps()) -> py_os_limit:limits().
limits(#steps{settings = #{memory := {set_memory, Limits}}}) -> Limits;
limits(#steps{}) -> #{}.

%% The progress of a worker that has only just started.
-spec none() -> done().
none() ->
    {0, #{tracing => tracemalloc_stop, collecting => gc_enable}}.

%% The progress of one that has run everything.
-spec all(steps()) -> done().
all(#steps{last = Last, settings = Settings}) ->
    {_, Own} = none(),
    {Last, maps:merge(Own, Settings)}.

-spec missing(done(), steps()) -> [step()].
missing({Last, Has}, #steps{code = Code, settings = Settings}) ->
    lists:append([ops(Op) || {Setting, Op} <- lists:sort(maps:to_list(Settings)),
                             maps:get(Setting, Has, none) =/= Op])
        ++ [{code, Piece} || {N, Piece} <- Code, N > Last].

ops({set_memory, Limits}) -> py_os_limit:ops(Limits);
ops(Op) -> [Op].
