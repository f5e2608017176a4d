#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% py_watch: whose death is heard of, and who is swept out when there are many.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

%% So many are watched before it is asked who has something here.
-define(MANY, 64).

main(_) ->
    tap:run([
        {"a watched process is monitored, once", fun once/0},
        {"a death is reported", fun death/0},
        {"one that was not watched is unknown", fun unknown/0},
        {"few are not swept, and nobody is asked", fun few/0},
        {"of many those are kept that have something here", fun many/0},
        {"the next time is when there are twice as many", fun twice/0}
    ]).

sleeper() ->
    spawn(fun() -> receive after infinity -> ok end end).

%% Nobody may ask.
never(busy) -> error(asked).

watch(Pids, Busy, Callers) ->
    lists:foldl(fun(Pid, C) -> py_watch:watch(Pid, Busy, busy, C) end, Callers, Pids).

monitored() ->
    {monitors, Monitors} = process_info(self(), monitors),
    [Pid || {process, Pid} <- Monitors].

once() ->
    Pid = sleeper(),
    _ = watch([Pid, Pid], fun never/1, py_watch:new()),
    ?assertEqual([Pid], monitored()).

death() ->
    Pid = sleeper(),
    Callers = watch([Pid], fun never/1, py_watch:new()),
    exit(Pid, kill),
    receive {'DOWN', _, process, Pid, killed} -> ok end,
    {gone, Rest} = py_watch:gone(Pid, Callers),
    ?assertEqual(unknown, py_watch:gone(Pid, Rest)).

unknown() ->
    ?assertEqual(unknown, py_watch:gone(self(), py_watch:new())).

few() ->
    Pids = [sleeper() || _ <- lists:seq(1, ?MANY)],
    _ = watch(Pids, fun never/1, py_watch:new()),
    ?assertEqual(lists:sort(Pids), lists:sort(monitored())).

many() ->
    [Next | Pids] = [sleeper() || _ <- lists:seq(0, ?MANY)],
    Busy = lists:sublist(Pids, 10),
    Callers = watch([Next], fun(busy) -> Busy end, watch(Pids, fun never/1, py_watch:new())),
    ?assertEqual(lists:sort([Next | Busy]), lists:sort(monitored())),
    ?assertEqual(unknown, py_watch:gone(lists:last(Pids), Callers)),
    ?assertMatch({gone, _}, py_watch:gone(hd(Busy), Callers)).

%% All are busy, so all are kept: not each of them asks again.
twice() ->
    Pids = [sleeper() || _ <- lists:seq(1, ?MANY)],
    Full = watch(Pids, fun never/1, py_watch:new()),
    Asked = watch([sleeper()], fun(busy) -> Pids end, Full),
    _ = watch([sleeper() || _ <- lists:seq(2, ?MANY)], fun never/1, Asked),
    ?assertEqual(2 * ?MANY, length(monitored())).
