%% SPDX-License-Identifier: Apache-2.0
%%
%% What memory_stats says of workers only when it is asked for: each of these may
%% take milliseconds, and what is not there in time is missing.
-module(py_mem_detail).

-export([of_workers/3]).

-include("py.hrl").

%% The details of each worker, in their order. Whether a worker runs a job is known
%% by then. The programs answer while the kernel is asked.
-spec of_workers([py_pool_board:worker()], [IsRunning :: boolean()], py_time:deadline()) ->
          [map()].
of_workers(Workers, Running, Deadline) ->
    Sent = [py_fanout:send(Workers, urgent, Op, Deadline) || Op <- [memory_detail, memory_objects]],
    Groups = py_os_proc:groups([OsPid || {_, _, OsPid} <- Workers]),
    Kernel = [outside(OsPid, Groups) || {_, _, OsPid} <- Workers],
    [Allocators, Objects] = [py_fanout:collect(Answers, Deadline) || Answers <- Sent],
    lists:zipwith3(fun known/3, lists:zip(Kernel, Running), Allocators, Objects).

outside(OsPid, Groups) ->
    Others = maps:get(OsPid, Groups, []),
    (py_os_proc:shares(OsPid))#{children => children(Others)}.

children(Others) ->
    Memory = [maps:merge(py_os_proc:memory(OsPid), py_os_proc:shares(OsPid)) || OsPid <- Others],
    maps:from_list([{count, length(Others)}
                    | [{Key, lists:sum([Bytes || #{Key := Bytes} <- Memory])} || Key <- [rss, uss]]]).

known({Kernel, IsRunning}, {_, Allocators}, {_, Objects}) ->
    Known = objects(maps:merge(answer(Objects), maps:merge(answer(Allocators), Kernel))),
    Shown = maps:without([held, large, whole], Known),
    case py_mem_diagnosis:word(Known#{running => IsRunning}) of
        {ok, Word} -> Shown#{diagnosis => Word};
        unknown -> Shown
    end.

answer({ok, Map}) -> Map;
answer({error, _}) -> #{}.

%% An account knows exactly.
objects(#{heap := #{current := Bytes}} = Known) ->
    Known#{objects => Bytes};
objects(#{arenas := #{bytes := Bytes, unused := Unused}, large := Large} = Known) ->
    Known#{objects => Bytes - Unused + in_malloc(Large, Known)};
objects(Known) ->
    Known.

%% It may be an estimate, and an object may have memory that it has never touched.
in_malloc(Large, #{malloc := #{used := Used}}) -> min(Large, Used);
in_malloc(Large, _) -> Large.
