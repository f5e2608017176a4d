#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% Streams whose items are awaited: they run beside each other and beside calls, none is
%% lost or comes twice, and each ends by itself.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(GRACE, 300).

main(_) ->
    tap:run(fixture:with_app(#{size => 1, interrupt_grace => ?GRACE, init => <<"import waits">>}, [
        {"two wait for each other", fun two/0},
        {"a hundred wait for each other", fun hundred/0},
        {"calls go on, and the worker is idle", fun calls/0},
        {"an item is not held back while the next one waits", fun at_once/0},
        {"all items, in order, whatever the chunks", fun all/0},
        {"it makes no more than is wanted", fun credit/0},
        {"one that never waits lets others go on", fun busy/0},
        {"a step is one task's, and keeps its variables", fun one_task/0},
        {"an item that has no term, behind those before it", fun no_term/0},
        {"items that do not fit in a frame together", fun large/0},
        {"what is awaited first holds up nobody", fun source/0},
        {"sources that are more than one thing", fun odd_sources/0},
        {"closed where it stands still, and where it waits", fun close/0},
        {"closed, late, left, while a call runs", fun beside_call/0},
        {"a call that is interrupted leaves it alone", fun call_interrupted/0},
        {"code that does not heed the end costs no worker", fun dodge/0},
        {"it holds up the loop: the worker is replaced, and says where", fun blocked/0},
        {"the worker dies", fun dies/0},
        {"items that come as messages", fun push/0},
        {"in a context", fun context/0},
        {"who reads it, and calls of Erlang", fun self_and_call/0},
        {"what it calls uses its worker, even for such a stream", fun within_call/0},
        {"a trace goes on in it, and in no other", fun trace/0},
        {"a child that it has forked answers nothing", fun fork/0},
        {"an object that is kept is not closed", fun kept/0},
        {"it counts while its items are wanted, and not else", fun concurrency/0},
        {"as many as may be, and one waits", fun bound/0},
        {"a restart waits for it, the end of a pool does not", fun restart/0},
        {"a recycled worker has time for it", fun recycled/0},
        {"random ends: no item is lost or comes twice", 60_000, fun random/0}
    ])).

stream(Function, Args) -> py:stream(waits, Function, Args).

open(Function, Args) -> open(Function, Args, #{}).
open(Function, Args, Options) -> {ok, Stream} = py:stream_open({waits, Function, Args}, Options), Stream.

open_gate(Name) -> {ok, none} = py:call(waits, open_gate, [Name]), ok.

unique() -> erlang:unique_integer([positive]).

file() -> filename:join(fixture:tmpdir(), integer_to_list(unique())).

how(File) ->
    fixture:wait_until(fun() -> filelib:file_size(File) > 0 end),
    element(2, {ok, _} = file:read_file(File)).

%% The results of these funs, each of which runs in a process of its own.
at_once(Funs) ->
    Self = self(),
    Pids = [spawn_link(fun() -> Self ! {self(), Fun()} end) || Fun <- Funs],
    [receive {Pid, Result} -> Result end || Pid <- Pids].

worker() -> hd(fixture:workers()).

until_awaited(N) -> fixture:wait_until(fun() -> N =:= maps:get(awaited, worker()) end).

with_same_worker(Fun) ->
    Before = fixture:os_pids(),
    Fun(),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    until_awaited(0),
    ?assertEqual(Before, fixture:os_pids()).

%% ---------------------------------------------------------------------------

two() -> meeting(2, 20).

hundred() -> meeting(100, 5).

meeting(N, Times) ->
    Name = unique(),
    Meet = fun() -> stream(meet, [Name, N, Times]) end,
    ?assertEqual(lists:duplicate(N, {ok, lists:seq(0, Times - 1)}), at_once(lists:duplicate(N, Meet))).

calls() ->
    Name = unique(),
    Stream = open(gated, [Name, 3]),
    ?assertEqual({ok, [0]}, py:stream_next(Stream)),
    ?assertMatch(#{state := idle, running := none, streams := 1}, worker()),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    Ref = py:spawn_call(time, sleep, [0.1]),
    fixture:wait_until(fun() -> maps:get(state, worker()) =:= busy end),
    ?assertMatch(#{running := {time, sleep, 1}}, worker()),
    ?assertEqual({ok, none}, py:await(Ref)),
    open_gate(Name),
    ?assertEqual([1, 2], rest(Stream)).

rest(Stream) ->
    case py:stream_next(Stream) of
        {ok, Items} -> Items ++ rest(Stream);
        done -> []
    end.

at_once() ->
    Name = unique(),
    Stream = open(gated, [Name, 2], #{timeout => 5000}),
    ?assertEqual({ok, [0]}, py:stream_next(Stream)),
    open_gate(Name),
    ?assertEqual([1], rest(Stream)).

all() ->
    Streams = [{Function, Args, Chunk} || {Function, Args} <- [{bare, [3000]}, {items, [3000]}, {items, [5, none, 0.01]}],
                                          Chunk <- [1, 7, 1000]],
    at_once([fun() ->
                 ?assertEqual({ok, lists:seq(0, N - 1)}, py:stream(waits, F, Args, #{}, #{chunk => Chunk}))
             end || {F, [N | _] = Args, Chunk} <- Streams]).

credit() ->
    ok = py:exec("waits.made = 0"),
    Stream = open(bare, [100_000], #{chunk => 10}),
    {ok, [0 | _]} = py:stream_next(Stream),
    {ok, none} = py:call(waits, echo, [none, 0.01]),
    {ok, Made} = py:eval("waits.made"),
    ?assertEqual(4 + 20, Made),     % the first credit, and what is ahead
    ok = py:stream_close(Stream),
    py:unbind().

busy() ->
    Reader = spawn_link(fun Read() -> {ok, _} = stream(bare, [20_000]), Read() end),
    [?assertEqual({ok, N}, py:call(waits, echo, [N])) || N <- lists:seq(1, 20)],
    [?assertEqual({ok, N}, py:eval("n", #{n => N})) || N <- lists:seq(1, 20)],
    unlink(Reader),
    exit(Reader, kill).

one_task() ->
    {ok, [[1, Task], [2, Task], [3, Task]]} = stream(own_names, []),
    ?assertMatch({ok, [[1, _], [2, _], [3, _]]}, stream(own_names, [])).

no_term() ->
    Stream = open(odd_items, []),
    ?assertEqual({ok, [1]}, py:stream_next(Stream)),
    ?assertMatch({error, {'TypeError', <<"item: cannot encode object", _/binary>>}}, py:stream_next(Stream)),
    ?assertMatch({error, {'ValueError', <<"no more">>, #{frames := [#{function := <<"faulty">>}]}}},
                 py:stream(waits, faulty, [], #{}, #{traceback => true})).

large() ->
    {ok, _} = py:start_pool(narrow, #{size => 1, max_frame => 65_536, python_path => [fixture:python_path()]}),
    Sizes = [10, 60_000, 60_000, 10, 50_000, 20],
    {ok, Items} = py:stream(waits, sized, [Sizes], #{}, #{pool => narrow}),
    ?assertEqual(Sizes, [byte_size(Item) || Item <- Items]),
    ?assertMatch({error, {'OverflowError', <<"item is larger than max_frame", _/binary>>}},
                 py:stream(waits, sized, [[10, 70_000]], #{}, #{pool => narrow})),
    ok = py:stop_pool(narrow),
    {ok, [Large, <<"x">>]} = stream(sized, [[3_000_000, 1]]),
    ?assertEqual(3_000_000, byte_size(Large)).

source() ->
    Name = unique(),
    Ref = spawn_monitor(fun() -> exit(stream(listed_behind, [Name, 3])) end),
    until_awaited(1),
    ?assertEqual({ok, 2}, py:eval("1 + 1")),
    open_gate(Name),
    ?assertEqual({ok, [0, 1, 2]}, down(Ref)),
    Late = py:stream(waits, listed_behind, [unique(), 3], #{}, #{timeout => 50}),
    ?assertEqual({error, timeout}, Late),
    until_awaited(0).

odd_sources() ->
    ?assertEqual({ok, [1, 2]}, stream('Cursor', [])),
    ?assertEqual({ok, [<<C>> || C <- "later"]}, stream('Later', [])),
    logbook:open(),
    ?assertMatch({error, {'TypeError', <<"'NoneType' object is not iterable">>}}, stream('Unbound', [])),
    ?assertEqual({ok, none}, py:call(waits, echo, [none])),
    ?assertEqual([], [Event || #{level := error} = Event <- logbook:all()]),
    logbook:close().

down({Pid, Monitor}) -> receive {'DOWN', Monitor, process, Pid, Result} -> Result end.

%% ---------------------------------------------------------------------------

close() ->
    with_same_worker(fun() ->
        [Still, Waits] = [file(), file()],
        Parked = open(items, [1000, list_to_binary(Still)], #{chunk => 1}),
        Waiting = open(gated, [unique(), 3, list_to_binary(Waits)]),
        [ok = py:stream_close(Stream) || Stream <- [Parked, Waiting]],
        ?assertEqual(<<"GeneratorExit">>, how(Still)),
        ?assertEqual(<<"CancelledError">>, how(Waits)),
        ?assertEqual({error, closed}, py:stream_next(Waiting))
    end).

%% Each is over long before the call is.
beside_call() ->
    with_same_worker(fun() ->
        [Closed, Late, Left] = Files = [file() || _ <- [1, 2, 3]],
        Open = fun(File, Options) -> open(gated, [unique(), 3, list_to_binary(File)], Options) end,
        Stream = Open(Closed, #{}),
        Slow = Open(Late, #{timeout => 50}),
        Reader = spawn(fun() -> Open(Left, #{}), receive after infinity -> ok end end),
        fixture:wait_until(fun() -> maps:get(streams, worker()) =:= 3 end),
        Ref = py:spawn_call(time, sleep, [30], #{}, #{timeout => 60_000}),
        fixture:wait_until(fun() -> maps:get(state, worker()) =:= busy end),
        {ok, [0]} = py:stream_next(Slow),
        ?assertEqual({error, timeout}, py:stream_next(Slow)),
        ok = py:stream_close(Stream),
        exit(Reader, kill),
        [?assertEqual(<<"CancelledError">>, how(File)) || File <- Files],
        ok = py:cancel(Ref),
        {error, cancelled} = py:await(Ref)
    end).

call_interrupted() ->
    with_same_worker(fun() ->
        Name = unique(),
        Stream = open(gated, [Name, 3]),
        ?assertEqual({error, timeout}, py:call(time, sleep, [60], #{}, #{timeout => 50})),
        open_gate(Name),
        ?assertEqual([0, 1, 2], rest(Stream))
    end).

dodge() ->
    with_same_worker(fun() ->
        Name = unique(),
        Stream = open(dodge, [Name]),
        {ok, [<<"item">>]} = py:stream_next(Stream),
        ok = py:stream_close(Stream),
        until_awaited(0),
        Stubborn = open(stubborn_items, [Name]),
        ok = py:stream_close(Stubborn),
        {ok, none} = py:call(waits, echo, [none, 2 * ?GRACE / 1000]),
        ?assertMatch(#{awaited := 1, streams := 0}, worker()),
        open_gate(Name)
    end).

blocked() ->
    {ok, _} = py:start_pool(blocked, #{size => 1, interrupt_grace => ?GRACE,
                                       python_path => [fixture:python_path()]}),
    Other = open(gated, [1, 3], #{pool => blocked}),
    {ok, [0]} = py:stream_next(Other),
    Stream = open(block_items, [60], #{pool => blocked, timeout => 100}),
    {ok, [0]} = py:stream_next(Stream),
    {_, {error, timeout}} = figure:within(200, fun() -> py:stream_next(Stream) end),
    {error, {worker_exit, {loop_blocked, Where}}} = py:stream_next(Other),
    ?assertMatch({match, _}, re:run(Where, "waits.py, line \\d+, in block_items$")),
    ?assertEqual({ok, [0]}, py:stream(waits, items, [1], #{}, #{pool => blocked})),
    ok = py:stop_pool(blocked).

dies() ->
    Streams = [open(gated, [unique(), 3]) || _ <- lists:seq(1, 10)],
    Opening = spawn_monitor(fun() -> exit(stream(listed_behind, [unique(), 3])) end),
    until_awaited(1),
    ?assertEqual({error, {worker_exit, {status, 7}}}, py:call(os, '_exit', [7])),
    [begin
         _ = py:stream_next(Stream),
         ?assertMatch({error, {worker_exit, {status, 7}}}, py:stream_next(Stream))
     end || Stream <- Streams],
    ?assertEqual({error, {worker_exit, {status, 7}}}, down(Opening)),
    ?assertEqual({ok, [0, 1]}, stream(items, [2])).

%% ---------------------------------------------------------------------------

push() ->
    Names = [unique() || _ <- [1, 2]],
    Streams = [open(gated, [Name, 3], #{deliver => message}) || Name <- Names],
    [?assertEqual({data, 0}, message(Stream)) || Stream <- Streams],
    [open_gate(Name) || Name <- Names],
    [?assertEqual([{data, 1}, {data, 2}, done], [message(Stream) || _ <- [1, 2, 3]]) || Stream <- Streams].

message(Stream) ->
    receive {py_stream, Stream, What} -> is_tuple(What) andalso py:stream_ack(Stream), What end.

context() ->
    {ok, C} = py_context:open(),
    O = #{context => C},
    ok = py:exec("import asyncio\nx = 1\nasync def f():\n    while True:\n        await asyncio.sleep(0)\n        yield x", #{}, O),
    {ok, Stream} = py:stream_open({'__main__', f, []}, O#{chunk => 1}),
    ?assertEqual({ok, [1]}, py:stream_next(Stream)),
    ok = py:exec("x = 2", #{}, O),
    until_item(2, Stream),
    ok = py:stream_close(Stream),
    ok = py_context:close(C).

until_item(Item, Stream) ->
    case py:stream_next(Stream) of
        {ok, [Item]} -> ok;
        {ok, _} -> until_item(Item, Stream)
    end.

self_and_call() ->
    ok = py:register_function(who, fun() -> me end),
    ?assertEqual({ok, [[self(), me], [self(), me]]}, stream(selves, [])),
    ok = py:unregister_function(who).

within_call() ->
    ok = py:register_function(through, fun(N) ->
        {ok, N} = py:eval("n", #{n => N}),
        {ok, N} = py:call(waits, echo, [N]),
        {ok, Items} = stream(items, [N]),
        Items
    end),
    ?assertEqual({ok, [[], [0], [0, 1]]}, stream(asking, [through, 3])),
    ok = py:unregister_function(through).

trace() ->
    Parents = [iolist_to_binary(io_lib:format("00-~32.16.0b-~16.16.0b-01", [N, N])) || N <- [1, 2]],
    Traces = at_once([fun() -> py:stream(waits, traces, [50], #{}, #{traceparent => Parent}) end || Parent <- Parents]),
    ?assertEqual([{ok, lists:duplicate(50, Parent)} || Parent <- Parents], Traces),
    ?assertEqual({ok, [none]}, stream(traces, [1])),
    Spans = at_once([fun() -> stream(spanned, [Name]) end || Name <- [<<"a">>, <<"b">>]]),
    [?assertEqual(Span, Again) || {ok, [Span, Again]} <- Spans],
    ?assertEqual(2, length(lists:usort(Spans))).

fork() ->
    File = file(),
    {ok, [Pid, Pid]} = stream(forking, [list_to_binary(File)]),
    ?assertEqual(Pid, hd(fixture:os_pids())),
    fixture:wait_until(fun() -> {ok, <<"child parent ">>} =:= file:read_file(File)
                                    orelse {ok, <<"parent child ">>} =:= file:read_file(File) end),
    ?assertEqual({ok, [0, 1]}, stream(items, [2])).

kept() ->
    {ok, Kept} = py:call(waits, bare, [100], #{}, #{return => handle}),
    {ok, Stream} = py:stream_open(Kept, #{chunk => 1}),
    {ok, [0]} = py:stream_next(Stream),
    ok = py:stream_close(Stream),
    until_awaited(0),
    {ok, [Next]} = py:stream_eval("[await k.__anext__()]", #{k => Kept}),
    ?assert(Next > 0),
    ok = py_handle:release(Kept).

%% ---------------------------------------------------------------------------

with_pool(Options, Fun) ->
    {ok, _} = py:start_pool(p, Options#{size => 1, python_path => [fixture:python_path()]}),
    Fun(#{pool => p}),
    ok = case py:stop_pool(p) of {error, {no_pool, p}} -> ok; Stopped -> Stopped end.

concurrency() ->
    with_pool(#{concurrency => 1}, fun(P) ->
        Stream = open(items, [100], P#{chunk => 1}),
        {ok, [0]} = py:stream_next(Stream),
        ?assertEqual({ok, 1}, py:call(waits, echo, [1], #{}, P)),
        Name = unique(),
        Ref = py:spawn_call(waits, listed_behind, [Name, 1], #{}, P),
        fixture:wait_until(fun() -> [1] =:= [N || #{awaited := N} <- fixture:workers(p)] end),
        ?assertEqual(lists:seq(1, 99), rest(Stream)),
        {ok, none} = py:call(waits, force_gate, [Name], #{}, P#{pool => {p, 1}}),
        ?assertEqual({ok, [0]}, py:await(Ref))
    end).

bound() ->
    with_pool(#{concurrency => 2}, fun(P) ->
        [First, _] = Two = [open(gated, [N, 2], P) || N <- [1, 2]],
        [{ok, [0]} = py:stream_next(Stream) || Stream <- Two],
        Third = spawn_monitor(fun() -> exit(py:stream(waits, items, [2], #{}, P)) end),
        fixture:wait_until(fun() -> maps:get(waiting, maps:get(queue, py:info(p))) =:= 1 end),
        ok = py:stream_close(First),
        ?assertEqual({ok, [0, 1]}, down(Third)),
        ok = py:stream_close(lists:last(Two))
    end).

restart() ->
    with_pool(#{drain => 30_000}, fun(P) ->
        Stream = open(items, [50, none, 0.005], P),
        ok = py:restart_workers(p),
        ?assertEqual(lists:seq(0, 49), rest(Stream))
    end),
    with_pool(#{drain => 50}, fun(P) ->
        File = file(),
        Stream = open(gated, [1, 3, list_to_binary(File)], P),
        {ok, [0]} = py:stream_next(Stream),
        ok = py:stop_pool(p),
        ?assertMatch({error, _}, py:stream_next(Stream)),
        ?assertEqual(<<"CancelledError">>, how(File))
    end).

recycled() ->
    with_pool(#{recycle => #{calls => 4, jitter => 0}}, fun(P) ->
        Items = fun() -> py:stream(waits, items, [20, none, 0.01], #{}, P) end,
        ?assertEqual(lists:duplicate(20, {ok, lists:seq(0, 19)}), at_once(lists:duplicate(20, Items)))
    end).

random() ->
    at_once([fun() -> some(20) end || _ <- lists:seq(1, 20)]),
    until_awaited(0),
    ?assertMatch(#{streams := 0, in_flight := 0}, worker()).

some(0) -> ok;
some(Left) ->
    N = rand:uniform(60),
    Wait = lists:nth(rand:uniform(3), [0, 0.001, 0.01]),
    {Function, Args} = lists:nth(rand:uniform(2), [{bare, [N]}, {items, [N, none, Wait]}]),
    Stream = open(Function, Args, #{chunk => rand:uniform(20)}),
    case rand:uniform(3) of
        1 -> ok = py:stream_close(Stream);
        2 -> {ok, [0 | _]} = py:stream_next(Stream), ok = py:stream_close(Stream);
        3 -> ?assertEqual(lists:seq(0, N - 1), rest(Stream))
    end,
    some(Left - 1).
