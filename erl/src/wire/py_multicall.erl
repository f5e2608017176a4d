%% SPDX-License-Identifier: Apache-2.0
%%
%% The calls of one request, as its worker knows them: how many have their results, how
%% many do not, and what the next one is called; and the bytes around results. Pure.
-module(py_multicall).

-export([new/1, op/1, count/1, next/1, only/2, heard/3]).
-export([results/1, unsent/2]).
-export_type([calls/0]).

-record(calls, {
    heard = 0 :: non_neg_integer(),
    left :: non_neg_integer(),
    runs :: [{py_wire:what(), non_neg_integer()}]   % from the last one heard on
}).

-opaque calls() :: #calls{}.

%% A part, {Id, {part, From, {Result, ...}}}, up to its results; Id takes four bytes.
-define(PART(Id, From, N), 131, 104, 2, 98, Id:32, 104, 3, 119, 4, "part", 98, From:32, 105, N:32).

-spec new([py_wire:op(), ...]) -> calls().
new(Ops) ->
    #calls{left = length(Ops), runs = lists:foldr(fun run/2, [], Ops)}.

run(Op, Runs) ->
    case {py_wire:what(Op), Runs} of
        {What, [{What, N} | Rest]} -> [{What, N + 1} | Rest];
        {What, _} -> [{What, 1} | Runs]
    end.

%% The request for all of them.
-spec op([py_wire:op(), ...]) -> py_wire:op().
op(Ops) ->
    {multicall, [{Module, Function, Args, Kwargs} || {call, Module, Function, Args, Kwargs} <- Ops]}.

%% How many have no result yet. Any other request is one call.
-spec count(calls() | none) -> non_neg_integer().
count(none) -> 1;
count(#calls{left = Left}) -> Left.

%% What the next one is called; if none is left, the last that has its result.
-spec next(calls()) -> py_wire:what().
next(#calls{left = Left, runs = [{_, 0}, {Next, _} | _]}) when Left > 0 -> Next;
next(#calls{runs = [{What, _} | _]}) -> What.

%% Only so many of them are left.
-spec only(non_neg_integer(), calls()) -> calls().
only(N, #calls{} = C) -> C#calls{left = N}.

%% This much is heard of them: what whoever waits is told, and which are left. A part may
%% come twice.
-spec heard(py_wire:part(), binary(), calls()) -> {py_result:part() | known, calls()}.
heard({part, From, N}, Frame, #calls{heard = From, left = Left, runs = Runs} = C) when N =< Left ->
    {{part, N, Frame}, C#calls{heard = From + N, left = Left - N, runs = behind(N, Runs)}};
heard({part, _, _}, _, C) ->
    {known, C};
heard({not_started, N}, _, #calls{left = Left} = C) when N =< Left ->
    {{again, N}, only(Left - N, C)}.

behind(N, [{_, Count} | Runs]) when N > Count -> behind(N - Count, Runs);
behind(N, [{What, Count} | Runs]) -> [{What, Count - N} | Runs].

%% ---------------------------------------------------------------------------
%% The bytes of a part

%% The results in it, each as a term without version byte.
-spec results(binary()) -> [binary()].
results(<<?PART(_, _, N), Results/binary>>) ->
    py_external:split(N, Results).

%% The part that a program has kept, with the number of its results, which it writes last.
-spec unsent(N :: pos_integer(), binary()) -> {py_wire:id(), binary()} | none.
unsent(N, <<?PART(Id, From, _), Results/binary>>) ->
    {Id, <<?PART(Id, From, N), Results/binary>>};
unsent(_, _) ->
    none.
