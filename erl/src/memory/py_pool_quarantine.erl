%% SPDX-License-Identifier: Apache-2.0
%%
%% Functions that have used up workers' memory (the pool option `quarantine'). Once
%% they have done so to as many workers as the option says, they are refused. A
%% function is named as it was called, {Module, Function, Arity}; anything else by
%% its operation. Pure.
-module(py_pool_quarantine).

-export([new/2, cost/3, lift/2, known/1, refused/1]).
-export_type([quarantine/0, known/0, why/0]).

-record(quarantine, {
    limit :: pos_integer() | infinity,
    known :: known()
}).

-opaque quarantine() :: #quarantine{}.
%% How many workers each has cost, and how the last of them ended.
-type known() :: #{py_wire:what() => {pos_integer(), why()}}.
-type why() :: memory_errors | heap | oom | {memory, map()}.

%% With what was known before.
-spec new(pos_integer() | infinity, known()) -> quarantine().
new(Limit, Known) ->
    #quarantine{limit = Limit, known = Known}.

%% This has used up a worker's memory.
-spec cost(py_wire:what() | none, why(), quarantine()) -> quarantine().
cost(What, _, #quarantine{limit = Limit} = Q) when What =:= none; Limit =:= infinity ->
    Q;
cost(What, Why, #quarantine{known = Known} = Q) ->
    Name = py_wire:named(What),
    {N, _} = maps:get(Name, Known, {0, none}),
    Q#quarantine{known = Known#{Name => {N + 1, Why}}}.

%% It may be called again, and nothing is held against it; or all of them may.
-spec lift(all | py_wire:what(), quarantine()) -> quarantine().
lift(all, Q) -> Q#quarantine{known = #{}};
lift(What, #quarantine{known = Known} = Q) ->
    Q#quarantine{known = maps:remove(py_wire:named(What), Known)}.

-spec known(quarantine()) -> known().
known(#quarantine{known = Known}) ->
    Known.

%% What is refused, and why.
-spec refused(quarantine()) -> [{py_wire:what(), why()}].
refused(#quarantine{limit = Limit, known = Known}) ->
    [{What, Why} || {What, {N, Why}} <- lists:sort(maps:to_list(Known)), N >= Limit].
