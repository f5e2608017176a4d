#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Channels: both sides send and receive, a limited number of messages ahead, until
%% either side closes the channel or dies.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(SETUP, <<"
import asyncio, os, threading, time
def echo(c):
    for message in c: c.send(message)
def take(c, n): return [c.receive() for _ in range(n)]
def tried(f, *args):
    try: return f(*args)
    except Exception as error: return [type(error).__name__, str(error)]
def sent(c, n):
    for i in range(n): c.send(i)
def count(c, counted):
    for i in range(10**6):
        c.send(i)
        counted[0] = i + 1
def behind(c):
    counted = [0]
    threading.Thread(target=lambda: tried(count, c, counted), daemon=True).start()
    time.sleep(0.3)
    return counted[0]
def in_child(c):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(tried(c.receive)).encode())
        os._exit(0)
    os.close(write)
    with open(read) as file: return file.read()
async def echo_async(c):
    async for message in c: await c.send_async(message)
async def take_async(c, *args): return await c.receive_async(*args)
async def sent_async(c, n):
    for i in range(n): await c.send_async(i)
async def tried_async(f, *args):
    try: return await f(*args)
    except Exception as error: return [type(error).__name__, str(error)]
async def in_time(c):
    try: await asyncio.wait_for(c.receive_async(), 0.05)
    except asyncio.TimeoutError: return 'late'
">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 2, init => ?SETUP}, [
        {"there and back", fun echo/0},
        {"values of all kinds", fun values/0},
        {"within other arguments, and back as a result", fun nested/0},
        {"Python is so many ahead at most", fun python_ahead/0},
        {"Erlang is so many ahead at most", fun erlang_ahead/0},
        {"time limits of both sides", fun timeouts/0},
        {"who has no time", fun no_time/0},
        {"closed by Erlang", fun closed_by_erlang/0},
        {"closed by Python", fun closed_by_python/0},
        {"what the other side has sent before it has closed", fun drained/0},
        {"its owner's death ends it", fun owner_dies/0},
        {"its worker's death ends it", fun worker_dies/0},
        {"another worker cannot use it", fun elsewhere/0},
        {"a call out of time takes no message along", fun late/0},
        {"several processes share it", fun shared/0},
        {"a thread of Python's, when no call runs", fun thread/0},
        {"coroutines: there and back, beside other calls", fun coroutines/0},
        {"coroutines: more than threads could wait", fun many_coroutines/0},
        {"coroutines: options, time limits, the end", fun coroutine_ends/0},
        {"coroutines: who has given up takes no message along", fun coroutine_late/0},
        {"coroutines: on a loop of its own", fun in_run/0},
        {"in a forked child", fun in_child/0},
        {"the options of the request hold for the messages", fun options/0},
        {"whatever atom means None", fun nones/0},
        {"compared, hashed, pickled, printed", fun as_object/0},
        {"wrong use", fun wrong/0},
        {"nothing is left", fun nothing_left/0}
    ])).

here() -> #{pool => {default, 1}}.

%% Python, on worker 1, does that with the channel.
spawn_with(Function, Args) ->
    py:spawn_call('__main__', Function, Args, #{}, here()).

call_with(Function, Args) ->
    py:call('__main__', Function, Args, #{}, here()).

echo() ->
    {ok, Channel} = py_channel:new(),
    Ref = spawn_with(echo, [Channel]),
    [begin
         ok = py_channel:send(Channel, N),
         ?assertEqual({ok, N}, py_channel:recv(Channel))
     end || N <- lists:seq(1, 200)],
    ok = py_channel:close(Channel),
    ?assertEqual({ok, none}, py:await(Ref)).

values() ->
    {ok, Channel} = py_channel:new(),
    Ref = spawn_with(echo, [Channel]),
    [begin
         ok = py_channel:send(Channel, Value),
         ?assertEqual({ok, Value}, py_channel:recv(Channel))
     end || Value <- [1.5, <<"é"/utf8>>, none, closed, timeout, [], [closed], #{<<"a">> => {1}}, self(),
                      binary:copy(<<"x">>, 1_000_000), Channel]],
    ok = py_channel:close(Channel),
    ?assertEqual({ok, none}, py:await(Ref)).

nested() ->
    {ok, Channel} = py_channel:new(),
    ok = py_channel:send(Channel, 7),
    ?assertEqual({ok, {7, Channel}},
                 py:eval(<<"(x['c'][0].receive(), x['c'][0])">>, #{x => #{c => [Channel]}}, here())),
    ?assertEqual({ok, {py_channel, 1}}, py:eval(<<"x">>, #{x => {py_channel, 1}})),
    ok = py_channel:close(Channel).

%% Python has sent what has a place and waits with the next.
python_ahead() ->
    {ok, Channel} = py_channel:new(#{size => 5}),
    ?assertEqual({ok, 5}, call_with(behind, [Channel])),
    [?assertEqual({ok, N}, py_channel:recv(Channel)) || N <- lists:seq(0, 50)],
    ok = py_channel:close(Channel),
    Left = left(Channel),
    ?assert(length(Left) =< 5),
    ?assertEqual(lists:seq(51, 50 + length(Left)), Left).

left(Channel) ->
    case py_channel:recv(Channel) of
        {ok, Message} -> [Message | left(Channel)];
        {error, closed} -> []
    end.

erlang_ahead() ->
    {ok, Channel} = py_channel:new([{size, 3}]),
    [ok = py_channel:send(Channel, N, 0) || N <- [1, 2, 3]],
    ?assertEqual({error, timeout}, py_channel:send(Channel, 4, 0)),
    ?assertEqual({error, timeout}, py_channel:send(Channel, 4, 20)),
    {Pid, Monitor} = spawn_monitor(fun() -> ok = py_channel:send(Channel, 5), exit(sent) end),
    fixture:wait_until(fun() -> {status, waiting} =:= process_info(Pid, status) end),
    ?assertEqual({ok, [1, 2, 3, 5]}, call_with(take, [Channel, 4])),
    receive {'DOWN', Monitor, process, _, sent} -> ok end,
    ok = py_channel:close(Channel).

timeouts() ->
    {ok, Channel} = py_channel:new(#{size => 1}),
    figure:within(70, fun() -> ?assertEqual({error, timeout}, py_channel:recv(Channel, 50)) end),
    ?assertEqual({error, timeout}, py_channel:recv(Channel, 0)),
    Late = [<<"TimeoutError">>, <<"the other side of the channel is not in time">>],
    ?assertEqual({ok, Late}, py:eval(<<"tried(c.receive, 0.05)">>, #{c => Channel}, here())),
    ?assertEqual({ok, [none, Late]},
                 py:eval(<<"[tried(c.send, 1, 0), tried(c.send, 2, -1)]">>, #{c => Channel}, here())),
    ?assertEqual({ok, 1}, py_channel:recv(Channel)),
    ?assertEqual({error, timeout}, py_channel:recv(Channel, 0)),
    ok = py_channel:close(Channel).

%% Whoever has no time has left before the next message comes, and gets none of those.
no_time() ->
    {ok, Channel} = py_channel:new(),
    Server = element(2, Channel),
    erlang:suspend_process(Server),
    Asked = [gen_server:send_request(Server, Question)
             || Question <- [{recv, 0}, {py_channel, self(), {send, 1, 0}}]],
    erlang:resume_process(Server),
    ?assertEqual([{reply, {error, timeout}}, {reply, ok}],
                 [gen_server:wait_response(Ref, 10_000) || Ref <- Asked]),
    ?assertEqual({ok, 1}, py_channel:recv(Channel, 0)),
    ok = py_channel:close(Channel).

closed() -> [<<"EOFError">>, <<"the channel is closed">>].
broken() -> [<<"BrokenPipeError">>, <<"the channel is closed">>].

closed_by_erlang() ->
    {ok, Channel} = py_channel:new(),
    Ref = py:spawn_call('__main__', tried, [], #{}, here()),
    {error, {'TypeError', _}} = py:await(Ref),
    Waits = py:spawn_call(builtins, list, [Channel], #{}, here()),
    ok = py_channel:send(Channel, 1),
    ok = py_channel:close(Channel),
    ok = py_channel:close(Channel),
    ?assertEqual({ok, [1]}, py:await(Waits)),
    ?assertEqual({ok, [closed(), broken(), none]},
                 py:eval(<<"[tried(c.receive), tried(c.send, 1), c.close()]">>, #{c => Channel}, here())),
    ?assertEqual([{error, closed}, {error, closed}, {error, closed}],
                 [py_channel:send(Channel, 1), py_channel:recv(Channel), py_channel:recv(Channel, 0)]).

closed_by_python() ->
    {ok, Channel} = py_channel:new(),
    {ok, none} = py:eval(<<"c.close()">>, #{c => Channel}, here()),
    ?assertEqual({error, closed}, py_channel:recv(Channel)),
    ?assertEqual({error, closed}, py_channel:send(Channel, 1)).

drained() ->
    {ok, Channel} = py_channel:new(),
    {ok, none} = py:eval(<<"(sent(c, 3), c.close())[1]">>, #{c => Channel}, here()),
    ?assertEqual([{ok, 0}, {ok, 1}, {ok, 2}, {error, closed}],
                 [py_channel:recv(Channel) || _ <- lists:seq(1, 4)]).

owner_dies() ->
    Self = self(),
    Owner = spawn(fun() -> {ok, Mine} = py_channel:new(), Self ! {channel, Mine}, receive after infinity -> ok end end),
    Channel = receive {channel, C} -> C end,
    Ref = spawn_with(echo, [Channel]),
    ok = py_channel:send(Channel, 1),
    {ok, 1} = py_channel:recv(Channel),
    exit(Owner, kill),
    ?assertEqual({ok, none}, py:await(Ref)),
    ?assertEqual({error, closed}, py_channel:recv(Channel)).

%% What Python has sent before can still be had.
worker_dies() ->
    {ok, Channel} = py_channel:new(),
    {ok, none} = call_with(sent, [Channel, 2]),
    Ref = spawn_with(echo, [Channel]),
    ok = py_channel:send(Channel, 7),
    fixture:wait_until(fun() -> [busy] =:= [State || #{id := 1, state := State} <- fixture:workers()] end),
    [OsPid] = [Pid || #{id := 1, os_pid := Pid} <- fixture:workers()],
    _ = fixture:kill("KILL", OsPid),
    Exit = {error, {worker_exit, {signal, sigkill}}},
    ?assertEqual(Exit, py:await(Ref)),
    {ok, 0} = py_channel:recv(Channel),
    {ok, 1} = py_channel:recv(Channel),
    {ok, 7} = py_channel:recv(Channel),
    ?assertEqual([Exit, Exit], [py_channel:recv(Channel), py_channel:send(Channel, 1)]),
    ok = py_channel:close(Channel),
    fixture:wait_until(fun() -> {ok, 2} =:= py:eval(<<"1 + 1">>, #{}, here()) end).

elsewhere() ->
    {ok, Channel} = py_channel:new(),
    {ok, none} = call_with(sent, [Channel, 1]),
    ?assertEqual({ok, [<<"ValueError">>, <<"the channel is used by another worker">>]},
                 py:eval(<<"tried(c.send, 1)">>, #{c => Channel}, #{pool => {default, 2}})),
    ok = py_channel:close(Channel),
    {ok, 0} = py_channel:recv(Channel).

late() ->
    {ok, Channel} = py_channel:new(),
    ?assertEqual({error, timeout}, py:call('__main__', take, [Channel, 1], #{}, (here())#{timeout => 100})),
    Ref = spawn_with(take, [Channel, 1]),
    ok = py:cancel(Ref),
    _ = py:await(Ref),
    {Pid, Monitor} = spawn_monitor(fun() -> py_channel:recv(Channel) end),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, _, killed} -> ok end,
    fixture:wait_until(fun() -> questions() =:= [] end),
    ok = py_channel:send(Channel, 1),
    ?assertEqual({ok, [1]}, call_with(take, [Channel, 1])),
    ok = py_channel:close(Channel).

%% What Python waits for now.
questions() ->
    [Pid || Pid <- processes(), {initial_call, {py_talk_call, run, 4}} =:= process_info(Pid, initial_call)].

shared() ->
    {ok, Channel} = py_channel:new(#{size => 2}),
    Ref = spawn_with(echo, [Channel]),
    Pids = [spawn_monitor(fun() ->
        [ok = py_channel:send(Channel, {N, K}) || K <- lists:seq(1, 20)]
    end) || N <- lists:seq(1, 5)],
    Got = [element(2, py_channel:recv(Channel)) || _ <- lists:seq(1, 100)],
    ?assertEqual([{N, K} || N <- lists:seq(1, 5), K <- lists:seq(1, 20)], lists:sort(Got)),
    ?assertEqual(lists:seq(1, 20), [K || {3, K} <- Got]),
    [receive {'DOWN', Monitor, process, _, normal} -> ok end || {_, Monitor} <- Pids],
    ok = py_channel:close(Channel),
    {ok, none} = py:await(Ref).

thread() ->
    {ok, Channel} = py_channel:new(),
    ok = py:exec(<<"threading.Thread(target=echo, args=(c,), daemon=True).start()">>, #{c => Channel}, here()),
    [begin ok = py_channel:send(Channel, N), {ok, N} = py_channel:recv(Channel) end || N <- [1, 2, 3]],
    ?assertEqual({ok, 2}, py:eval(<<"1 + 1">>, #{}, here())),
    ok = py_channel:close(Channel).

coroutines() ->
    {ok, Channel} = py_channel:new(#{size => 2}),
    Ref = spawn_with(echo_async, [Channel]),
    [begin
         ok = py_channel:send(Channel, N),
         ?assertEqual({ok, N}, py_channel:recv(Channel)),
         ?assertEqual({ok, 2}, py:eval("1 + 1", #{}, here()))
     end || N <- lists:seq(1, 20)],
    ok = py_channel:close(Channel),
    ?assertEqual({ok, none}, py:await(Ref)).

many_coroutines() ->
    {ok, Channel} = py_channel:new(),
    {ok, Small} = py_channel:new(#{size => 1}),
    Numbers = lists:seq(1, 40),
    Refs = [spawn_with(take_async, [Channel]) || _ <- Numbers],
    Sender = spawn_with(sent_async, [Small, 40]),
    [ok = py_channel:send(Channel, N) || N <- Numbers],
    ?assertEqual([{ok, N} || N <- Numbers], lists:sort([py:await(Ref) || Ref <- Refs])),
    ?assertEqual([{ok, N - 1} || N <- Numbers], [py_channel:recv(Small) || _ <- Numbers]),
    ?assertEqual({ok, none}, py:await(Sender)),
    [ok = py_channel:close(It) || It <- [Channel, Small]].

coroutine_ends() ->
    {ok, Channel} = py_channel:new(#{size => 1}),
    In = fun(Code, Options) -> py:eval(Code, #{c => Channel}, maps:merge(here(), Options)) end,
    ok = py_channel:send(Channel, <<255>>),
    ?assertEqual({ok, <<"b'\\xff'">>}, In("repr(await c.receive_async())", #{binaries => bytes})),
    ok = py_channel:send(Channel, null),
    ?assertEqual({ok, <<"None">>}, In("repr(await c.receive_async())", #{none => null})),
    ?assertMatch({ok, [<<"TimeoutError">>, _]}, In("await tried_async(c.receive_async, 0.02)", #{})),
    ?assertMatch({ok, [<<"TimeoutError">>, _]}, In("await tried_async(c.receive_async, 0)", #{})),
    ?assertMatch({ok, [<<"TypeError">>, _]}, In("await tried_async(c.send_async, object())", #{})),
    {ok, none} = In("await c.send_async(1)", #{}),
    ?assertMatch({ok, [<<"TimeoutError">>, _]}, In("await tried_async(c.send_async, 2, 0.02)", #{})),
    ?assertMatch({ok, [<<"ValueError">>, _]},
                 In("await tried_async(c.receive_async)", #{pool => {default, 2}})),
    Ref = spawn_with(tried_async, [take_handle(), Channel]),
    fixture:wait_until(fun() -> length(questions()) =:= 1 end),
    ok = py_channel:close(Channel),
    ?assertMatch({ok, [<<"EOFError">>, _]}, py:await(Ref)),
    ?assertMatch({ok, [<<"BrokenPipeError">>, _]}, In("await tried_async(c.send_async, 1)", #{})).

take_handle() ->
    {ok, Take} = py:eval("take_async", #{}, (here())#{return => handle}),
    Take.

coroutine_late() ->
    {ok, Channel} = py_channel:new(),
    ?assertEqual({error, timeout}, py:call('__main__', take_async, [Channel], #{}, (here())#{timeout => 50})),
    Ref = spawn_with(take_async, [Channel]),
    ok = py:cancel(Ref),
    ?assertEqual({error, cancelled}, py:await(Ref)),
    ?assertEqual({ok, <<"late">>}, call_with(in_time, [Channel])),
    fixture:wait_until(fun() -> questions() =:= [] end),
    ok = py_channel:send(Channel, 1),
    ?assertEqual({ok, 1}, call_with(take_async, [Channel])),
    ok = py_channel:close(Channel).

in_run() ->
    {ok, Channel} = py_channel:new(),
    [ok = py_channel:send(Channel, N) || N <- [1, 2]],
    ?assertEqual({ok, [1, 2]}, py:eval("[asyncio.run(take_async(c)) for _ in range(2)]", #{c => Channel}, here())),
    ok = py_channel:close(Channel).

in_child() ->
    {ok, Channel} = py_channel:new(),
    ?assertEqual({ok, <<"['SendError', 'there is no connection to Erlang any more']">>},
                 call_with(in_child, [Channel])),
    ok = py_channel:close(Channel).

options() ->
    {ok, Channel} = py_channel:new(),
    ok = py_channel:send(Channel, <<255>>),
    ok = py_channel:send(Channel, null),
    ?assertEqual({ok, <<"[b'\\xff', None]">>},
                 py:eval(<<"repr(take(c, 2))">>, #{c => Channel}, (here())#{binaries => bytes, none => null})),
    {ok, [true, null]} = py:eval(<<"[c.send(None) is None, None]">>, #{c => Channel}, (here())#{none => null}),
    ?assertEqual({ok, null}, py_channel:recv(Channel)),
    ok = py_channel:send(Channel, <<255>>),
    ?assertMatch({ok, [<<"BadArg">>, <<"answer[0]: binary is not UTF-8", _/binary>>]},
                 py:eval(<<"tried(c.receive)">>, #{c => Channel}, here())),
    ok = py_channel:close(Channel).

%% An atom that means None in the messages does not hide what has become of the channel.
nones() ->
    [begin
         {ok, Channel} = py_channel:new(),
         Tried = fun(What) -> py:eval(What, #{c => Channel}, (here())#{none => None}) end,
         ?assertMatch({ok, [<<"TimeoutError">>, _]}, Tried(<<"tried(c.receive, 0.01)">>)),
         ?assertMatch({ok, [<<"ValueError">>, _]},
                      py:eval(<<"tried(c.send, 1)">>, #{c => Channel}, #{pool => {default, 2}, none => None})),
         ok = py_channel:close(Channel),
         ?assertEqual({ok, closed()}, Tried(<<"tried(c.receive)">>)),
         ?assertEqual({ok, broken()}, Tried(<<"tried(c.send, 1)">>)),
         {ok, None} = Tried(<<"c.close()">>)
     end || None <- [closed, timeout, elsewhere, error, ok]].

as_object() ->
    {{ok, One}, {ok, Other}} = {py_channel:new(), py_channel:new()},
    Code = <<"(a == a2, a == b, hash(a) == hash(a2), __import__('pickle').loads(__import__('pickle').dumps(a)) == a,"
             " isinstance(a, erlang.Channel), repr(a)[:16], type(a).__module__)">>,
    ?assertEqual({ok, {true, false, true, true, true, <<"<erlang.Channel ">>, <<"erlang">>}},
                 py:eval(Code, #{a => One, a2 => One, b => Other}, here())),
    [ok = py_channel:close(Channel) || Channel <- [One, Other]].

wrong() ->
    [?assertError(badarg, Wrong())
     || Wrong <- [fun() -> py_channel:new(#{size => 0}) end, fun() -> py_channel:new(#{sise => 1}) end,
                  fun() -> py_channel:new(7) end, fun() -> py_channel:send(self(), 1) end,
                  fun() -> py_channel:recv({py_channel, 1}) end, fun() -> py_channel:close(x) end,
                  fun() -> py_channel:recv(element(2, py_channel:new()), -1) end]],
    {ok, Channel} = py_channel:new(),
    {error, {'TypeError', <<"question[1]: cannot encode object", _/binary>>}} =
        py:eval(<<"c.send(object())">>, #{c => Channel}, here()),
    {error, {'AttributeError', _}} = py:eval(<<"setattr(c, 'x', 1)">>, #{c => Channel}, here()).

nothing_left() ->
    fixture:wait_until(fun() -> [] =:= servers() end).

servers() ->
    [Pid || Pid <- processes(), proc_lib:translate_initial_call(Pid) =:= {py_channel_server, init, 1}].
