%% SPDX-License-Identifier: Apache-2.0
%%
%% What memory_stats says about workers only when it is asked for: each of these may
%% take milliseconds, and what is not there in time is missing.
-module(py_mem_detail).

-export([of_workers/3]).

-include("py.hrl").

%% Only the machine can hold up a program that has nothing to do: how much longer it
%% has to answer (ms).
-define(IDLE, 400).

-type doing() :: resting | idle | busy | stopped | down.

%% The details of each worker, in their order. The programs answer while the kernel
%% is asked.
-spec of_workers([py_pool_board:worker()], [doing()], py_time:deadline()) -> [map()].
of_workers(Workers, Doing, Deadline) ->
    Asked = [ask(Worker, until(Does, Deadline)) || {Worker, Does} <- lists:zip(Workers, Doing)],
    Groups = py_os_proc:groups([OsPid || {_, _, OsPid} <- Workers]),
    Kernel = [outside(OsPid, Groups) || {_, _, OsPid} <- Workers],
    lists:zipwith3(fun known/3, Doing, Kernel, [answers(Sent) || Sent <- Asked]).

until(Doing, Deadline) when Doing =:= resting; Doing =:= idle -> Deadline + ?IDLE;
until(_, Deadline) -> Deadline.

ask(Worker, Deadline) ->
    [{py_fanout:send([Worker], urgent, Op, Deadline), Deadline}
     || Op <- [memory_detail, memory_objects]].

answers(Asked) ->
    lists:foldl(fun({Sent, Deadline}, Known) ->
        case py_fanout:collect(Sent, Deadline) of
            [{_, {ok, Answer}}] -> maps:merge(Known, Answer);
            [{_, {error, _}}] -> Known
        end
    end, #{}, Asked).

outside(OsPid, Groups) ->
    Others = maps:get(OsPid, Groups, []),
    (py_os_proc:shares(OsPid))#{children => children(Others)}.

children(Others) ->
    Memory = [maps:merge(py_os_proc:memory(OsPid), py_os_proc:shares(OsPid)) || OsPid <- Others],
    maps:from_list([{count, length(Others)}
                    | [{Key, lists:sum([Bytes || #{Key := Bytes} <- Memory])} || Key <- [rss, uss]]]).

known(Doing, Kernel, Answers) ->
    Known = objects(maps:merge(Kernel, Answers)),
    Shown = maps:without([held, large, whole], Known),
    case py_mem_diagnosis:word(Known#{running => Doing =:= busy}) of
        {ok, Word} -> Shown#{diagnosis => Word};
        unknown -> Shown
    end.

%% If the heap is counted, the number is exact.
objects(#{heap := #{current := Bytes}} = Known) ->
    Known#{objects => Bytes};
objects(#{arenas := #{bytes := Bytes, unused := Unused}, large := Large} = Known) ->
    Known#{objects => Bytes - Unused + in_malloc(Large, Known)};
objects(Known) ->
    Known.

%% It may be an estimate, and an object may have memory that it has never touched.
in_malloc(Large, #{malloc := #{used := Used}}) -> min(Large, Used);
in_malloc(Large, _) -> Large.
