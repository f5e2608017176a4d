#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Streams of a pool with threads: their steps run beside each other and beside calls, no
%% item is lost or comes twice, and each ends by itself.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(THREADS, 4).
-define(GRACE, 300).

main(_) ->
    Options = #{size => 1, threads => ?THREADS, interrupt_grace => ?GRACE, init => <<"import crew">>},
    tap:run(fixture:with_app(Options, [
        {"as many as there are threads wait for each other", fun overlap/0},
        {"all items, in order, whatever the chunks", fun all/0},
        {"steps run on threads, those of a context do not", fun which/0},
        {"calls go on, and the worker is idle", fun calls/0},
        {"more of them than threads, and calls", fun crowd/0},
        {"it makes no more than is wanted", fun credit/0},
        {"closed where it stands still, and where it runs", fun close/0},
        {"closed while it waits for a thread", fun close_waiting/0},
        {"late, before its first item and behind it", fun late/0},
        {"its consumer is gone", fun left/0},
        {"blocked in C: only that stream fails, and the worker is replaced", fun blocked/0},
        {"exceptions, and what is no iterator", fun exceptions/0},
        {"the program is killed", fun killed/0},
        {"calls of Erlang's functions, and who reads it", fun talk/0},
        {"a trace goes on in it, and in no other", fun trace/0},
        {"items that come as messages", fun push/0},
        {"items that are awaited", fun awaited/0},
        {"a child that is forked in a step", fun forked/0},
        {"a worker that is restarted, or whose pool stops", fun ends/0},
        {"one thread: nothing is different", fun one/0},
        {"random ends: no item is lost or comes twice", 60_000, fun random/0}
    ])).

stream(Function, Args) -> py:stream(crew, Function, Args).

open(Function, Args) -> open(Function, Args, #{}).
open(Function, Args, Options) -> {ok, Stream} = py:stream_open({crew, Function, Args}, Options), Stream.

rest(Stream) ->
    case py:stream_next(Stream) of
        {ok, Items} -> Items ++ rest(Stream);
        done -> []
    end.

%% The results of these funs, each of which runs in a process of its own.
at_once(Funs) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Fun()} end) || Fun <- Funs],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

worker() -> hd(fixture:workers()).

%% How streams have ended; `exec' runs on the main thread, so this waits for no other.
seen(What) ->
    Code = iolist_to_binary(io_lib:format("assert len(crew.seen) >= ~b", [length(What)])),
    fixture:wait_until(fun() -> py:exec(Code) =:= ok end),
    ok = py:unbind(),
    fixture:wait_until(fun() -> maps:get(in_flight, worker()) =:= 0 end),
    ?assertEqual({ok, What}, py:call(crew, take_seen, [])).

with_same_worker(Fun) ->
    Before = fixture:os_pids(),
    Fun(),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    ?assertEqual(Before, fixture:os_pids()).

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(p, Options#{size => 1, init => <<"import crew">>, python_path => [fixture:python_path()]}),
    Fun(#{pool => p}),
    ok = case py:stop_pool(p) of {error, {no_pool, p}} -> ok; Stopped -> Stopped end.

%% ---------------------------------------------------------------------------

overlap() ->
    Meet = fun() -> stream(meets, [5]) end,
    ?assertEqual(lists:duplicate(?THREADS, {ok, lists:seq(0, 4)}), at_once(lists:duplicate(?THREADS, Meet))).

all() ->
    at_once([fun() -> ?assertEqual({ok, lists:seq(0, N - 1)}, py:stream(crew, items, [N | Slow], #{}, #{chunk => Chunk})) end
             || {N, Slow} <- [{3000, []}, {5, [0.01]}, {0, []}], Chunk <- [1, 7, 1000]]).

which() ->
    {ok, Names} = py:stream(crew, names, [100], #{}, #{chunk => 1}),
    ?assertEqual([], [Name || Name <- Names, nomatch =:= string:prefix(Name, "pyport-")]),
    {ok, C} = py_context:open(),
    ok = py:exec("import crew", #{}, #{context => C}),
    ?assertEqual({ok, [<<"MainThread">>]}, py:stream_eval("crew.names(1)", #{}, #{context => C})),
    ok = py_context:close(C).

calls() ->
    Self = self(),
    ok = py:register_function(hold, fun(N) -> Self ! {holds, self()}, receive go -> N end end),
    Holder = spawn_link(fun() -> Self ! {items, stream(asks_between, [<<"hold">>, 1])} end),
    Pid = receive {holds, P} -> P end,
    [?assertEqual({ok, 2}, py:eval("1 + 1")) || _ <- lists:seq(1, 10)],
    ?assertMatch(#{in_flight := 1, running := none}, worker()),
    Pid ! go,
    receive {items, Items} -> ?assertEqual({ok, [{0, Holder}]}, Items) end.

crowd() ->
    Items = fun() -> stream(items, [10, 0.002]) end,
    Call = fun() -> py:call(crew, nap, [0.002, 1]) end,
    ?assertEqual(lists:duplicate(12, {ok, lists:seq(0, 9)}) ++ lists:duplicate(30, {ok, 1}),
                 at_once(lists:duplicate(12, Items) ++ lists:duplicate(30, Call))).

credit() ->
    ok = py:exec("crew.made = 0"),
    ok = py:unbind(),
    Stream = open(items, [100_000], #{chunk => 10}),
    {ok, [0 | _]} = py:stream_next(Stream),
    {ok, none} = py:call(crew, nap, [0.02]),
    ?assertEqual({ok, 4 + 20}, py:eval("crew.made")),   % the first credit, and what is ahead
    ok = py:stream_close(Stream),
    seen([<<"GeneratorExit">>]).

%% ---------------------------------------------------------------------------

close() ->
    with_same_worker(fun() ->
        Parked = open(items, [1000], #{chunk => 1}),
        ok = py:stream_close(Parked),
        seen([<<"GeneratorExit">>]),
        Runs = open(loops, [], #{chunk => 1}),
        {ok, [0]} = py:stream_next(Runs),
        ok = py:stream_close(Runs),
        ?assertEqual({ok, 2}, py:eval("1 + 1")),
        seen([<<"Cancelled">>]),
        ?assertEqual({error, closed}, py:stream_next(Runs))
    end).

%% It is no thread that does not stop.
close_waiting() ->
    with_same_worker(fun() ->
        Parked = open(items, [1000], #{chunk => 1}),
        {ok, [0]} = py:stream_next(Parked),
        Refs = [py:spawn_call(crew, nap, [0.5 + 0.1 + 2 * ?GRACE / 1000]) || _ <- lists:seq(1, ?THREADS)],
        fixture:wait_until(fun() -> maps:get(threads, worker()) =:= ?THREADS end),
        ok = py:stream_close(Parked),
        ?assertEqual([{ok, none} || _ <- Refs], [py:await(Ref) || Ref <- Refs]),
        seen([<<"GeneratorExit">>])
    end).

late() ->
    with_same_worker(fun() ->
        ?assertEqual({error, timeout}, py:stream(crew, items, [1, 0.2], #{}, #{timeout => 50})),
        seen([<<"Cancelled">>]),
        Slow = open(loops, [], #{timeout => 100, chunk => 1}),
        {ok, [0]} = py:stream_next(Slow),
        ?assertEqual({error, timeout}, py:stream_next(Slow)),
        seen([<<"Cancelled">>])
    end).

left() ->
    with_same_worker(fun() ->
        {Pid, Monitor} = spawn_monitor(fun() -> {ok, _} = py:stream_next(open(loops, [], #{chunk => 1})), exit(bye) end),
        receive {'DOWN', Monitor, process, Pid, Why} -> ?assertEqual(bye, Why) end,
        seen([<<"Cancelled">>])
    end).

blocked() ->
    [OsPid] = fixture:os_pids(),
    Long = py:spawn_call(crew, nap, [1.2, long]),
    Other = open(items, [15, 0.02], #{chunk => 1}),
    Stream = open(blocks, [30], #{timeout => 100, chunk => 1}),
    {ok, [0]} = py:stream_next(Stream),
    ?assertEqual({error, timeout}, py:stream_next(Stream)),
    fixture:wait_until(fun() -> fixture:os_pids() =/= [OsPid] end),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    ?assertEqual(lists:seq(0, 14), rest(Other)),
    ?assertEqual({ok, long}, py:await(Long)),
    fixture:wait_until(fun() -> not fixture:is_running(OsPid) end).

exceptions() ->
    Fails = open(fails, [], #{chunk => 1}),
    ?assertEqual({ok, [0]}, py:stream_next(Fails)),
    ?assertEqual({error, {'SystemExit', <<"4">>}}, py:stream_next(Fails)),
    ?assertMatch({error, {'TypeError', _}}, py:stream_eval("1")),
    ?assertMatch({error, {'ZeroDivisionError', _}}, py:stream_eval("1/0")),
    ?assertMatch({error, {'TypeError', <<"item: cannot encode object", _/binary>>}}, py:stream_eval("[object()]")),
    ?assertMatch(#{in_flight := 0, streams := 0}, worker()).

killed() ->
    Streams = [open(items, [100, 0.02]) || _ <- lists:seq(1, 6)],
    [OsPid] = fixture:os_pids(),
    _ = fixture:kill("KILL", OsPid),
    [?assertEqual({error, {worker_exit, {signal, sigkill}}}, fails(Stream)) || Stream <- Streams],
    ?assertEqual({ok, [0, 1]}, stream(items, [2])).

fails(Stream) ->
    case py:stream_next(Stream) of {ok, _} -> fails(Stream); Failed -> Failed end.

%% ---------------------------------------------------------------------------
%% What runs there may do what others may

talk() ->
    ok = py:register_function(twice, fun(N) -> {ok, M} = py:eval("2 * n", #{n => N}), M end),
    ?assertEqual({ok, [{2 * N, self()} || N <- lists:seq(0, 9)]}, stream(asks_between, [<<"twice">>, 10])),
    ok = py:unregister_function(twice).

trace() ->
    Parents = [iolist_to_binary(io_lib:format("00-~32.16.0b-~16.16.0b-01", [N, N])) || N <- lists:seq(1, 6)],
    Traces = at_once([fun() -> py:stream(crew, traced, [50], #{}, #{traceparent => Parent, chunk => 2}) end || Parent <- Parents]),
    ?assertEqual([{ok, lists:duplicate(50, Parent)} || Parent <- Parents], Traces),
    ?assertEqual({ok, [none]}, stream(traced, [1])).

push() ->
    Streams = [open(items, [3, 0.01], #{deliver => message}) || _ <- lists:seq(1, 6)],
    [?assertEqual([{data, 0}, {data, 1}, {data, 2}, done], [message(Stream) || _ <- lists:seq(1, 4)]) || Stream <- Streams].

message(Stream) ->
    receive {py_stream, Stream, What} -> is_tuple(What) andalso py:stream_ack(Stream), What end.

awaited() ->
    ?assertEqual([{ok, lists:seq(0, 49)} || _ <- lists:seq(1, 6)],
                 at_once([fun() -> stream(awaited_items, [50]) end || _ <- lists:seq(1, 6)])),
    ?assertMatch(#{threads := 0, awaited := 0}, worker()).

forked() ->
    {ok, [Pid, Status, Pid]} = py:stream(crew, forks_between, [], #{}, #{chunk => 1}),
    ?assertEqual(0, Status),
    ?assertEqual({ok, [0, 1]}, stream(items, [2])).

%% ---------------------------------------------------------------------------

ends() ->
    with_pool(#{threads => 2, drain => 30_000}, fun(P) ->
        Streams = [open(items, [20, 0.01], P) || _ <- lists:seq(1, 4)],
        ok = py:restart_workers(p),
        [?assertEqual(lists:seq(0, 19), rest(Stream)) || Stream <- Streams]
    end),
    with_pool(#{threads => 2, drain => 50}, fun(P) ->
        Stream = open(loops, [], P#{chunk => 1}),
        {ok, [0]} = py:stream_next(Stream),
        ok = py:stop_pool(p),
        ?assertMatch({error, _}, py:stream_next(Stream))
    end).

one() ->
    with_pool(#{}, fun(P) ->
        ?assertEqual({ok, [<<"MainThread">>]}, py:stream(crew, names, [1], #{}, P))
    end).

random() ->
    at_once([fun() -> some(20) end || _ <- lists:seq(1, 20)]),
    fixture:wait_until(fun() -> maps:get(in_flight, worker()) =:= 0 end),
    ?assertMatch(#{streams := 0, awaited := 0, threads := 0}, worker()).

some(0) -> ok;
some(Left) ->
    N = rand:uniform(60),
    Wait = lists:nth(rand:uniform(3), [0, 0.001, 0.002]),
    Stream = open(items, [N, Wait], #{chunk => rand:uniform(20)}),
    case rand:uniform(4) of
        1 -> ok = py:stream_close(Stream);
        2 -> {ok, [0 | _]} = py:stream_next(Stream), ok = py:stream_close(Stream);
        3 -> ?assertEqual({ok, N}, py:call(crew, nap, [Wait, N])), ok = py:stream_close(Stream);
        4 -> ?assertEqual(lists:seq(0, N - 1), rest(Stream))
    end,
    some(Left - 1).
