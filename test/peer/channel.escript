#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Drop-in: channels. The cases have the names that they have in erlang_python's py_channel_SUITE and, for
%% bytes, in py_byte_channel_SUITE. There Erlang only sends; here both sides send and receive.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(HERE, {default, 1}).

main(_) ->
    tap:run(fixture:with_app(#{init => <<"import asyncio, peer">>}, [queues(), waiting(), coroutines(), ends(), bytes()])).

queues() ->
    [{"create_channel, create_channel_with_max_size", fun create_channel/0},
     {"send_receive, send_receive_multiple", fun send_receive_multiple/0},
     {"try_receive_empty", fun try_receive_empty/0},
     {"backpressure", fun backpressure/0},
     {"python_receive, python_iterate", fun python_receive/0},
     {"channel_ref_roundtrip, channel_ref_call", fun channel_ref_call/0}].

waiting() ->
    [{"sync_receive_immediate", fun sync_receive_immediate/0},
     {"sync_receive_wait", fun sync_receive_wait/0},
     {"sync_receive_closed", fun sync_receive_closed/0},
     {"sync_receive_multiple_waiters", fun sync_receive_multiple_waiters/0}].

coroutines() ->
    [{"async_receive_immediate", fun async_receive_immediate/0},
     {"async_receive_wait, async_receive_wait_e2e", fun async_receive_wait/0},
     {"async_iteration", fun async_iteration/0},
     {"async_closed_channel", fun async_closed_channel/0}].

ends() ->
    [{"close_channel, send_to_closed", fun send_to_closed/0},
     {"close_drain_python_sync", fun close_drain_python_sync/0},
     {"close_drain_python_async, close_drain_create_task_async", fun close_drain_python_async/0}].

bytes() ->
    [{"erlang_send_bytes, python_byte_channel_receive_bytes", fun erlang_send_bytes/0},
     {"python_byte_channel_send_bytes", fun python_send_bytes/0},
     {"large_payload_bytes", fun large_payload_bytes/0}].

%% A channel in which Erlang has sent these.
channel(Messages) ->
    {ok, Channel} = py_channel:new(),
    [ok = py_channel:send(Channel, Message) || Message <- Messages],
    Channel.

closed(Messages) ->
    Channel = channel(Messages),
    ok = py_channel:close(Channel),
    Channel.

eval(Code, Channel) -> eval(Code, Channel, #{}).
eval(Code, Channel, Options) -> py:eval(Code, #{c => Channel}, Options#{pool => ?HERE}).

start(Function, Channel) -> py:spawn_call(peer, Function, [Channel], #{}, #{pool => ?HERE}).

%% Python waits in the function, which it has begun.
waits(Function, Channel) ->
    Ref = start(Function, Channel),
    fixture:wait_until(fun() ->
        lists:any(fun(#{id := Id, in_flight := N} = W) -> {default, Id} =:= ?HERE andalso N + maps:get(awaited, W, 0) > 0 end,
                  fixture:workers())
    end),
    Ref.

%% ---------------------------------------------------------------------------

create_channel() ->
    {ok, Channel} = py_channel:new(),
    {ok, Small} = py_channel:new(#{size => 1}),
    ?assertNotEqual(Channel, Small),
    ?assertEqual([ok, ok], [py_channel:close(C) || C <- [Channel, Small]]).

send_receive_multiple() ->
    ?assertEqual({ok, [1, 2, <<"hello">>]}, eval("[c.receive() for _ in range(3)]", channel([1, 2, <<"hello">>]))).

try_receive_empty() ->
    Channel = channel([]),
    ?assertMatch({error, {'TimeoutError', _}}, eval("c.receive(0)", Channel)),
    ?assertEqual({error, timeout}, py_channel:recv(Channel, 0)).

%% The size is a number of messages; send waits for room, as long as it may.
backpressure() ->
    {ok, Channel} = py_channel:new(#{size => 2}),
    ?assertEqual([ok, ok, {error, timeout}], [py_channel:send(Channel, N, 0) || N <- [1, 2, 3]]),
    ?assertEqual({ok, 1}, eval("c.receive()", Channel)),
    ?assertEqual(ok, py_channel:send(Channel, 3, 0)).

python_receive() ->
    Channel = channel([1, 2]),
    ?assertEqual({ok, {true, 1}}, eval("(isinstance(c, erlang.Channel), c.receive())", Channel)),
    ?assertEqual({ok, 2}, eval("next(iter(c))", Channel)),
    {ok, none} = eval("c.send('reply')", Channel),
    ?assertEqual({ok, <<"reply">>}, py_channel:recv(Channel)).

channel_ref_call() ->
    Channel = channel([1]),
    ?assertEqual({ok, Channel}, py:call(peer, same, [Channel], #{}, #{pool => ?HERE})),
    ?assertEqual({ok, [Channel, #{<<"c">> => Channel}]}, eval("[c, {'c': c}]", Channel)),
    ?assertEqual({ok, {<<"Channel">>, 1}}, eval("(type(c).__name__, c.receive())", Channel)).

%% ---------------------------------------------------------------------------

sync_receive_immediate() ->
    ?assertEqual({ok, <<"data">>}, py:await(start(received, channel([<<"data">>])))).

sync_receive_wait() ->
    Channel = channel([]),
    Ref = waits(received, Channel),
    ok = py_channel:send(Channel, <<"delayed">>),
    ?assertEqual({ok, <<"delayed">>}, py:await(Ref)).

sync_receive_closed() ->
    Channel = channel([]),
    Ref = waits(received, Channel),
    ok = py_channel:close(Channel),
    ?assertMatch({error, {'EOFError', _}}, py:await(Ref)).

%% Several may wait, on both sides, and each gets a message.
sync_receive_multiple_waiters() ->
    {ok, Channel} = py_channel:new(),
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), py_channel:recv(Channel)} end) || _ <- [1, 2]],
    {ok, [none, none]} = eval("[c.send(n) for n in (1, 2)]", Channel),
    ?assertEqual([{ok, 1}, {ok, 2}], lists:sort([receive {Pid, Got} -> Got end || Pid <- Pids])),
    Refs = [waits(received_async, Channel) || _ <- [1, 2]],
    [ok = py_channel:send(Channel, N) || N <- [3, 4]],
    ?assertEqual([{ok, 3}, {ok, 4}], lists:sort([py:await(Ref) || Ref <- Refs])).

%% ---------------------------------------------------------------------------

async_receive_immediate() ->
    ?assertEqual({ok, 1}, py:await(start(received_async, channel([1])))).

%% The loop goes on meanwhile.
async_receive_wait() ->
    Channel = channel([]),
    Ref = waits(received_async, Channel),
    ?assertEqual({ok, 5}, py:call(peer, slept, [0, 5], #{}, #{pool => ?HERE})),
    ok = py_channel:send(Channel, 1),
    ?assertEqual({ok, 1}, py:await(Ref)).

async_iteration() ->
    Messages = [<<"a">>, <<"b">>, <<"c">>],
    ?assertEqual({ok, Messages}, py:eval("asyncio.run(peer.drained_async(c))", #{c => closed(Messages)}, #{pool => ?HERE})).

async_closed_channel() ->
    ?assertMatch({error, {'EOFError', _}}, py:await(start(received_async, closed([])))).

%% ---------------------------------------------------------------------------

send_to_closed() ->
    Channel = closed([<<"data">>]),
    ?assertEqual({error, closed}, py_channel:send(Channel, 1)),
    ?assertMatch({error, {'BrokenPipeError', _}}, eval("c.send(1)", Channel)),
    ?assertEqual({ok, <<"data">>}, eval("c.receive()", Channel)).

close_drain_python_sync() ->
    Messages = [<<"first">>, <<"second">>, <<"third">>],
    Channel = closed(Messages),
    ?assertEqual({ok, Messages}, eval("list(c)", Channel)),
    ?assertMatch({error, {'EOFError', _}}, eval("c.receive()", Channel)).

close_drain_python_async() ->
    ?assertEqual({ok, [1, 2]}, py:await(start(drained_async, closed([1, 2])))),
    Channel = channel([]),
    Ref = waits(drained_async, Channel),
    [ok = py_channel:send(Channel, N) || N <- [1, 2, 3]],
    ok = py_channel:close(Channel),
    ?assertEqual({ok, [1, 2, 3]}, py:await(Ref)).

%% ---------------------------------------------------------------------------

erlang_send_bytes() ->
    Channel = channel([<<0, 255>>]),
    ?assertEqual({ok, {<<"bytes">>, 2}}, eval("(lambda m: (type(m).__name__, len(m)))(c.receive())", Channel, #{binaries => bytes})).

python_send_bytes() ->
    Channel = channel([]),
    {ok, none} = eval("c.send(bytes([0, 255]))", Channel),
    ?assertEqual({ok, <<0, 255>>}, py_channel:recv(Channel)).

large_payload_bytes() ->
    Large = binary:copy(<<"X">>, 1024 * 1024),
    Channel = channel([{bytes, Large}]),
    {ok, none} = eval("c.send(c.receive())", Channel),
    ?assertEqual({ok, Large}, py_channel:recv(Channel)).
