%% SPDX-License-Identifier: Apache-2.0
%%
%% A stream as its consumer sees it: opened, pulled chunk by chunk, closed. The
%% worker keeps only a little ahead (py_worker_streams), and nothing comes into the
%% consumer's mailbox unasked, unless it wants messages: then another process pulls
%% (py_stream_push). The consumer's death closes its streams.
-module(py_stream).

-export([open/3, next/1, ack/2, close/1, collect/2, fold/4]).
-export([ask/1, pulled/2, told/3, worker/1, pushed/1]).
-export_type([stream/0]).

-include("py.hrl").
-include("py_protocol.hrl").

-record(py_stream, {
    pool :: #pool{},
    timeout :: timeout(),
    worker :: pid() | none,             % none: there are no items
    id = 0 :: py_wire:id(),
    iterators = [] :: [pid()]           % what feeds its generator (py_iter)
}).
%% One whose items come as messages.
-record(py_pushed, {by :: pid()}).
-opaque stream() :: #py_stream{} | #py_pushed{}.

%% How its items come: when they are asked for, or as messages.
-spec open(pull | message, py_wire:op(), #opts{}) -> {ok, stream()} | {error, term()}.
open(pull, Source, Opts) ->
    open(Source, Opts);
open(message, Source, #opts{wire = Wire} = Opts) ->
    case open(Source, Opts) of
        {ok, Stream} -> {ok, pushed(py_stream_push:start(Stream, chunk(Wire)))};
        {error, _} = Error -> Error
    end.

chunk(Wire) -> maps:get(chunk, Wire, ?DEFAULT_CHUNK).

%% The stream that this process pushes, as its owner knows it.
-spec pushed(pid()) -> stream().
pushed(Push) ->
    #py_pushed{by = Push}.

%% Returns when the first items are there.
open(Source, #opts{wire = Wire} = Opts) ->
    Chunk = chunk(Wire),
    Credit = Wire#{chunk => Chunk, credit => py_worker_streams:first_credit()},
    case py_request:prepare({stream, Chunk}, Source, Opts#opts{wire = Credit}) of
        {ok, Ticket} -> go(py_request:feed(Ticket), Opts);
        {error, _} = Error -> Error
    end.

go({ok, Ticket, Iterators}, Opts) ->
    {Worker, Answer} = py_request:go(Ticket),
    Pool = py_request:pool(Ticket),
    opened(Answer, #py_stream{pool = Pool, timeout = timeout(Opts, Pool), worker = Worker,
                              iterators = Iterators});
go({error, _} = Error, _) ->
    Error.

timeout(#opts{timeout = default}, #pool{timeout = Timeout}) -> Timeout;
timeout(#opts{timeout = Timeout}, _) -> Timeout.

opened({opened, Id}, Stream) ->
    {ok, Stream#py_stream{id = Id}};
opened(Answer, #py_stream{iterators = Iterators} = Stream) ->
    py_iter:stop(Iterators),
    case py_result:result(Answer) of
        ok -> {ok, Stream#py_stream{worker = none}};
        {error, _} = Error -> Error
    end.

-spec next(stream()) -> {ok, [term(), ...]} | done | {error, term()}.
next(#py_stream{worker = none}) ->
    done;
next(#py_stream{worker = Worker} = Stream) ->
    pulled(py_ask:call(Worker, pull(Stream)), Stream);
next(#py_pushed{} = Stream) ->
    py_options:badarg(Stream, "this stream's items come as messages");
next(Other) ->
    not_a_stream(Other).

pull(#py_stream{worker = Worker, id = Id, timeout = Timeout, pool = Pool}) ->
    Deadline = py_request:deadline(#opts{timeout = Timeout}, Pool),
    fun(From) -> py_worker:pull(Worker, From, Id, Deadline) end.

%% Asks for the next items, which are not waited for here.
-spec ask(stream()) -> py_ask:from().
ask(#py_stream{worker = Worker} = Stream) ->
    py_ask:ask(Worker, pull(Stream)).

%% What has come of that.
-spec pulled(py_ask:outcome(), stream()) -> {ok, [term(), ...]} | done | {error, term()}.
pulled(Outcome, #py_stream{iterators = [_ | _] = Iterators} = Stream) ->
    is_last(py_result:answer(Outcome)) andalso py_iter:stop(Iterators),
    pulled(Outcome, Stream#py_stream{iterators = []});
pulled(Outcome, #py_stream{worker = Worker, pool = Pool}) ->
    case py_result:answer(Outcome) of
        again -> worker_gone(Pool, py_pool_board:why_died(Pool, Worker));
        {error, {worker_exit, Why}} -> worker_gone(Pool, Why);
        Answer -> next_items(py_result:result(Answer), Pool)
    end.

%% Whether the generator runs no more.
is_last({reply, Frame}) -> py_wire:chunk_items(Frame) =:= final;
is_last({error, busy}) -> false;
is_last(_) -> true.

%% This process gets this result as a message. If it is bound to the worker, the worker's
%% end is no news for it then.
-spec told(term(), pid(), stream()) -> ok.
told({error, {worker_exit, _}}, Owner, Stream) -> told_of(exit, Owner, Stream);
told({error, timeout}, Owner, Stream) -> told_of(timeout, Owner, Stream);
told(_, _, _) -> ok.

told_of(What, Owner, #py_stream{pool = #pool{name = Name} = Pool, worker = Worker}) ->
    case py_binding:is_bound(Owner, Name, Worker) of
        true -> py_pool_board:told(Pool, Worker, Owner, What);
        false -> ok
    end.

-spec worker(stream()) -> pid() | none.
worker(#py_stream{worker = Worker}) ->
    Worker.

next_items(ok, _) -> done;
next_items({error, timeout} = Error, #pool{name = Name}) ->
    py_binding:heard_timeout(Name),
    Error;
next_items(Result, _) -> Result.

%% The consumer may be bound to this worker, whose end is reported here.
worker_gone(#pool{name = Name}, Why) ->
    py_binding:release_dead(Name),
    {error, {worker_exit, Why}}.

-spec not_a_stream(term()) -> no_return().
not_a_stream(Other) ->
    py_options:must_be(Other, "the stream", "what stream_open has returned").

%% The owner has handled N more items that came as messages.
-spec ack(stream(), pos_integer()) -> ok.
ack(#py_pushed{by = Push}, N) when is_integer(N), N > 0 ->
    py_stream_push:ack(Push, N);
ack(#py_pushed{}, N) ->
    py_options:must_be(N, "the number of items", "a positive integer");
ack(#py_stream{} = Stream, _) ->
    py_options:badarg(Stream, "only a stream whose items come as messages is acknowledged");
ack(Other, _) ->
    not_a_stream(Other).

%% Ends the generator; harmless when the stream has ended. None of its messages stays
%% in the mailbox.
-spec close(stream()) -> ok.
close(#py_pushed{by = Push} = Stream) ->
    ok = py_stream_push:close(Push),
    flush(Stream);
close(#py_stream{worker = none}) ->
    ok;
close(#py_stream{worker = Worker, id = Id, iterators = Iterators}) ->
    py_iter:stop(Iterators),
    py_worker:close_stream(Worker, Id);
close(Other) ->
    not_a_stream(Other).

flush(Stream) ->
    receive
        {py_stream, Stream, _} -> flush(Stream)
    after 0 -> ok
    end.

%% All items as a list.
-spec collect(py_wire:op(), #opts{}) -> {ok, [term()]} | {error, term()}.
collect(Source, Opts) ->
    case open(Source, Opts) of
        {ok, Stream} -> chunks(Stream, []);
        {error, _} = Error -> Error
    end.

chunks(Stream, Chunks) ->
    case next(Stream) of
        {ok, Items} -> chunks(Stream, [Items | Chunks]);
        done -> {ok, lists:append(lists:reverse(Chunks))};
        {error, _} = Error -> close(Stream), Error
    end.

%% Calls Fun for each item in turn. However that ends, the stream is closed.
-spec fold(fun((term(), Acc) -> Acc), Acc, py_wire:op(), #opts{}) ->
          {ok, Acc} | {error, term()}.
fold(Fun, Acc, Source, Opts) ->
    case open(Source, Opts) of
        {ok, Stream} ->
            try
                fold(Fun, Acc, Stream)
            after
                close(Stream)
            end;
        {error, _} = Error ->
            Error
    end.

fold(Fun, Acc, Stream) ->
    case next(Stream) of
        {ok, Items} -> fold(Fun, lists:foldl(Fun, Acc, Items), Stream);
        done -> {ok, Acc};
        {error, _} = Error -> Error
    end.
