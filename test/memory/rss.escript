#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The limits that are watched from outside: whatever has the memory and whatever
%% Python does, the worker is killed, its caller is told why, and the pool goes on.
%% TIMES is how often each way is taken (10).
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).
-define(LIMIT, (200 * ?MB)).
-define(GB, (1 bsl 30)).

main(_) ->
    tap:run(fixture:with_app(settings(#{rss => ?LIMIT}), logbook:kept([
        [{[What, ", again and again"], 300_000, fun() -> killed(Call) end}
         || {What, Call} <- ways()],
        {"what is below the limit lives", fun below/0},
        {"a call that was queued behind it runs elsewhere", fun queued/0},
        {"a process that is bound is told once", fun bound/0},
        {"a stream's consumer", fun stream/0},
        {"code: what it was, without the code", fun code/0},
        {"memory that nobody's call has taken", fun nobody/0},
        {"statistics are there meanwhile", fun statistics/0},
        {"how soon it is killed", fun soon/0},
        {"the log says what it was", fun logged/0},
        {"a worker that has retired is watched, too", fun retired/0},
        {"a limit that is changed meanwhile", fun changed/0},
        {"a worker that cannot start below the limit", fun start/0},
        {"children count for the group", fun group/0},
        {"what children share counts once", fun shared/0}
    ]))).

settings(Limits) ->
    #{size => 2, memory => Limits, init => <<"import hoard">>}.

ways() ->
    [{"bytearray(2**30)", {hoard, one_object, [?GB]}},
     {"ten million small objects", {hoard, small_objects, [10_000_000]}},
     {"a numpy array", {hoard, array, [?GB]}},
     {"malloc in C", {hoard, kept_malloc, [?GB]}},
     {"malloc in C that holds the GIL", {hoard, with_gil, [?GB]}},
     {"a process that is stopped", {hoard, stopped, [?GB]}}].

killed({_, array, _} = Call) ->
    fixture:has_numpy() orelse tap:skip("no numpy"),
    each_time(Call);
killed(Call) ->
    each_time(Call).

each_time({Module, Function, Args} = Call) ->
    [begin
         {error, {worker_exit, {memory, Why}}} = call(Call, #{timeout => 60_000}),
         ?assertMatch(#{limit := ?LIMIT, running := {Module, Function, Arity}}
                          when Arity =:= length(Args), Why),
         ?assert(maps:get(rss, Why) > ?LIMIT),
         healthy(default, 2)
     end || _ <- lists:seq(1, times())].

times() -> list_to_integer(os:getenv("TIMES", "10")).

call({Module, Function, Args}, Options) ->
    py:call(Module, Function, Args, #{}, Options).

%% Every worker is there, and works.
healthy(Pool, Size) ->
    fixture:wait_until(fun() ->
        lists:duplicate(Size, idle) =:= [State || #{state := State} <- fixture:workers(Pool)]
    end),
    ?assertEqual({ok, lists:duplicate(4 * Size, 2)},
                 py:parallel(lists:duplicate(4 * Size, {operator, add, [1, 1]}),
                             #{pool => Pool})).

%% ---------------------------------------------------------------------------

below() ->
    Before = fixture:os_pids(),
    ?assertEqual({ok, [100_000_000, 100_000_000]},
                 py:parallel([{hoard, long, [?LIMIT div 2]} || _ <- Before])),
    ?assertEqual(Before, fixture:os_pids()).

queued() ->
    with_pool(#{rss => ?LIMIT}, #{size => 1}, fun(Pool) ->
        Hog = py:spawn_call(hoard, one_object, [?GB], #{}, Pool),
        Others = [py:spawn_call(operator, add, [1, N], #{}, Pool) || N <- lists:seq(1, 20)],
        ?assertMatch({error, {worker_exit, {memory, _}}}, py:await(Hog)),
        ?assertEqual([{ok, 1 + N} || N <- lists:seq(1, 20)], [py:await(Ref) || Ref <- Others])
    end).

bound() ->
    with_pool(#{rss => ?LIMIT}, #{size => 1}, fun(Pool) ->
        ok = py:exec(<<"name = 1">>, Pool),
        Self = self(),
        _ = spawn(fun() -> Self ! {hog, py:call(hoard, one_object, [?GB], #{}, Pool)} end),
        {error, {worker_exit, {memory, Why}}} = receive {hog, Result} -> Result end,
        ?assertEqual({error, {worker_exit, {memory, Why}}}, py:eval(<<"name">>, #{}, Pool)),
        ?assertMatch({error, {'NameError', _}}, py:eval(<<"name">>, #{}, Pool))
    end).

stream() ->
    {ok, Stream} = py:stream_open({hoard, items, [?GB]}, #{chunk => 1, timeout => 60_000}),
    {error, {worker_exit, {memory, Why}}} = last(py:stream_next(Stream), Stream),
    ?assertMatch(#{running := {hoard, items, 1}}, Why),
    healthy(default, 2).

last({ok, _}, Stream) -> last(py:stream_next(Stream), Stream);
last(Last, _) -> Last.

code() ->
    {error, {worker_exit, {memory, Why}}} =
        py:eval(<<"hoard.one_object(secret) or 'secret'">>, #{secret => ?GB}),
    ?assertMatch(#{running := eval}, Why),
    ?assertEqual([limit, rss, running], lists:sort(maps:keys(Why))),
    {error, {worker_exit, {memory, Other}}} = py:exec(<<"hoard.one_object(2**30)">>),
    ?assertMatch(#{running := exec}, Other),
    healthy(default, 2).

nobody() ->
    with_pool(#{rss => ?LIMIT}, #{size => 1}, fun(Pool) ->
        {ok, _} = py:call(hoard, thread, [?GB], #{}, Pool),
        {memory, Why} = await_death(named),
        ?assertMatch(#{running := none, limit := ?LIMIT}, Why),
        healthy(named, 1)
    end).

%% Why the only worker of the pool dies.
await_death(Pool) ->
    [#{pid := Pid}] = fixture:workers(Pool),
    Monitor = monitor(process, Pid),
    receive {'DOWN', Monitor, process, Pid, {shutdown, {worker_exit, Why}}} -> Why end.

%% From before both workers are taken until both are there again.
statistics() ->
    Hogs = [py:spawn_call(hoard, with_gil, [?GB], #{}, #{timeout => 60_000}) || _ <- [1, 2]],
    Watcher = spawn_monitor(fun() -> watch([]) end),
    [?assertMatch({error, {worker_exit, {memory, _}}}, py:await(Hog)) || Hog <- Hogs],
    healthy(default, 2),
    element(1, Watcher) ! stop,
    {watched, Ms} = receive {'DOWN', _, process, _, Ended} -> Ended end,
    figure:show("statistics", Ms).

watch(Taken) ->
    {Ms, {ok, _}} = figure:within(100, fun() -> py:memory_stats() end),
    receive
        stop -> exit({watched, [Ms | Taken]})
    after 20 ->
        watch([Ms | Taken])
    end.

%% From the sample, of which the worker hears, to the end of the program: it has
%% little memory, so that the kernel needs no time for it.
soon() ->
    with_pool(#{rss => 60 * ?MB}, #{size => 1}, fun(Pool) ->
        Ms = [kill_time(Pool) || _ <- lists:seq(1, times())],
        figure:show("from the sample to the end", Ms)
    end),
    timer:sleep(50),
    drop_traces().

kill_time(Pool) ->
    [#{pid := Worker}] = fixture:workers(named),
    Ref = py:spawn_call(hoard, kept_malloc, [60 * ?MB], #{}, Pool),
    1 = erlang:trace(Worker, true, ['receive', monotonic_timestamp]),
    Sampled = receive {trace_ts, Worker, 'receive', {py_worker, {exceeded, _}}, T0} -> T0 end,
    {_, Ended} = figure:within(100, fun() ->
        receive {trace_ts, Worker, 'receive', {_, {exit_status, _}}, T1} -> T1 end
    end),
    ?assertMatch({error, {worker_exit, {memory, _}}}, py:await(Ref)),
    healthy(named, 1),
    erlang:convert_time_unit(Ended - Sampled, native, microsecond) / 1000.

drop_traces() ->
    receive Trace when element(1, Trace) =:= trace_ts -> drop_traces() after 0 -> ok end.

logged() ->
    logbook:clear(),
    {error, _} = py:call(hoard, kept_malloc, [?GB]),
    Event = logbook:await(fun(Event) -> fixture:contains(logbook:text(Event), "was killed") end),
    Text = logbook:text(Event),
    tap:note("~ts", [Text]),
    #{level := warning, meta := #{pool := default, worker := _, os_pid := _,
                                  before := Before, 'after' := After}} = Event,
    ?assert(Before > After + ?LIMIT),
    [?assert(fixture:contains(Text, Part)) || Part <- ["hoard:kept_malloc/1", "200.0 MB"]],
    timer:sleep(50),
    ?assertEqual([], logbook:find(fun(E) -> fixture:contains(logbook:text(E), "ended") end)).

retired() ->
    with_pool(#{rss => ?LIMIT}, #{size => 1, drain => 60_000}, fun(Pool) ->
        Go = unicode:characters_to_binary(filename:join(fixture:tmpdir(), "go")),
        Hog = py:spawn_call(hoard, one_object, [?GB, Go], #{}, Pool),
        fixture:wait_until(fun() -> [busy] =:= [State || #{state := State} <- fixture:workers(named)] end),
        ok = py:restart_workers(named),
        ok = file:write_file(Go, <<>>),
        ?assertMatch({error, {worker_exit, {memory, #{running := {hoard, one_object, 2}}}}},
                     py:await(Hog)),
        healthy(named, 1)
    end).

start() ->
    {error, {python_start, Text}} =
        py:start_pool(fat, #{size => 1, memory => #{rss => ?LIMIT},
                             init => <<"import time\nkept = bytearray(2**30)\ntime.sleep(600)">>}),
    tap:note("~ts", [Text]),
    ?assert(fixture:contains(Text, "memory")),
    ?assertEqual({error, {no_pool, fat}}, py:info(fat)).

group() ->
    with_pool(#{group => ?LIMIT}, #{size => 2}, fun(Pool) ->
        OsPids = fixture:os_pids(named),
        {error, {worker_exit, {memory, Why}}} = py:call(hoard, child, [?GB], #{}, Pool),
        ?assertMatch(#{limit := ?LIMIT, running := {hoard, child, 1}}, Why),
        #{rss := Rss, group := Group} = Why,
        ?assert(Rss < ?LIMIT andalso Group > ?LIMIT),
        fixture:wait_until(fun() -> lists:any(fun(P) -> osproc:group(P) =:= [] end, OsPids) end),
        healthy(named, 2)
    end).

shared() ->
    with_pool(#{group => ?LIMIT}, #{size => 1}, fun(Pool) ->
        [OsPid] = fixture:os_pids(named),
        Ref = py:spawn_call(hoard, forked, [100 * ?MB, 5], #{}, Pool#{timeout => 5000}),
        fixture:wait_until(fun() -> length(osproc:group(OsPid)) =:= 6 end),
        Rss = lists:sum([fixture:proc_kb(P, "VmRSS") * 1024 || P <- osproc:group(OsPid)]),
        ?assert(Rss > 2 * ?LIMIT),
        ?assertEqual({error, timeout}, py:await(Ref))
    end).

with_pool(Limits, Options, Fun) ->
    {ok, _} = py:start_pool(named, maps:merge(Options, #{
        memory => Limits, python_path => [fixture:python_path()],
        init => <<"import hoard, wedge">>})),
    try Fun(#{pool => named, timeout => 60_000}) after ok = py:stop_pool(named, 0) end.

%% It is the worker's that there are, and its successors'.
changed() ->
    with_pool(#{}, #{size => 1}, fun(Pool) ->
        {ok, ?GB} = py:call(hoard, long, [?GB], #{}, Pool),
        Ref = py:spawn_call(hoard, one_object, [?GB], #{}, Pool),
        ok = py:set_memory(named, #{rss => ?LIMIT}),
        ?assertMatch({error, {worker_exit, {memory, #{limit := ?LIMIT}}}}, py:await(Ref)),
        ?assertMatch({error, {worker_exit, {memory, #{limit := ?LIMIT}}}},
                     py:call(hoard, one_object, [?GB], #{}, Pool)),
        healthy(named, 1),
        ok = py:set_memory(named, #{rss => infinity}),
        Kept = py:spawn_call(hoard, one_object, [?GB], #{}, Pool#{timeout => 4000}),
        ?assertEqual({error, timeout}, py:await(Kept))
    end).
