%% SPDX-License-Identifier: Apache-2.0
%%
%% The streams of one worker: for each, the chunks that have come and nobody
%% has asked for yet, the credit that the program still has, and who waits. Pure.
%%
%% A stream is pulled. Little credit is given at first. Once the size of its
%% items is known, there is as much credit as keeps two chunks of items or 128
%% KiB ahead of the consumer, whichever is less: so both sides' memory stays flat.
%%
%% Most streams have turns on the program's main thread. Those whose items are awaited, and
%% those that have turns on other threads, run beside it: what comes of them says nothing
%% about what that thread does.
-module(py_worker_streams).

-export([new/0, next_id/2, first_credit/0, ahead/3, open/4, reply/3, pull/4, close/3]).
-export([is_open/2, count/1, active/1, at_work/1, callers/1, running/1, request/2, requests/1]).
-export([expire/2, soonest/1, leave/3, give_up/2]).
-export_type([streams/0]).

-include("py.hrl").
-include("py_protocol.hrl").
-include("py_worker_jobs.hrl").

-define(LAST_ID, 16#7fffffff).
-define(FIRST_CREDIT, 4).
-define(BYTES_AHEAD, 131072).
%% How long a stream that was closed may take to end (ms).
-define(STOP_GRACE, 500).

-record(stream, {
    job :: py_worker_jobs:job(),        % the request that opened it
    chunk :: pos_integer(),             % most items in a chunk
    stock = queue:new() :: queue:queue({binary(), non_neg_integer()}),
    stocked = 0 :: non_neg_integer(),   % items in the stock
    owed = ?FIRST_CREDIT :: integer(),  % items that may still come
    items = 0 :: non_neg_integer(),     % seen so far
    bytes = 0 :: non_neg_integer(),
    waiter = none :: none | {py_ask:from(), py_time:deadline()},
    final = none :: none | binary()
}).

-record(streams, {
    open = #{} :: #{py_wire:id() => #stream{}},
    turns = 0 :: non_neg_integer(),     % that have credit, by who works on them: there
    awaited = 0 :: non_neg_integer(),   % may be thousands, and each request asks
    threads = 0 :: non_neg_integer(),
    soonest = infinity :: py_time:deadline()
}).

-opaque streams() :: #streams{}.

-spec new() -> streams().
new() ->
    #streams{}.

%% The id of the next request. Ids come again after two thousand million; a stream may
%% be that old.
-spec next_id(Last :: py_wire:id(), streams()) -> py_wire:id().
next_id(Last, Streams) ->
    Id = Last rem ?LAST_ID + 1,
    case is_open(Id, Streams) of
        true -> next_id(Id, Streams);
        false -> Id
    end.

%% The credit that the opening request has to give.
-spec first_credit() -> pos_integer().
first_credit() ->
    ?FIRST_CREDIT.

%% A stream's first chunk has come, with N items.
-spec open(py_worker_jobs:job(), binary(), non_neg_integer(), streams()) ->
          {[effect()], streams()}.
open(#job{id = Id, req = #req{kind = {stream, Chunk}, reply_to = From}} = Job, Frame, N,
     Streams) ->
    Stream = stocked(Frame, N, #stream{job = Job, chunk = Chunk}),
    {[{answer, From, {opened, Id}}], put_stream(Id, Stream, Streams)}.

put_stream(Id, Stream, Streams) ->
    #streams{open = Open} = Counted = counted(1, Stream, uncounted(Id, Streams)),
    Counted#streams{open = Open#{Id => Stream}}.

uncounted(Id, #streams{open = Open} = Streams) ->
    case Open of
        #{Id := Stream} -> counted(-1, Stream, Streams);
        #{} -> Streams
    end.

counted(_, #stream{owed = Owed}, Streams) when Owed =< 0 -> Streams;
counted(N, #stream{job = #job{state = {started, Where}}}, #streams{} = Streams) ->
    case Where of
        main -> Streams#streams{turns = Streams#streams.turns + N};
        loop -> Streams#streams{awaited = Streams#streams.awaited + N};
        thread -> Streams#streams{threads = Streams#streams.threads + N}
    end.

stocked(Frame, N, #stream{stock = Stock} = S) ->
    S#stream{stock = queue:in({Frame, N}, Stock), stocked = S#stream.stocked + N,
             owed = S#stream.owed - N, items = S#stream.items + N,
             bytes = S#stream.bytes + byte_size(Frame)}.

%% Another frame of a stream: a chunk, or its last word.
-spec reply(py_wire:id(), binary(), streams()) -> {[effect()], streams()} | unknown.
reply(Id, Frame, #streams{open = Open} = Streams) ->
    case Open of
        #{Id := S} ->
            Arrived = arrived(Frame, py_wire:chunk_items(Frame), S),
            {Effects, Next} = serve(Id, Arrived, Streams),
            {did(Arrived, Effects), Next};
        #{} ->
            unknown
    end.

%% What the main thread has done; or another one has ended, perhaps for want of memory.
did(#stream{job = #job{state = {started, main}, req = Req}}, Effects) -> [progress, {note, Req} | Effects];
did(#stream{final = none}, Effects) -> Effects;
did(#stream{job = #job{req = Req}}, Effects) -> [{note, Req} | Effects].

arrived(Frame, final, S) -> S#stream{final = Frame, owed = 0};
arrived(Frame, N, S) -> stocked(Frame, N, S).

%% The consumer asks for the next chunk.
-spec pull(py_wire:id(), py_ask:from(), py_time:deadline(), streams()) ->
          {[effect()], streams()}.
pull(Id, From, Deadline, #streams{open = Open, soonest = Soonest} = Streams) ->
    case Open of
        #{Id := #stream{waiter = none} = S} ->
            serve(Id, S#stream{waiter = {From, Deadline}},
                  Streams#streams{soonest = min(Deadline, Soonest)});
        #{Id := _} ->
            {[{answer, From, {error, busy}}], Streams};
        #{} ->
            {[{answer, From, {error, closed}}], Streams}
    end.

%% Whoever waits gets what there is.
serve(Id, #stream{waiter = none} = S, Streams) ->
    {[], put_stream(Id, S, Streams)};
serve(Id, #stream{waiter = {From, _}, stock = Stock, final = Final} = S, Streams) ->
    case queue:out(Stock) of
        {{value, {Frame, N}}, Rest} ->
            Served = S#stream{waiter = none, stock = Rest, stocked = S#stream.stocked - N},
            {Credit, Next} = top_up(Id, Served),
            {[{answer, From, {reply, Frame}} | Credit], put_stream(Id, Next, Streams)};
        {empty, _} when Final =:= none ->
            {Credit, Next} = top_up(Id, S),
            {Credit, put_stream(Id, Next, Streams)};
        {empty, _} ->
            {[{answer, From, {reply, Final}}], remove([Id], Streams)}
    end.

remove(Ids, Streams) ->
    #streams{open = Open} = Counted = lists:foldl(fun uncounted/2, Streams, Ids),
    Counted#streams{open = maps:without(Ids, Open)}.

%% More credit when half of what should be ahead is used up.
top_up(_, #stream{final = Final} = S) when Final =/= none ->
    {[], S};
top_up(Id, #stream{chunk = Chunk, items = Items, bytes = Bytes, owed = Owed} = S) ->
    Ahead = Owed + S#stream.stocked,
    case ahead(Chunk, Items, Bytes) of
        Wanted when Ahead * 2 =< Wanted ->
            {[{send, py_wire:more(Id, Wanted - Ahead)}],
             S#stream{owed = Owed + Wanted - Ahead}};
        _ ->
            {[], S}
    end.

%% How many items should be ahead of a consumer, if a chunk has at most so many and
%% those that were seen had this size together.
-spec ahead(Chunk :: pos_integer(), Items :: non_neg_integer(), Bytes :: non_neg_integer()) ->
          pos_integer().
ahead(Chunk, Items, Bytes) ->
    InBytes = ?BYTES_AHEAD * max(1, Items) div max(1, Bytes),
    max(1, min(2 * Chunk, InBytes)).

%% ---------------------------------------------------------------------------
%% What there is

-spec is_open(py_wire:id(), streams()) -> boolean().
is_open(Id, #streams{open = Open}) ->
    is_map_key(Id, Open).

-spec count(streams()) -> non_neg_integer().
count(#streams{open = Open}) ->
    map_size(Open).

%% How many streams the program's main thread may be working on: those that have credit.
-spec active(streams()) -> non_neg_integer().
active(#streams{turns = Turns}) -> Turns.

%% The same, and how many streams its loop and its other threads may be working on.
-spec at_work(streams()) -> {Turns :: N, Awaited :: N, Threads :: N} when N :: non_neg_integer().
at_work(#streams{turns = Turns, awaited = Awaited, threads = Threads}) -> {Turns, Awaited, Threads}.

is_awaited(#stream{job = #job{state = State}}) -> State =:= {started, loop}.

%% On the main thread.
has_turns(#stream{job = #job{state = State}}) -> State =:= {started, main}.

%% What the main thread may be working on for a stream that has credit.
-spec running(streams()) -> py_wire:what() | none.
running(Streams) ->
    case [What || #stream{owed = Owed, job = #job{req = #req{what = What}}} = S <- all(Streams),
                  Owed > 0, has_turns(S)] of
        [What | _] -> What;
        [] -> none
    end.

%% The request with this Id.
-spec request(py_wire:id() | none, streams()) -> #req{} | none.
request(Id, #streams{open = Open}) ->
    case Open of
        #{Id := #stream{job = #job{req = Req}}} -> Req;
        #{} -> none
    end.

-spec requests(streams()) -> [#req{}].
requests(Streams) ->
    [Req || #stream{job = #job{req = Req}} <- all(Streams)].

-spec callers(streams()) -> [pid()].
callers(Streams) ->
    [Pid || #stream{job = #job{req = #req{caller = Pid}}} <- all(Streams)].

all(#streams{open = Open}) ->
    maps:values(Open).

%% ---------------------------------------------------------------------------
%% The end of streams

%% The consumer wants no more.
-spec close(py_wire:id(), Now :: integer(), streams()) -> {[effect()], streams()}.
close(Id, Now, #streams{open = Open} = Streams) ->
    case Open of
        #{Id := S} -> stop([disowned(S)], Now + ?STOP_GRACE, Streams);
        #{} -> {[], Streams}
    end.

%% Whoever closes a stream does not hear how that goes.
disowned(#stream{job = #job{req = Req} = Job} = S) ->
    S#stream{job = Job#job{req = Req#req{owner = none}}}.

%% A stream whose last word has come has ended in the program: there is nothing to
%% stop, and no frame would say that it was stopped.
stop(Closed, Until, Streams) ->
    {[{stop, Job, until(S, Until)} || #stream{job = Job, final = none} = S <- Closed],
     remove([Id || #stream{job = #job{id = Id}} <- Closed], Streams)}.

%% By then it should have ended; or the loop, which may take a moment, should know.
until(S, Until) ->
    case is_awaited(S) of true -> Until + ?TICK_MS; false -> Until end.

%% A consumer is gone, and its streams with it.
-spec leave(pid(), Now :: integer(), streams()) -> {[effect()], streams()}.
leave(Caller, Now, Streams) ->
    Left = [S || #stream{job = #job{req = #req{caller = Pid}}} = S <- all(Streams),
                 Pid =:= Caller],
    stop(Left, Now + ?STOP_GRACE, Streams).

%% A stream that does not deliver in time ends. The ladder is only for what the main thread
%% does, and the loop is told at once, so a thread's is cancelled here.
-spec expire(Now :: integer(), streams()) -> {[effect()], streams()}.
expire(Now, #streams{soonest = Soonest} = Streams) when Now < Soonest ->
    {[], Streams};
expire(Now, Streams) ->
    Waited = [S || #stream{waiter = {_, _}} = S <- all(Streams)],
    {Late, InTime} = lists:partition(fun(S) -> deadline(S) =< Now end, Waited),
    {Stops, Rest} = stop(Late, Now, Streams),
    {[{answer, From, {error, timeout}} || #stream{waiter = {From, _}} <- Late] ++ Stops
         ++ [{send, py_wire:cancel(Id)} || #stream{job = #job{id = Id, state = {started, thread}}} <- Late],
     Rest#streams{soonest = py_time:earliest([deadline(S) || S <- InTime])}}.

deadline(#stream{waiter = {_, Deadline}}) -> Deadline.

%% No deadline is earlier.
-spec soonest(streams()) -> py_time:deadline().
soonest(#streams{soonest = Soonest}) ->
    Soonest.

%% The worker ends: everybody who waits gets this answer.
-spec give_up(py_result:answer(), streams()) -> [effect()].
give_up(Failed, Streams) ->
    [{answer, From, Failed} || #stream{waiter = {From, _}} <- all(Streams)].
