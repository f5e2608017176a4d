%% SPDX-License-Identifier: Apache-2.0
%%
%% Memory of workers: collection, giving back, settings.
-module(py_mem_tend).

-export([gc/2, trim/1, reset_peak/1, set/2, once/2, thresholds/1, trimmed/3]).

-include("py.hrl").

%% ---------------------------------------------------------------------------
%% Collection and giving back

%% Collects, and says how many objects were found, for a pool in all of its workers;
%% with `trim' also how many bytes were given back.
-spec gc(py_target:target(), #{generation := 0..2, trim := boolean()}) -> py_target:answer().
gc(Target, #{generation := Generation, trim := false}) ->
    py_target:run(Target, everywhere({gc, Generation}), fun sum/2);
gc(Target, #{generation := Generation, trim := true}) ->
    py_target:run(Target, fun(Pool, Workers) ->
        give_back(Workers, fun() ->
            Found = (everywhere({gc, Generation}))(Pool, Workers),
            lists:zipwith(fun both/2, Found, (everywhere(trim))(Pool, Workers))
        end)
    end, fun sum_maps/2).

both({_, {ok, N}}, {Worker, ok}) -> {Worker, {ok, #{collected => N}}};
both({_, {error, _}} = Failed, _) -> Failed;
both(_, Failed) -> Failed.

%% Gives back what malloc has free, and says how many bytes that was.
-spec trim(py_target:target()) -> py_target:answer().
trim(Target) ->
    py_target:run(Target, fun(Pool, Workers) ->
        give_back(Workers, fun() -> (everywhere(trim))(Pool, Workers) end)
    end, fun sum/2).

%% By how much each worker has shrunk while it did what it was asked to do.
give_back(Workers, Ask) ->
    Before = [rss(OsPid) || {_, _, OsPid} <- Workers],
    Results = Ask(),
    lists:zipwith(fun({{_, _, OsPid} = Worker, Result}, Rss) ->
        {Worker, trimmed(Result, Rss, rss(OsPid))}
    end, Results, Before).

rss(OsPid) ->
    maps:get(rss, py_os_proc:memory(OsPid), 0).

%% A worker's result. It may have grown, if a call was under way. Pure.
-spec trimmed(py_result:result(), Before :: non_neg_integer(), After :: non_neg_integer()) ->
          {ok, non_neg_integer() | map()} | {error, term()}.
trimmed(ok, Before, After) -> {ok, max(0, Before - After)};
trimmed({ok, Map}, Before, After) -> {ok, Map#{returned => max(0, Before - After)}};
trimmed({error, unsupported}, _, _) -> {error, {unsupported, trim}};
trimmed({error, _} = Error, _, _) -> Error.

sum(_, Results) ->
    py_fanout:sum(Results).

sum_maps(_, Results) ->
    case py_fanout:all_ok(Results) of
        ok -> {ok, lists:foldl(fun add/2, #{collected => 0, returned => 0}, Results)};
        {error, _} = Error -> Error
    end.

add({_, {ok, Map}}, Sum) -> maps:merge_with(fun(_, A, B) -> A + B end, Map, Sum);
add({_, {error, _}}, Sum) -> Sum.

%% ---------------------------------------------------------------------------
%% Peaks

%% The kernel's, which needs nothing from Python, and those of the program.
-spec reset_peak(py_target:target()) -> py_target:answer().
reset_peak(Target) ->
    py_target:run(Target, fun(Pool, Workers) ->
        Kernel = [py_os_proc:reset_peak(OsPid) || {_, _, OsPid} <- Workers],
        lists:zipwith(fun was_reset/2, Kernel, (everywhere(reset_peak))(Pool, Workers))
    end, fun(_, Results) -> py_fanout:all_ok(Results) end).

was_reset({error, unsupported}, {Worker, ok}) -> {Worker, {error, {unsupported, reset_peak}}};
was_reset(_, Result) -> Result.

%% ---------------------------------------------------------------------------
%% Settings

%% Sets tracing or the garbage collector. A pool's name also means its future workers.
-spec set(py_target:target(), py_wire:op()) -> py_target:answer().
set(Name, Op) when is_atom(Name) ->
    py_pool_board:with_pool(Name, fun(Pool) -> set_pool(Pool, Op) end);
set(Target, Op) ->
    once(Target, Op).

set_pool(Pool, Op) ->
    case py_pool:set(Pool, Op) of
        {ok, Workers} -> py_fanout:all_ok((everywhere(Op))(Pool, Workers));
        {error, _} = Error -> Error
    end.

%% Makes the workers that are there now do this: ok.
-spec once(py_target:target(), py_wire:op()) -> py_target:answer().
once(Target, Op) ->
    py_target:run(Target, everywhere(Op), fun(_, Results) -> py_fanout:all_ok(Results) end).

%% The collector's thresholds; a pool's are those of its first worker.
-spec thresholds(py_target:target()) -> py_target:answer().
thresholds(Target) ->
    py_target:run(Target, everywhere(gc_threshold), fun(_, Results) -> first(Results) end).

first(Results) ->
    case py_fanout:all_ok(Results) of
        ok -> hd([Result || {_, {ok, _} = Result} <- Results] ++ [{error, no_worker}]);
        {error, _} = Error -> Error
    end.

everywhere(Op) ->
    fun(#pool{timeout = Timeout}, Workers) ->
        py_fanout:ask(Workers, urgent, Op, py_time:deadline(Timeout))
    end.
