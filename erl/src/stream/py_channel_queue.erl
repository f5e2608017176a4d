%% SPDX-License-Identifier: Apache-2.0
%%
%% One direction of a channel: messages that were sent, up to a limit, and whoever waits
%% for room or for a message. Pure.
-module(py_channel_queue).

-export([new/1, send/3, recv/2, leave/2, close/2, is_empty/1]).
-export_type([queue/0, who/0, answer/0, reason/0]).

-record(channel_queue, {
    size :: pos_integer(),
    n = 0 :: non_neg_integer(),
    messages = queue:new() :: queue:queue(),
    senders = queue:new() :: queue:queue({who(), term()}),  % only if it is full
    receivers = queue:new() :: queue:queue(who()),          % only if it is empty
    closed = false :: false | reason()
}).
-opaque queue() :: #channel_queue{}.

%% Somebody who waits for an answer.
-type who() :: term().
%% Why there is nothing more.
-type reason() :: closed | {worker_exit, term()}.
-type answer() :: {who(), ok | {ok, term()} | {error, reason()}}.

-spec new(Size :: pos_integer()) -> queue().
new(Size) ->
    #channel_queue{size = Size}.

%% The sender has its answer when the message has a place, or a receiver.
-spec send(who(), term(), queue()) -> {[answer()], queue()}.
send(Who, _, #channel_queue{closed = Why} = Q) when Why =/= false ->
    {[{Who, {error, Why}}], Q};
send(Who, Message, #channel_queue{receivers = Receivers, n = 0} = Q) ->
    case queue:out(Receivers) of
        {{value, Receiver}, Rest} ->
            {[{Receiver, {ok, Message}}, {Who, ok}], Q#channel_queue{receivers = Rest}};
        {empty, _} ->
            {[{Who, ok}], put_in(Message, Q)}
    end;
send(Who, Message, #channel_queue{n = N, size = Size} = Q) when N < Size ->
    {[{Who, ok}], put_in(Message, Q)};
send(Who, Message, #channel_queue{senders = Senders} = Q) ->
    {[], Q#channel_queue{senders = queue:in({Who, Message}, Senders)}}.

put_in(Message, #channel_queue{messages = Messages, n = N} = Q) ->
    Q#channel_queue{messages = queue:in(Message, Messages), n = N + 1}.

-spec recv(who(), queue()) -> {[answer()], queue()}.
recv(Who, #channel_queue{n = 0, closed = false, receivers = Receivers} = Q) ->
    {[], Q#channel_queue{receivers = queue:in(Who, Receivers)}};
recv(Who, #channel_queue{n = 0, closed = Why} = Q) ->
    {[{Who, {error, Why}}], Q};
recv(Who, #channel_queue{messages = Messages, n = N} = Q) ->
    {{value, Message}, Rest} = queue:out(Messages),
    {Answers, Next} = admit(Q#channel_queue{messages = Rest, n = N - 1}),
    {[{Who, {ok, Message}} | Answers], Next}.

%% There is room for the first of those who wait.
admit(#channel_queue{senders = Senders} = Q) ->
    case queue:out(Senders) of
        {{value, {Who, Message}}, Rest} ->
            {[{Who, ok}], put_in(Message, Q#channel_queue{senders = Rest})};
        {empty, _} ->
            {[], Q}
    end.

%% Somebody does not wait any more. A message that had no place is not sent.
-spec leave(who(), queue()) -> queue().
leave(Who, #channel_queue{senders = Senders, receivers = Receivers} = Q) ->
    Q#channel_queue{senders = queue:filter(fun({Sender, _}) -> Sender =/= Who end, Senders),
                    receivers = queue:filter(fun(Receiver) -> Receiver =/= Who end, Receivers)}.

%% Nothing more is sent; what has a place can still be received.
-spec close(reason(), queue()) -> {[answer()], queue()}.
close(Why, #channel_queue{closed = false, senders = Senders, receivers = Receivers} = Q) ->
    Waiting = [Who || {Who, _} <- queue:to_list(Senders)] ++ queue:to_list(Receivers),
    {[{Who, {error, Why}} || Who <- Waiting],
     Q#channel_queue{closed = Why, senders = queue:new(), receivers = queue:new()}};
close(_, Q) ->
    {[], Q}.

-spec is_empty(queue()) -> boolean().
is_empty(#channel_queue{n = N}) ->
    N =:= 0.
