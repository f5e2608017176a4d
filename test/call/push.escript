#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Streams whose items come as messages: all of them, in order, few of them ahead
%% of what was acknowledged, and none behind the end.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").
-include("../../erl/include/py.hrl").

-define(SETUP, <<"
import os, time
open_now = set()
def items(name, n, pause=0):
    open_now.add(name)
    try:
        for i in range(n):
            if pause: time.sleep(pause)
            yield i
    finally:
        open_now.discard(name)
def failing(n):
    yield from range(n)
    raise LookupError('no more')
def tired(n):
    yield from range(n)
    time.sleep(60)
def dying(n):
    yield from range(n)
    os._exit(3)
">>).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, init => ?SETUP}, [
        [{["all items, ", What], fun() -> all(N, Options) end} || {What, N, Options} <- lengths()],
        {"values of all kinds", fun values/0},
        {"an exception is the end, behind the items", fun raises/0},
        {"what cannot be opened is an error at once", fun not_opened/0},
        {"who acknowledges nothing gets two chunks at most", fun bounded/0},
        {"large items are bounded by their size", fun large/0},
        {"one chunk more for each that is acknowledged", fun credit/0},
        {"too much acknowledged gives no more", fun too_much/0},
        {"items arrive as they are made", fun slow/0},
        {"too long without an item", fun time_limit/0},
        {"closed, none of its messages stays, and all others do", fun closed/0},
        {"closed after its end, unread", fun closed_late/0},
        {"closed by another process", fun closed_by_another/0},
        {"the owner's death closes the generator", fun owner_dies/0},
        {"a worker's death is told", fun worker_dies/0},
        {"a worker's death is told even to who acknowledges nothing", fun worker_dies_unread/0},
        {"a bound owner is told of a worker's death once", fun told_once/0},
        {"a bound owner is told of a time limit, and not of the death that comes of it", 60_000, fun told_late/0},
        {"a bound owner's call that runs then is told, too", fun told_running/0},
        {"nothing is kept of owners that are gone", fun told_the_dead/0},
        {"an item that cannot be decoded ends the stream", fun unknown_atom/0},
        {"two at once are kept apart", fun two/0},
        {"a context's names", fun context/0},
        {"wrong use", fun wrong/0},
        {"nothing is left of them", fun nothing_left/0}
    ])).

open(Source, Options) ->
    py:stream_open(Source, Options#{deliver => message}).

%% What is read until the end; each item is acknowledged when it is there.
read(Stream) ->
    read(Stream, []).

read(Stream, Items) ->
    receive
        {py_stream, Stream, {data, Item}} ->
            ok = py:stream_ack(Stream),
            read(Stream, [Item | Items]);
        {py_stream, Stream, End} ->
            {lists:reverse(Items), End}
    after 30_000 -> error({nothing_came, length(Items)})
    end.

lengths() ->
    [{"none", 0, #{}}, {"one", 1, #{}}, {"as many as the first credit", 4, #{}},
     {"some chunks", 4_321, #{}}, {"chunks of one", 50, #{chunk => 1}},
     {"many", 100_000, #{chunk => 500}}].

all(N, Options) ->
    {ok, Stream} = open({builtins, range, [N]}, Options),
    {Items, done} = read(Stream),
    ?assert(Items =:= lists:seq(0, N - 1)).

values() ->
    Values = [1.5, <<"é"/utf8>>, none, #{<<"a">> => [1, {2}]}, self(), binary:copy(<<"x">>, 200_000)],
    {ok, Stream} = open({eval, <<"iter(xs)">>, #{xs => Values}}, #{}),
    ?assertEqual({Values, done}, read(Stream)).

raises() ->
    [begin
         {ok, Stream} = open({'__main__', failing, [N]}, #{}),
         ?assertEqual({lists:seq(0, N - 1), {error, {'LookupError', <<"no more">>}}}, read(Stream))
     end || N <- [1, 5, 3_000]].

not_opened() ->
    ?assertMatch({error, {'LookupError', _}}, open({'__main__', failing, [0]}, #{})),
    ?assertMatch({error, {'TypeError', _}}, open(<<"42">>, #{})),
    ?assertMatch({error, {no_pool, nowhere}}, open(<<"range(3)">>, #{pool => nowhere})).

%% The messages that have come when no more come.
unread() ->
    {messages, Messages} = process_info(self(), messages),
    timer:sleep(100),
    case process_info(self(), messages) of
        {messages, Messages} when Messages =/= [] -> Messages;
        _ -> unread()
    end.

bounded() ->
    {ok, Stream} = open({itertools, count, []}, #{chunk => 10}),
    N = length(unread()),
    ?assert(N > 0 andalso N =< 20),
    ok = py:stream_close(Stream).

%% A chunk has 64 KiB, or one item that is larger.
large() ->
    {ok, Stream} = open(<<"('x' * 50_000 for i in range(10_000))">>, #{}),
    Bytes = lists:sum([byte_size(X) || {py_stream, _, {data, X}} <- unread()]),
    ?assert(Bytes =< 2 * (65_536 + 50_000)),
    ok = py:stream_close(Stream).

credit() ->
    {ok, Stream} = open({itertools, count, []}, #{chunk => 10}),
    _ = unread(),
    [begin
         ok = take(10, Stream),
         N = length(unread()),
         ?assert(N > 0 andalso N =< 20)
     end || _ <- lists:seq(1, 5)],
    ok = py:stream_close(Stream).

take(0, _) -> ok;
take(N, Stream) ->
    receive {py_stream, Stream, {data, _}} -> py:stream_ack(Stream) end,
    take(N - 1, Stream).

too_much() ->
    {ok, Stream} = open({itertools, count, []}, #{chunk => 10}),
    _ = unread(),
    ok = py:stream_ack(Stream, 1_000_000),
    ?assert(length(unread()) =< 40),
    ok = py:stream_close(Stream).

slow() ->
    {ok, Stream} = open({'__main__', items, [<<"slow">>, 1_000, 0.05]}, #{}),
    [receive {py_stream, Stream, {data, N}} -> ok end || N <- [0, 1, 2]],
    ok = py:stream_close(Stream),
    is_closed(<<"slow">>).

is_closed(Name) ->
    fixture:wait_until(fun() -> py:eval(<<"n in open_now">>, #{n => Name}) =:= {ok, false} end).

time_limit() ->
    {ok, Late} = open(<<"(i if i < 4 else __import__('time').sleep(60) for i in range(9))">>,
                      #{timeout => 300}),
    ?assertEqual({[0, 1, 2, 3], {error, timeout}}, read(Late)).

closed() ->
    {ok, One} = open({'__main__', items, [<<"one">>, 1_000_000]}, #{chunk => 100}),
    {ok, Other} = open({'__main__', items, [<<"other">>, 3]}, #{}),
    self() ! mine,
    _ = unread(),
    ok = py:stream_close(One),
    is_closed(<<"one">>),
    ?assertEqual({[0, 1, 2], done}, read(Other)),
    receive mine -> ok after 0 -> error(lost) end,
    ?assertEqual({messages, []}, process_info(self(), messages)),
    ok = py:stream_close(One),
    ok = py:stream_ack(One).

closed_late() ->
    {ok, Stream} = open({builtins, range, [3]}, #{}),
    fixture:wait_until(fun() -> {message_queue_len, 4} =:= process_info(self(), message_queue_len) end),
    ok = py:stream_close(Stream).

closed_by_another() ->
    {ok, Stream} = open({'__main__', items, [<<"another">>, 1_000_000]}, #{}),
    {_, Monitor} = spawn_monitor(fun() -> ok = py:stream_close(Stream) end),
    receive {'DOWN', Monitor, process, _, normal} -> ok end,
    {_, {error, closed}} = read(Stream),
    is_closed(<<"another">>).

owner_dies() ->
    Owner = spawn(fun() ->
        {ok, _} = open({'__main__', items, [<<"orphan">>, 1_000_000]}, #{}),
        receive after infinity -> ok end
    end),
    fixture:wait_until(fun() -> py:eval(<<"'orphan' in open_now">>) =:= {ok, true} end),
    exit(Owner, kill),
    is_closed(<<"orphan">>).

worker_dies() ->
    {ok, Stream} = open({'__main__', dying, [2_000]}, #{}),
    {_, {error, {worker_exit, {status, 3}}}} = read(Stream).

told_once() ->
    ok = py:exec(<<"mine = 1">>),
    {ok, Stream} = open({'__main__', dying, [2_000]}, #{}),
    {_, {error, {worker_exit, {status, 3}}}} = read(Stream),
    live_again(),
    ?assertEqual({ok, 1}, py:eval(<<"1">>)),
    %% It is not bound any more, and hears of the next death.
    ?assertMatch({error, {'NameError', _}}, py:eval(<<"mine">>)),
    ok = py:exec(<<"mine = 2">>),
    kill_worker(),
    ?assertMatch({error, {worker_exit, {signal, sigkill}}}, py:eval(<<"mine">>)),
    live_again().

told_late() ->
    {ok, _} = py:start_pool(other, #{size => 1, interrupt_grace => 50, close_grace => 50,
                                     python_path => fixture:python_path(), init => <<"import wedge">>}),
    In = #{pool => other},
    Deaf = <<"def deaf():\n    yield from range(4)\n    wedge.deaf()">>,
    ok = py:exec(Deaf, In),
    {ok, Stream} = py:stream_open({'__main__', deaf, []}, In#{deliver => message, timeout => 100}),
    ?assertEqual({[0, 1, 2, 3], {error, timeout}}, read(Stream)),
    fixture:wait_until(fun() -> [] =/= [1 || #{restarts := 1, state := idle} <- fixture:workers(other)] end),
    ?assertEqual({ok, 1}, py:eval(<<"1">>, #{}, In)),
    ok = py:stop_pool(other).

told_running() ->
    ok = py:exec(<<"import time">>),
    {ok, Stream} = open({'__main__', dying, [2_000]}, #{}),
    {_, {error, {worker_exit, _}}} = read(Stream),
    live_again(),
    ok = py:exec(<<"import time">>),
    {ok, Numbers} = py:stream_open({itertools, count, []}, #{deliver => message}),
    Self = self(),
    spawn_link(fun() ->
        fixture:wait_until(fun() -> [1 || #{running := {time, sleep, 1}} <- fixture:workers()] =/= [] end),
        kill_worker(),
        Self ! killed
    end),
    ?assertEqual({error, {worker_exit, {signal, sigkill}}}, py:call(time, sleep, [30])),
    receive killed -> ok end,
    ok = py:stream_close(Numbers),
    live_again().

%% The worker heeds the time limits, and lives on.
told_the_dead() ->
    {ok, Pool} = py_pool_board:find(default),
    [{_, Worker, _}] = py_pool_board:workers(Pool),
    Rows = fun() -> length(ets:match(Pool#pool.table, {{told, Worker, '_'}, '_'})) end,
    Late = fun(Before) ->
        {_, Ref} = spawn_monitor(fun() ->
            ok = Before(),
            {ok, Stream} = open({'__main__', tired, [4]}, #{timeout => 100}),
            ?assertEqual({[0, 1, 2, 3], {error, timeout}}, read(Stream))
        end),
        receive {'DOWN', Ref, process, _, Why} -> ?assertEqual(normal, Why) end
    end,
    Had = Rows(),
    [Late(fun() -> ok end) || _ <- lists:seq(1, 5)],
    ?assertEqual(Had, Rows()),
    [Late(fun() -> py:exec(<<"bound = True">>) end) || _ <- lists:seq(1, 5)],
    ?assertEqual(1, Rows()).

kill_worker() ->
    [OsPid] = fixture:os_pids(),
    fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> fixture:os_pids() =/= [OsPid] end).

live_again() ->
    fixture:wait_until(fun() -> [] =/= [1 || #{state := idle} <- fixture:workers()] end).

%% What was here already comes first.
worker_dies_unread() ->
    {ok, Stream} = open({'__main__', items, [<<"unread">>, 1_000_000]}, #{chunk => 10}),
    _ = unread(),
    [#{pid := Worker, os_pid := OsPid}] = fixture:workers(),
    _ = fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() -> not is_process_alive(Worker) end),
    {Items, {error, {worker_exit, {signal, sigkill}}}} = read(Stream),
    ?assertEqual(lists:seq(0, length(Items) - 1), Items),
    ?assert(length(Items) =< 40).

unknown_atom() ->
    Code = <<"(i if i < 9 else __import__('erlang').Atom('never' + '_such_an_atom') for i in range(99999))">>,
    {ok, Stream} = open(Code, #{chunk => 5}),
    ?assertMatch({_, {error, {unknown_atom, <<"never_such_an_atom">>}}}, read(Stream)),
    fixture:wait_until(fun() -> [0] =:= [N || #{streams := N} <- fixture:workers()] end).

two() ->
    {ok, A} = open({builtins, range, [3_000]}, #{}),
    {ok, B} = open({builtins, range, [3_000, 6_000]}, #{}),
    ?assertEqual({lists:seq(3_000, 5_999), done}, read(B)),
    ?assertEqual({lists:seq(0, 2_999), done}, read(A)).

context() ->
    {ok, Context} = py_context:open(),
    ok = py:exec(<<"mine = [7, 8]">>, #{context => Context}),
    {ok, Stream} = open(<<"iter(mine)">>, #{context => Context}),
    ?assertEqual({[7, 8], done}, read(Stream)),
    ok = py_context:close(Context).

wrong() ->
    {ok, Stream} = open({builtins, range, [3]}, #{}),
    [?assertError(badarg, Wrong())
     || Wrong <- [fun() -> py:stream_next(Stream) end, fun() -> py:stream_ack(Stream, 0) end,
                  fun() -> py:stream_ack(Stream, many) end, fun() -> py:stream_ack(self()) end,
                  fun() -> py:stream_open(<<"[1]">>, #{deliver => messages}) end,
                  fun() -> py:stream_open(<<"[1]">>, [{deliver, true}]) end,
                  fun() -> py:eval(<<"1">>, #{}, #{deliver => message}) end,
                  fun() -> py:stream_eval(<<"[1]">>, #{}, #{deliver => message}) end]],
    ok = py:stream_close(Stream),
    {ok, Pulled} = py:stream_open(<<"range(3)">>, #{deliver => pull}),
    ?assertError(badarg, py:stream_ack(Pulled)),
    ?assertEqual({ok, [0, 1, 2]}, py:stream_next(Pulled)),
    ok = py:stream_close(Pulled).

nothing_left() ->
    fixture:wait_until(fun() -> [0] =:= [N || #{streams := N} <- fixture:workers()] end),
    fixture:wait_until(fun() -> pushes() =:= [] end),
    ?assertEqual({ok, 0}, py:eval(<<"len(open_now)">>)).

pushes() ->
    [Pid || Pid <- processes(),
            proc_lib:translate_initial_call(Pid) =:= {py_stream_push, init, 1}].
