%% SPDX-License-Identifier: Apache-2.0
%%
%% What a program's memory is limited to (the pool option `memory'): the arguments
%% that it is started with. Pure.
-module(py_os_limit).

-export([args/1]).
-export_type([limits/0]).

-type limits() :: #{oom_score_adj => integer(), _ => _}.

%% The limits that the program sets for itself.
-spec args(limits()) -> [string()].
args(Limits) ->
    lists:append([["--oom-score-adj", integer_to_list(N)]
                  || {oom_score_adj, N} <- maps:to_list(Limits)]).
