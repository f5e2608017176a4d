%% SPDX-License-Identifier: Apache-2.0
%%
%% The streams of one worker: for each, the chunks that have come and nobody
%% has asked for yet, the credit that the program still has, and who waits.
%% Pure: what is to be done about it is returned as effects.
%%
%% A stream is pulled. Little credit is given at first; once the size of its
%% items is known, as much as keeps two chunks of items or 128 KiB ahead of
%% the consumer, whichever is less. Then both sides' memory stays flat.
-module(py_worker_streams).

-export([new/0, first_credit/0, open/4, frame/3, pull/4]).
-export([is_empty/1, count/1, close/2, leave/2, expire/2, empty/1, active/1, earliest/2]).
-export([callers/1]).
-export_type([streams/0, effect/0]).

-include("py.hrl").
-include("py_worker_jobs.hrl").

-define(FIRST_CREDIT, 4).
-define(BYTES_AHEAD, 131072).

-record(stream, {
    item :: py_worker_jobs:item(),           % the request that opened it
    chunk :: pos_integer(),             % most items in a chunk
    stock = queue:new() :: queue:queue({binary(), non_neg_integer()}),
    stocked = 0 :: non_neg_integer(),   % items in the stock
    owed = ?FIRST_CREDIT :: integer(),  % items that may still come
    items = 0 :: non_neg_integer(),     % seen so far
    bytes = 0 :: non_neg_integer(),
    waiter = none :: none | {reference(), integer() | infinity},
    final = none :: none | binary()
}).

-type streams() :: #{py_wire:id() => #stream{}}.
-type effect() :: {answer, reference(), py_result:answer()}
                | {more, py_wire:id(), pos_integer()}.

-spec new() -> streams().
new() ->
    #{}.

%% The credit that the opening request has to give.
-spec first_credit() -> pos_integer().
first_credit() ->
    ?FIRST_CREDIT.

%% A stream's first chunk has come, of so many items.
-spec open(py_worker_jobs:item(), binary(), non_neg_integer(), streams()) -> streams().
open(#item{id = Id, req = #req{kind = {stream, Chunk}}} = Item, Frame, N, Streams) ->
    Streams#{Id => stocked(Frame, N, #stream{item = Item, chunk = Chunk})}.

stocked(Frame, N, #stream{stock = Stock} = S) ->
    S#stream{stock = queue:in({Frame, N}, Stock), stocked = S#stream.stocked + N,
             owed = S#stream.owed - N, items = S#stream.items + N,
             bytes = S#stream.bytes + byte_size(Frame)}.

%% Another frame of a stream: a chunk, or its last word.
-spec frame(py_wire:id(), binary(), streams()) -> {[effect()], streams()} | unknown.
frame(Id, Frame, Streams) ->
    case Streams of
        #{Id := S} -> serve(Id, arrived(Frame, py_wire:chunk_items(Frame), S), Streams);
        #{} -> unknown
    end.

arrived(Frame, final, S) -> S#stream{final = Frame, owed = 0};
arrived(Frame, N, S) -> stocked(Frame, N, S).

%% The consumer asks for the next chunk.
-spec pull(py_wire:id(), reference(), integer() | infinity, streams()) ->
          {[effect()], streams()}.
pull(Id, ReplyTo, Deadline, Streams) ->
    case Streams of
        #{Id := #stream{waiter = none} = S} ->
            serve(Id, S#stream{waiter = {ReplyTo, Deadline}}, Streams);
        #{Id := _} ->
            {[{answer, ReplyTo, {error, busy}}], Streams};
        #{} ->
            {[{answer, ReplyTo, {error, closed}}], Streams}
    end.

%% Gives who waits what there is.
serve(Id, #stream{waiter = none} = S, Streams) ->
    {[], Streams#{Id := S}};
serve(Id, #stream{waiter = {ReplyTo, _}, stock = Stock, final = Final} = S, Streams) ->
    case queue:out(Stock) of
        {{value, {Frame, N}}, Rest} ->
            Served = S#stream{waiter = none, stock = Rest, stocked = S#stream.stocked - N},
            {Credit, Next} = top_up(Id, Served),
            {[{answer, ReplyTo, {reply, Frame}} | Credit], Streams#{Id := Next}};
        {empty, _} when Final =:= none ->
            {Credit, Next} = top_up(Id, S),
            {Credit, Streams#{Id := Next}};
        {empty, _} ->
            {[{answer, ReplyTo, {reply, Final}}], maps:remove(Id, Streams)}
    end.

%% More credit when half of what shall be ahead is used up.
top_up(_, #stream{final = Final} = S) when Final =/= none ->
    {[], S};
top_up(Id, #stream{owed = Owed, stocked = Stocked} = S) ->
    Ahead = Owed + Stocked,
    case ahead(S) of
        Wanted when Ahead * 2 =< Wanted ->
            {[{more, Id, Wanted - Ahead}], S#stream{owed = Owed + Wanted - Ahead}};
        _ ->
            {[], S}
    end.

%% How many items shall be on their way or in stock.
ahead(#stream{chunk = Chunk, items = Items, bytes = Bytes}) ->
    InBytes = ?BYTES_AHEAD * max(1, Items) div max(1, Bytes),
    max(1, min(2 * Chunk, InBytes)).

%% ---------------------------------------------------------------------------
%% The end of streams

-spec close(py_wire:id(), streams()) -> {py_worker_jobs:item(), streams()} | unknown.
close(Id, Streams) ->
    case maps:take(Id, Streams) of
        {#stream{item = Item}, Rest} -> {Item, Rest};
        error -> unknown
    end.

%% A consumer is gone: its streams, which are none any more.
-spec leave(pid(), streams()) -> {[py_worker_jobs:item()], streams()}.
leave(_, Streams) when map_size(Streams) =:= 0 ->
    {[], Streams};
leave(Caller, Streams) ->
    Items = [Item || #stream{item = #item{req = #req{caller = Pid}} = Item}
                         <- maps:values(Streams), Pid =:= Caller],
    {Items, maps:without([Id || #item{id = Id} <- Items], Streams)}.

-spec callers(streams()) -> [pid()].
callers(Streams) ->
    [Pid || #stream{item = #item{req = #req{caller = Pid}}} <- maps:values(Streams)].

%% Those whose consumer has waited too long are streams no more.
-spec expire(integer(), streams()) -> {[{py_worker_jobs:item(), reference()}], streams()}.
expire(Now, Streams) ->
    Late = [{Item, ReplyTo}
            || #stream{item = Item, waiter = {ReplyTo, Deadline}} <- maps:values(Streams),
               Deadline =< Now],
    {Late, maps:without([Id || {#item{id = Id}, _} <- Late], Streams)}.

%% Everybody who waits, when the worker ends.
-spec empty(streams()) -> [reference()].
empty(Streams) ->
    [ReplyTo || #stream{waiter = {ReplyTo, _}} <- maps:values(Streams)].

-spec is_empty(streams()) -> boolean().
is_empty(Streams) ->
    map_size(Streams) =:= 0.

-spec count(streams()) -> non_neg_integer().
count(Streams) ->
    map_size(Streams).

%% How many streams the program may be working on: those that have credit.
-spec active(streams()) -> non_neg_integer().
active(Streams) when map_size(Streams) =:= 0 -> 0;
active(Streams) -> length([S || #stream{owed = Owed} = S <- maps:values(Streams), Owed > 0]).

-spec earliest(integer(), streams()) -> integer() | infinity.
earliest(Now, Streams) ->
    lists:min([infinity | [D || #stream{waiter = {_, D}} <- maps:values(Streams), D > Now]]).
