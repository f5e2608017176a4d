%% SPDX-License-Identifier: Apache-2.0
%%
%% What a worker's memory is limited to (the pool option `memory'): the arguments
%% that its program is started with, what can be changed while it runs, how far it
%% is from its limits, and what is said if it could not start. Pure.
-module(py_os_limit).

-export([args/1, remark/1, is_met/1, refused/2, ops/1, shown/1, left/2]).
-export_type([limits/0]).

-type limits() :: #{heap => pos_integer() | infinity,
                    account => boolean(),
                    address_space => pos_integer() | infinity,
                    data => pos_integer() | infinity,
                    files => pos_integer() | infinity,
                    core => non_neg_integer() | infinity,
                    cgroup => file:filename_all(),
                    cgroup_max => pos_integer() | infinity,
                    cgroup_high => pos_integer() | infinity,
                    cgroup_pids => pos_integer() | infinity,
                    oom_score_adj => integer(),
                    _ => _}.

%% What the kernel enforces: the key, and the program's option.
-define(OF_KERNEL, [{address_space, "--address-space"}, {data, "--data"}, {files, "--files"},
                    {core, "--core"}, {cgroup, "--cgroup"}, {cgroup_max, "--cgroup-max"},
                    {cgroup_high, "--cgroup-high"}, {cgroup_pids, "--cgroup-pids"},
                    {oom_score_adj, "--oom-score-adj"}]).

%% ---------------------------------------------------------------------------
%% Start

%% The limits that the program sets for itself.
-spec args(limits()) -> [string() | binary()].
args(Limits) ->
    heap(Limits) ++ lists:append([[Option, text(maps:get(Key, Limits))]
                                  || {Key, Option} <- ?OF_KERNEL, is_map_key(Key, Limits)]).

heap(#{heap := Bytes}) -> ["--heap", text(Bytes)];
heap(#{account := true}) -> ["--account"];
heap(_) -> [].

text(infinity) -> "infinity";
text(N) when is_integer(N) -> integer_to_list(N);
text(Path) -> Path.

%% What may have kept a program from starting, which it had no time to say.
-spec remark(limits()) -> iodata().
remark(Limits) ->
    case [[" ", atom_to_list(Key), " ", text(N)]
          || {Key, N} <- lists:sort(maps:to_list(Limits)), lists:member(Key, starving())] of
        [] -> "";
        Least -> [" (limits:", lists:join(",", Least), ")"]
    end.

%% The limits with which Python cannot start if they are too low.
starving() ->
    [address_space, data, files, cgroup_max, cgroup_pids].

%% Whether Python would see one of them as MemoryError.
-spec is_met(limits()) -> boolean().
is_met(Limits) ->
    lists:any(fun(Key) -> is_integer(maps:get(Key, Limits, none)) end,
              [heap, address_space, data]).

%% ---------------------------------------------------------------------------
%% Change

%% Why these limits cannot be set in a pool that was started with those: nothing is
%% there that could enforce them.
-spec refused(limits(), Started :: limits()) ->
          none | {not_while_running | not_enabled, atom()}.
refused(Limits, Started) ->
    case [Why || Key <- lists:sort(maps:keys(Limits)), Why <- refusal(Key, Started)] of
        [Why | _] -> Why;
        [] -> none
    end.

refusal(Key, _) when Key =:= account; Key =:= cgroup -> [{not_while_running, Key}];
refusal(heap, Started) -> [{not_enabled, heap} || heap(Started) =:= []];
refusal(Key, Started) when Key =:= cgroup_max; Key =:= cgroup_high; Key =:= cgroup_pids ->
    [{not_enabled, Key} || not is_map_key(cgroup, Started)];
refusal(_, _) -> [].

%% What a running program has to do to have these limits. For those that the kernel
%% enforces it needs no Python.
-spec ops(limits()) -> [{set_limits | set_memory, limits()}].
ops(Limits) ->
    [{Op, Part} || {Op, Keys} <- [{set_limits, [Key || {Key, _} <- ?OF_KERNEL, Key =/= cgroup]},
                                  {set_memory, [heap]}],
                   Part <- [maps:with(Keys, Limits)], map_size(Part) > 0].

%% ---------------------------------------------------------------------------
%% Distance

%% A worker's limits, as statistics show them.
-spec shown(limits()) -> #{atom() => non_neg_integer()}.
shown(Limits) ->
    maps:filter(fun(_, N) -> is_integer(N) end, maps:without([oom_score_adj, budget], Limits)).

%% How far these numbers are from their limits; less than 0 if they are above.
-spec left(Used :: #{atom() => non_neg_integer()}, limits()) -> #{atom() => integer()}.
left(Used, Limits) ->
    maps:map(fun(Key, Limit) -> Limit - maps:get(Key, Used) end,
             maps:with(maps:keys(Used), shown(Limits))).
