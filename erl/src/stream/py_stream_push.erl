%% SPDX-License-Identifier: Apache-2.0
%%
%% A stream whose items come as messages: a process of its own pulls chunks, as any
%% consumer does, and sends their items to the stream's owner.
%%
%% Only the owner knows when it has handled a message, so it says so (py:stream_ack):
%% how long its queue is tells nothing, as other messages may be in it for ever. As much
%% is ahead of that as of a consumer that pulls (py_worker_streams), and one chunk is
%% here, to be sent when half of it is acknowledged.
-module(py_stream_push).
-behaviour(gen_server).

-export([start/2, ack/2, close/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).
-export([format_status/1]).

%% What others say to it: messages, which never wait.
-messages([ack/2]).

-record(state, {
    owner :: pid(),
    stream :: py_stream:stream(),       % as it is pulled
    worker :: pid() | none,
    asked = none :: py_ask:from() | none,
    ready = [] :: [term()],             % the next chunk's items
    unread = 0 :: non_neg_integer(),    % items that were sent and not acknowledged
    chunk :: pos_integer(),             % most items in a chunk
    items = 0 :: non_neg_integer(),     % seen so far
    bytes = 0 :: non_neg_integer()
}).

%% Starts it for the calling process, to which this stream belongs, whose chunks have
%% so many items at most.
-spec start(py_stream:stream(), pos_integer()) -> pid().
start(Stream, Chunk) ->
    {ok, Pid} = gen_server:start(?MODULE, {self(), Stream, Chunk}, []),
    Pid.

%% N more items have been handled.
-spec ack(pid(), pos_integer()) -> ok.
ack(Push, N) ->
    gen_server:cast(Push, {ack, N}).

%% Ends it and its stream. All that it has sent has come then.
-spec close(pid()) -> ok.
close(Push) ->
    try
        gen_server:call(Push, close, infinity)
    catch
        exit:_ -> ok    % it has ended
    end.

%% ---------------------------------------------------------------------------

%% The worker closes a stream when its owner ends, and its death is told even to an
%% owner that acknowledges nothing.
-spec init({pid(), py_stream:stream(), pos_integer()}) -> {ok, #state{}, {continue, pull}}.
init({Owner, Stream, Chunk}) ->
    _ = monitor(process, Owner),
    Worker = py_stream:worker(Stream),
    Worker =/= none andalso monitor(process, Worker),
    {ok, #state{owner = Owner, stream = Stream, worker = Worker, chunk = Chunk},
     {continue, pull}}.

-spec handle_continue(pull, #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_continue(pull, #state{worker = none} = S) ->
    stop(done, S);
handle_continue(pull, S) ->
    {noreply, pull(S)}.

%% Whoever closes a stream that is not his, leaves its owner without an end.
-spec handle_call(close, gen_server:from(), #state{}) -> {stop, normal, ok, #state{}}.
handle_call(close, {Owner, _}, #state{owner = Owner, stream = Stream} = S) ->
    {stop, normal, py_stream:close(Stream), S};
handle_call(close, _, #state{stream = Stream} = S) ->
    tell({error, closed}, S),
    {stop, normal, py_stream:close(Stream), S}.

-spec handle_cast({ack, pos_integer()}, #state{}) -> {noreply, #state{}}.
handle_cast({ack, N}, #state{unread = Unread} = S) ->
    {noreply, deliver(S#state{unread = max(0, Unread - N)})}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({Ref, Answer}, #state{asked = Ref, bytes = Bytes} = S) ->
    pulled({answer, Answer}, S#state{asked = none, bytes = Bytes + size_of(Answer)});
handle_info({'DOWN', Ref, process, _, Reason}, #state{asked = Ref} = S) ->
    pulled({down, Reason}, S#state{asked = none});
handle_info({'DOWN', _, process, Owner, _}, #state{owner = Owner} = S) ->
    {stop, normal, S};
handle_info({'DOWN', _, process, Worker, Reason}, #state{worker = Worker, asked = none} = S) ->
    pulled({down, Reason}, send(S));
handle_info(_, S) ->
    {noreply, S}.

size_of({reply, Frame}) -> byte_size(Frame);
size_of(_) -> 0.

pull(#state{stream = Stream} = S) ->
    S#state{asked = py_stream:ask(Stream)}.

pulled(Outcome, #state{stream = Stream} = S) ->
    case py_stream:pulled(Outcome, Stream) of
        {ok, Items} ->
            Seen = S#state.items + length(Items),
            {noreply, deliver(S#state{ready = Items, items = Seen})};
        End ->
            stop(End, S)
    end.

%% After an error there may be more of it in the worker.
stop(End, #state{stream = Stream, owner = Owner} = S) ->
    py_stream:told(End, Owner, Stream),
    tell(End, S),
    End =:= done orelse py_stream:close(Stream),
    {stop, normal, S}.

%% While a chunk is read, the next one is pulled.
deliver(#state{ready = []} = S) ->
    S;
deliver(#state{unread = Unread, chunk = Chunk, items = Items, bytes = Bytes} = S) ->
    case Unread * 2 =< py_worker_streams:ahead(Chunk, Items, Bytes) of
        true -> pull(send(S));
        false -> S
    end.

send(#state{ready = Items, unread = Unread} = S) ->
    lists:foreach(fun(Item) -> tell({data, Item}, S) end, Items),
    S#state{ready = [], unread = Unread + length(Items)}.

tell(What, #state{owner = Owner}) ->
    Owner ! {py_stream, py_stream:pushed(self()), What},
    ok.

%% What reports print: no items.
-spec format_status(gen_server:format_status()) -> gen_server:format_status().
format_status(Status) ->
    maps:map(fun shown/2, Status).

shown(state, #state{ready = Items} = S) -> S#state{ready = [length(Items)]};
shown(message, {Ref, _}) when is_reference(Ref) -> Ref;
shown(_, Term) -> Term.
