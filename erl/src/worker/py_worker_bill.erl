%% SPDX-License-Identifier: Apache-2.0
%%
%% What calls have cost, summed up by worker and function in the pool's table:
%%
%%   {{Slot, What}, Calls, Time, Growth, RssGrowth, Peak, Pause, N0, N1, …}
%%   {Slot, how many of these rows there are}
%%
%% N0, N1, … count calls by how long they took. If one call in N has a whole bill, it
%% stands for N calls. A row never gets larger, and there are ?MOST for each slot;
%% functions that come later are counted together, as `other', and so are those with
%% names longer than ?NAME_BYTES bytes, which no module has: the caller chose them.
-module(py_worker_bill).

-export([asked/3, ahead/5, add/4, sums/2, bucket/1, time/1]).
-export_type([what/0, numbers/0]).

-include("py.hrl").

%% A function by its names, or whatever else was asked for.
-type what() :: {Module :: binary(), Function :: binary()} | eval | exec | other.
-type numbers() :: #{calls := non_neg_integer(), time := non_neg_integer(), growth := integer(),
                     rss_growth := integer(), peak := non_neg_integer(),
                     gc_pause := non_neg_integer(), times := [non_neg_integer()]}.

-define(MOST, 200).
-define(NAME_BYTES, 255).
-define(BUCKETS, 124).
-define(SUMS, [calls, time, growth, rss_growth, peak, gc_pause]).
-define(FIRST, 2).
-define(PEAK, 6).
-define(FIRST_BUCKET, 8).

%% The options of a request. Where the costs of calls are summed up, each call has a bill,
%% though not a whole one if that takes long and the caller did not ask for it.
-spec asked(#pool{}, py_wire:op(), Wire) -> Wire when Wire :: map().
asked(#pool{bills = none}, _, Wire) -> Wire;
asked(_, Op, Wire) when element(1, Op) =:= stream -> Wire;
asked(_, _, #{bill := true} = Wire) -> Wire;
asked(_, _, Wire) -> Wire#{bill => some}.

%% A bill has come ahead of this job's reply: it is added, and kept for a caller who
%% wants to see it.
-spec ahead(py_wire:id(), binary(), #pool{}, Slot :: pos_integer(), Jobs) -> Jobs
              when Jobs :: py_worker_jobs:jobs().
ahead(Id, Frame, #pool{bills = Table}, Slot, Jobs) ->
    case py_worker_jobs:request(Id, Jobs) of
        none ->
            Jobs;
        #req{what = What, bill = IsWanted} ->
            Table =:= none orelse add(Table, Slot, What, map(Frame)),
            case IsWanted of
                true -> py_worker_jobs:ahead(Id, Frame, Jobs);
                false -> Jobs
            end
    end.

map(Frame) ->
    {_Id, {bill, Bill}} = binary_to_term(Frame, [safe]),
    Bill.

%% A pool that has just been stopped has no table any more.
-spec add(ets:table(), Slot :: pos_integer(), py_wire:what(), map()) -> ok.
add(Table, Slot, What, Bill) ->
    try
        add_to(key(Table, Slot, function(What)), Table, Bill)
    catch
        error:badarg -> ok
    end.

function(What) ->
    case py_wire:named(What) of
        {Module, Function, _} when byte_size(Module) =< ?NAME_BYTES, byte_size(Function) =< ?NAME_BYTES ->
            {Module, Function};
        {_, _, _} ->
            other;
        Operation ->
            Operation
    end.

%% The key of a row that is there.
key(Table, Slot, What) ->
    case ets:member(Table, {Slot, What}) of
        true -> {Slot, What};
        false -> make(Table, Slot, What)
    end.

make(Table, Slot, What) ->
    Key = case ets:update_counter(Table, Slot, {2, 1, ?MOST, ?MOST}, {Slot, 0}) of
              ?MOST -> {Slot, other};
              _ -> {Slot, own(What)}
          end,
    _ = ets:insert_new(Table, erlang:make_tuple(?FIRST_BUCKET + ?BUCKETS - 1, 0, [{1, Key}])),
    Key.

%% A name may be part of a larger binary.
own({Module, Function}) -> {binary:copy(Module), binary:copy(Function)};
own(What) -> What.

add_to(Key, Table, #{time := Time, gc_pause := Pause} = Bill) ->
    Growth = maps:get(heap_delta, Bill, 0) * maps:get(one_in, Bill, 1),
    Added = [1, Time, Growth, maps:get(rss_delta, Bill, 0), 0, Pause],
    Places = lists:seq(?FIRST, ?FIRST_BUCKET - 1),
    _ = ets:update_counter(Table, Key, [{?FIRST_BUCKET + bucket(Time), 1} | lists:zip(Places, Added)]),
    Peak = maps:get(heap_peak, Bill, 0),
    Peak > ets:lookup_element(Table, Key, ?PEAK) andalso
        ets:update_element(Table, Key, {?PEAK, Peak}),
    ok.

%% What is summed up for one slot, or for all of them.
-spec sums(ets:table(), Slot :: pos_integer() | all) -> [{Slot :: pos_integer(), what(), numbers()}].
sums(Table, Slot) ->
    Key = case Slot of all -> '_'; _ -> {Slot, '_'} end,
    Row = erlang:make_tuple(?FIRST_BUCKET + ?BUCKETS - 1, '_', [{1, Key}]),
    try
        [sum(tuple_to_list(Found)) || Found <- ets:match_object(Table, Row)]
    catch
        error:badarg -> []
    end.

sum([{Slot, What} | Numbers]) ->
    {Sums, Times} = lists:split(length(?SUMS), Numbers),
    {Slot, What, (maps:from_list(lists:zip(?SUMS, Sums)))#{times => Times}}.

%% ---------------------------------------------------------------------------
%% Times: four buckets for each doubling, so that one is at most an eighth away from
%% the middle of its bucket. The last bucket has all that took longer than an hour.

%% Which bucket a time (microseconds) belongs to.
-spec bucket(non_neg_integer()) -> Bucket :: non_neg_integer().
bucket(Time) when Time < 4 -> Time;
bucket(Time) -> bucket(Time, 0).

bucket(Time, Halved) when Time >= 8 -> bucket(Time div 2, Halved + 1);
bucket(Time, Halved) -> min(4 * Halved + Time, ?BUCKETS - 1).

%% The time in the middle of a bucket.
-spec time(non_neg_integer()) -> non_neg_integer().
time(Bucket) when Bucket < 8 -> Bucket;
time(Bucket) ->
    Halved = Bucket div 4 - 1,
    ((Bucket rem 4 + 4) bsl Halved) + (1 bsl Halved) div 2.
