%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program's memory is limited to (the pool option `memory'): the arguments
%% that it is started with, and what is said when it could not start. Pure.
-module(py_os_limit).

-export([args/1, remark/1]).
-export_type([limits/0]).

-type limits() :: #{heap => pos_integer() | infinity,
                    account => boolean(),
                    address_space => pos_integer() | infinity,
                    data => pos_integer() | infinity,
                    files => pos_integer() | infinity,
                    core => non_neg_integer() | infinity,
                    oom_score_adj => integer(),
                    _ => _}.

%% The limits that the program sets for itself.
-spec args(limits()) -> [string()].
args(Limits) ->
    heap(Limits) ++ lists:append([[Option, text(maps:get(Key, Limits))]
                  || {Key, Option} <- [{address_space, "--address-space"}, {data, "--data"},
                                       {files, "--files"}, {core, "--core"},
                                       {oom_score_adj, "--oom-score-adj"}],
                     is_map_key(Key, Limits)]).

heap(#{heap := Bytes}) -> ["--heap", text(Bytes)];
heap(#{account := true}) -> ["--account"];
heap(_) -> [].

%% What may be why a program has not started: it had no time to say so.
-spec remark(limits()) -> iodata().
remark(Limits) ->
    case [[" ", atom_to_list(Key), " ", text(N)]
          || {Key, N} <- lists:sort(maps:to_list(Limits)), lists:member(Key, starving())] of
        [] -> "";
        Least -> [" (limits:", lists:join(",", Least), ")"]
    end.

%% The limits with which Python cannot start if they are too low.
starving() ->
    [address_space, data, files].

text(infinity) -> "infinity";
text(N) -> integer_to_list(N).
