#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The program alone: coroutines that are awaited beside jobs.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(CODE, <<"import asyncio, erlang, time\n"
                "async def nap(seconds, value=None):\n"
                "    await asyncio.sleep(seconds)\n"
                "    return value\n"
                "async def loud():\n"
                "    print('awaited')\n"
                "async def deaf(seconds):\n"
                "    try:\n"
                "        await asyncio.sleep(60)\n"
                "    except asyncio.CancelledError:\n"
                "        await asyncio.sleep(seconds)\n"
                "    return 'at last'\n"
                "async def items(n, seconds=0):\n"
                "    try:\n"
                "        for i in range(n):\n"
                "            yield i\n"
                "            await asyncio.sleep(seconds)\n"
                "    finally:\n"
                "        print('over')\n">>).

main(_) ->
    tap:run([
        {"without --concurrency a coroutine is no value", fun off/0},
        {"awaiting, the next job, the reply", fun beside/0},
        {"what is printed, and what it has cost, comes ahead of the reply", fun ahead/0},
        {"cancelled: it is told, then it ends", fun cancel/0},
        {"cancelled: it is told, and goes on", fun cancel_deaf/0},
        {"cancelled behind a job, before it is awaited", fun cancel_early/0},
        {"a cancel of what is over", fun cancel_late/0},
        {"no more than so many at a time", fun bound/0},
        {"a loop that is held up is not told", fun blocked/0},
        {"a user stops the loop, which goes on", fun stopped/0},
        {"a stream: awaiting, chunks, the end", fun stream/0},
        {"a stream has as many items as it has credit for", fun credit/0},
        {"control that comes before a stream is open", fun stream_early/0},
        {"a stream is stopped: it is told, then it ends", fun stop/0},
        {"a stream is stopped and cancelled, in either order", fun stop_and_cancel/0},
        {"only a stream is stopped", fun stop_none/0},
        {"two streams and a job, side by side", fun streams_beside/0},
        {"quit: streams end", fun quit_streams/0},
        {"quit: what is awaited is cancelled, and answered", fun quit/0},
        {"the input ends: it does so, too", fun ends/0},
        {"the input ends while the loop is held up", fun ends_blocked/0},
        {"a worker without coroutines imports no asyncio", fun no_imports/0}
    ]).

open() -> open(10).

open(N) ->
    Port = raw:open(["--concurrency", integer_to_list(N)]),
    ok = raw:ask(Port, {exec, ?CODE}),
    Port.

call(Function, Args) -> {call, '__main__', Function, Args, #{}}.

recv(Port, N) -> [raw:recv(Port) || _ <- lists:seq(1, N)].

off() ->
    Port = raw:open(),
    ok = raw:ask(Port, {exec, ?CODE}),
    {error, {'TypeError', Text}} = raw:ask(Port, call(nap, [0])),
    ?assert(fixture:contains(Text, "it has to be awaited")),
    ?assertMatch({error, {'SyntaxError', _}}, raw:ask(Port, {exec, <<"await nap(0)">>})),
    raw:close(Port).

beside() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [0.2, one])}),
    raw:send(Port, {2, {eval, <<"2">>, #{}}}),
    ?assertEqual([{1, awaiting}, {2, {ok, 2}}, {1, {ok, one}}], recv(Port, 3)),
    raw:send(Port, {3, {eval, <<"nap(0, object())">>, #{}}}),
    {3, awaiting} = raw:recv(Port),
    ?assertMatch({3, {error, {'TypeError', <<"result: cannot encode", _/binary>>}}}, raw:recv(Port)),
    raw:send(Port, {4, {exec, <<"x = await nap(0.1, 5)">>}}),
    ?assertEqual([{4, awaiting}, {4, ok}], recv(Port, 2)),
    ?assertEqual({ok, 5}, raw:ask(Port, {eval, <<"x">>, #{}})),
    raw:close(Port).

ahead() ->
    Port = open(),
    raw:send(Port, {1, call(loud, []), #{capture => true, bill => true}}),
    ?assertMatch([{1, awaiting}, {1, {output, <<"awaited\n">>}}, {1, {bill, #{time := _, gc_runs := 0}}},
                  {1, {ok, none}}], recv(Port, 4)),
    raw:send(Port, {2, {eval, <<"print('later')">>, #{}}, #{capture => true}}),
    ?assertEqual([{2, {output, <<"later\n">>}}, {2, {ok, none}}], recv(Port, 2)),
    raw:close(Port).

cancel() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [60])}),
    {1, awaiting} = raw:recv(Port),
    raw:send(Port, {cancel, 1}),
    ?assertEqual([{1, awaiting}, {1, {error, cancelled}}], recv(Port, 2)),
    raw:close(Port).

cancel_deaf() ->
    Port = open(),
    raw:send(Port, {1, call(deaf, [0.3])}),
    {1, awaiting} = raw:recv(Port),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.1)">>}),
    [raw:send(Port, {cancel, 1}) || _ <- [1, 2]],
    ?assertEqual([{1, awaiting}, {1, {ok, <<"at last">>}}], recv(Port, 2)),
    raw:close(Port).

%% The first job keeps the second one from starting.
cancel_early() ->
    Port = open(),
    raw:send(Port, {1, {exec, <<"time.sleep(0.2)">>}}),
    raw:send(Port, {2, call(nap, [60])}),
    raw:send(Port, {cancel, 2}),
    ?assertEqual([{1, ok}, {2, {error, cancelled}}], lists:sort(recv(Port, 2))),
    raw:close(Port).

cancel_late() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [0, one])}),
    ?assertEqual([{1, awaiting}, {1, {ok, one}}], recv(Port, 2)),
    raw:send(Port, {cancel, 1}),
    raw:send(Port, {1, call(nap, [0.1, again])}),
    ?assertEqual([{1, awaiting}, {1, {ok, again}}], recv(Port, 2)),
    raw:close(Port).

%% The third one is cancelled while it waits for its turn.
bound() ->
    Port = open(1),
    [raw:send(Port, {N, call(nap, [0.2, N])}) || N <- [1, 2, 3]],
    ?assertEqual([{N, awaiting} || N <- [1, 2, 3]], recv(Port, 3)),
    raw:send(Port, {cancel, 3}),
    ?assertEqual([{3, awaiting}, {3, {error, cancelled}}, {1, {ok, 1}}, {2, {ok, 2}}], recv(Port, 4)),
    raw:close(Port).

blocked() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [60])}),
    {1, awaiting} = raw:recv(Port),
    ok = raw:ask(Port, {exec, <<"async def hold():\n    time.sleep(0.5)\n">>}),
    raw:send(Port, {2, call(hold, [])}),
    {2, awaiting} = raw:recv(Port),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.1)">>}),
    raw:send(Port, {cancel, 1}),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.1)">>}),
    ?assertEqual([{1, awaiting}, {1, {error, cancelled}}, {2, {ok, none}}], lists:sort(recv(Port, 3))),
    raw:close(Port).

stopped() ->
    Port = open(),
    ok = raw:ask(Port, {exec, <<"async def stop():\n    asyncio.get_running_loop().stop()\n    return 1\n">>}),
    raw:send(Port, {1, call(stop, [])}),
    ?assertEqual([{1, awaiting}, {1, {ok, 1}}], recv(Port, 2)),
    raw:send(Port, {2, call(nap, [0, 2])}),
    ?assertEqual([{2, awaiting}, {2, {ok, 2}}], recv(Port, 2)),
    raw:close(Port).

send_stream(Port, Id, Args, Options) -> raw:send(Port, {Id, {stream, call(items, Args)}, Options}).

stream() ->
    Port = open(),
    send_stream(Port, 1, [3], #{chunk => 2}),
    ?assertEqual({1, awaiting}, raw:recv(Port)),
    ?assertEqual([0, 1, 2], items_until(Port, 1, ok)),
    raw:send(Port, {2, {stream, call(nap, [0, 5])}}),
    ?assertMatch([{2, awaiting}, {2, {error, {'TypeError', _}}}], recv(Port, 2)),
    raw:send(Port, {3, {stream, call(nap, [0, [1, 2]])}}),
    ?assertEqual([{3, awaiting}, {3, {chunk, [1, 2]}}, {3, ok}], recv(Port, 3)),
    raw:close(Port).

%% The items of all chunks before this end.
items_until(Port, Id, End) ->
    case raw:recv(Port) of
        {Id, {chunk, Items}} -> Items ++ items_until(Port, Id, End);
        {Id, End} -> []
    end.

credit() ->
    Port = open(),
    send_stream(Port, 1, [5], #{chunk => 1, credit => 0}),
    {1, awaiting} = raw:recv(Port),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.02)">>}),
    raw:send(Port, {more, 1, 2}),
    ?assertEqual([{1, {chunk, [0]}}, {1, {chunk, [1]}}], recv(Port, 2)),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.02)">>}),
    raw:send(Port, {more, 1, 1}),
    ?assertEqual({1, {chunk, [2]}}, raw:recv(Port)),
    raw:send(Port, {more, 1, 10}),
    ?assertEqual([3, 4], items_until(Port, 1, ok)),
    raw:close(Port).

%% The first job keeps the stream from being opened.
stream_early() ->
    Port = open(),
    raw:send(Port, {1, {exec, <<"time.sleep(0.1)">>}}),
    send_stream(Port, 2, [5, 60], #{chunk => 1, credit => 0}),
    raw:send(Port, {more, 2, 1}),
    ?assertEqual([{1, ok}, {2, awaiting}, {2, {chunk, [0]}}], recv(Port, 3)),
    raw:send(Port, {3, {exec, <<"time.sleep(0.1)">>}}),
    send_stream(Port, 4, [5, 60], #{chunk => 1, credit => 0}),
    raw:send(Port, {stop, 4}),
    ?assertEqual([{3, ok}, {4, awaiting}, {4, awaiting}, {4, ok}], recv(Port, 4)),
    raw:close(Port).

stop() ->
    Port = open(),
    [begin
         send_stream(Port, Id, [5, 60], #{chunk => 1, credit => Credit}),
         ?assertEqual([{Id, awaiting}, {Id, {chunk, [0]}}], recv(Port, 2)),
         raw:send(Port, {stop, Id}),
         ?assertEqual([{Id, awaiting}, {Id, ok}], recv(Port, 2))
     end || {Id, Credit} <- [{1, 1}, {2, 5}, {1, 5}]],
    raw:close(Port).

stop_and_cancel() ->
    Port = open(),
    ok = raw:ask(Port, {exec, <<"async def hold():\n    time.sleep(0.3)\n">>}),
    [begin
         send_stream(Port, 1, [5, 60], #{chunk => 1, credit => 1}),
         ?assertEqual([{1, awaiting}, {1, {chunk, [0]}}], recv(Port, 2)),
         raw:send(Port, {2, call(hold, [])}),
         ?assertEqual({2, awaiting}, raw:recv(Port)),
         [raw:send(Port, {Control, 1}) || Control <- Controls],
         ?assertEqual([{1, awaiting}, {1, {error, cancelled}}, {2, {ok, none}}], lists:sort(recv(Port, 3)))
     end || Controls <- [[stop, cancel], [cancel, stop]]],
    raw:close(Port).

stop_none() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [0.1, one])}),
    {1, awaiting} = raw:recv(Port),
    [raw:send(Port, Control) || Control <- [{stop, 1}, {more, 1, 5}, {stop, 9}, {more, 9, 5}]],
    ?assertEqual({1, {ok, one}}, raw:recv(Port)),
    raw:close(Port).

streams_beside() ->
    Port = open(),
    [send_stream(Port, Id, [2, 60], #{}) || Id <- [1, 2]],
    raw:send(Port, {3, {eval, <<"3">>, #{}}}),
    ?assertEqual([{1, awaiting}, {1, {chunk, [0]}}, {2, awaiting}, {2, {chunk, [0]}}, {3, {ok, 3}}],
                 lists:sort(recv(Port, 5))),
    raw:close(Port).

quit_streams() ->
    Port = open(),
    send_stream(Port, 1, [2, 60], #{}),
    send_stream(Port, 2, [2, 60], #{credit => 0}),
    ?assertEqual([{1, awaiting}, {1, {chunk, [0]}}, {2, awaiting}], lists:sort(recv(Port, 3))),
    true = port_command(Port, term_to_binary(quit)),
    ?assertEqual([{1, {error, cancelled}}, {2, {error, cancelled}}], lists:sort(recv(Port, 2))),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

quit() ->
    Port = open(),
    [raw:send(Port, {N, call(nap, [60])}) || N <- [1, 2]],
    ?assertEqual([{N, awaiting} || N <- [1, 2]], recv(Port, 2)),
    true = port_command(Port, term_to_binary(quit)),
    ?assertEqual([{1, {error, cancelled}}, {2, {error, cancelled}}], lists:sort(recv(Port, 2))),
    ?assertEqual({exit_status, 0}, raw:recv(Port)).

ends() ->
    Port = open(),
    raw:send(Port, {1, call(nap, [60])}),
    {1, awaiting} = raw:recv(Port),
    {Ms, ok} = figure:within(1000, fun() -> raw:close(Port) end),
    tap:note("gone after ~.1f ms", [Ms]).

ends_blocked() ->
    Port = open(),
    ok = raw:ask(Port, {exec, <<"async def hold():\n    time.sleep(60)\n">>}),
    raw:send(Port, {1, call(hold, [])}),
    {1, awaiting} = raw:recv(Port),
    ok = raw:ask(Port, {exec, <<"time.sleep(0.1)">>}),
    {_, ok} = figure:within(1500, fun() -> raw:close(Port) end).

no_imports() ->
    Port = raw:open(["--concurrency", "10"]),
    ok = raw:ask(Port, {exec, <<"import sys">>}),
    ?assertEqual({ok, []}, raw:ask(Port, {eval, <<"[m for m in ('asyncio', 'erlang._aio') "
                                                  "if m in sys.modules]">>, #{}})),
    raw:close(Port).
