%% SPDX-License-Identifier: Apache-2.0
%%
%% Whether measurements that were taken one after another grow, and go on growing: a
%% leak does; a cache that fills does not, nor does what goes up and down. Pure.
-module(py_mem_fit).

-export([sample/1, growth/2, leak/2]).
-export_type([sample/0, kind/0]).

%% What a worker has at one moment, in bytes: Python's heap in use; C's heap without
%% Python's part; what else is in memory and belongs to no file; what is free, but in
%% pieces that nobody can give back; and all that is in memory and belongs to no file.
-type sample() :: #{python := integer(), c => integer(), mapped => integer(),
                    free := integer(), held => integer()}.
-type kind() :: python | c | fragmentation.

%% How many parts a row of measurements is cut into.
-define(PARTS, 4).
%% What each of them has to grow by, compared with the others: one in SHARE.
-define(SHARE, 4).
%% The second half has to grow by at least this percentage of the first half's growth.
-define(LASTING, 70).

%% What the program and the kernel say of a worker whose heap is counted.
-spec sample(map()) -> sample().
sample(#{heap := #{current := Python}, arenas := #{bytes := Arenas, unused := Unused}} = Said) ->
    Outside = Python - (Arenas - Unused),
    maps:merge(#{python => Python, free => Unused}, outside(Arenas, Outside, Said)).

outside(Arenas, Outside, #{malloc := #{used := Used, pieces := Pieces},
                           arenas := #{unused := Unused}} = Said) ->
    maps:merge(#{c => Used - Outside, free => Unused + Pieces},
               held(Arenas + Used + Pieces, Said));
outside(Arenas, Outside, Said) ->
    held(Arenas + Outside, Said).

held(Known, #{held := Held}) -> #{held => Held, mapped => Held - Known};
held(_, _) -> #{}.

%% A row of at least five, the last of which is compared with the first. `slowing':
%% it takes a longer row to see what it will come to.
-spec growth([integer()], Least :: number()) -> {steady, pos_integer()} | slowing | flat.
growth(Row, Least) ->
    [A, B, C, D] = Parts = parts(Row),
    [_, Low, High, _] = lists:sort(Parts),
    Usual = (Low + High) / 2,
    Grows = 2 * (Low + High) >= Least andalso lists:min(Parts) * ?SHARE >= Usual,
    case Grows andalso 100 * (C + D) >= ?LASTING * (A + B) of
        true -> {steady, A + B + C + D};
        false when Grows -> slowing;
        false -> flat
    end.

%% By how much each part of a row grows.
parts(Row) ->
    Last = length(Row) - 1,
    Ends = [lists:nth(1 + Last * N div ?PARTS, Row) || N <- lists:seq(0, ?PARTS)],
    lists:zipwith(fun erlang:'-'/2, tl(Ends), lists:droplast(Ends)).

%% What samples say, between which there were Calls calls: the kind of what grows most.
-spec leak([sample()], Calls :: pos_integer()) ->
          {leak, kind(), BytesPerCall :: pos_integer()} | unclear | ok.
leak(Samples, Calls) ->
    Growths = [{growth(Row, Least), Kind} || {Kind, Key, Least} <- looks(Calls),
                                             Row <- row(Key, Samples)],
    Steady = [{Bytes, Kind} || {{steady, Bytes}, Kind} <- Growths],
    case {lists:keymember(slowing, 1, Growths), Steady} of
        {true, _} -> unclear;
        {false, []} -> ok;
        {false, _} -> largest(lists:max(Steady), Calls)
    end.

largest({Bytes, Kind}, Calls) ->
    {leak, Kind, max(1, round(Bytes / Calls))}.

%% What is looked at, and from how many bytes on growth is not an accident: the heap is
%% counted exactly; malloc has no block below 32 bytes, and keeps some for later; the
%% kernel counts roughly, and arenas are taken by the megabyte.
looks(Calls) ->
    [{python, python, max(4 * Calls, 1024)},
     {c, c, max(16 * Calls, 16384)},
     {c, mapped, max(8 * Calls, 2_000_000)},
     {fragmentation, free, max(64 * Calls, 200_000)}].

%% Free memory in pieces also grows while Python gives back more and more; but then
%% the process does not grow.
row(free, Samples) ->
    case row(held, Samples) of
        [Held] -> smaller(growth(Held, 0), Held, [Free || #{free := Free} <- Samples]);
        [] -> []
    end;
row(Key, Samples) ->
    case [N || #{Key := N} <- Samples] of
        Row when length(Row) =:= length(Samples) -> [Row];
        _ -> []
    end.

smaller(flat, _, _) -> [];
smaller(_, Held, Free) -> [lists:zipwith(fun min/2, above(Held), above(Free))].

above([First | _] = Row) ->
    [N - First || N <- Row].
