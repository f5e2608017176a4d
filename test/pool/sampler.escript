#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% The pool's sampler: what it sees of the workers, and that nobody is woken for
%% it. The test takes the pool's place on the board, and hears what the pool would.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

-define(MB, 1_000_000).
-define(LIMIT, 30_000).

main(_) ->
    tap:run(fixture:with_app(#{size => 3}, [
        {"the pool hears of every worker", fun hears/0},
        {"what grows is seen", fun grows/0},
        {"nobody is woken", fun sleeps/0},
        {"a worker that is stopped is seen", fun stopped/0},
        {"a successor is seen in its place", fun successor/0},
        {"above half of a limit it looks every 100 ms", fun near/0},
        {"a program that is gone costs no descriptor", fun descriptors/0},
        {"it starts and ends with its pool", fun with_pool/0}
    ])).

%% Rounds in a row, as the pool would have heard of them.
rounds(N) ->
    rounds(N, default).

rounds(N, Name) ->
    {ok, Pool} = py_pool_board:find(Name),
    {ok, Pid} = py_pool_board:pool(Pool),
    ok = py_pool_board:set_process(Pool, pool, self()),
    Rounds = [receive {py_pool, {heard, {sampled, Samples}}} -> Samples after ?LIMIT -> none end
              || _ <- lists:seq(1, N)],
    ok = py_pool_board:set_process(Pool, pool, Pid),
    receive {py_pool, {heard, {sampled, _}}} -> Rounds after 0 -> Rounds end.

hears() ->
    [Samples] = rounds(1),
    ?assertEqual([{Id, Pid, OsPid} || #{id := Id, pid := Pid, os_pid := OsPid} <- fixture:workers()],
                 [{Id, Pid, OsPid} || {Id, Pid, OsPid, _} <- Samples]),
    [?assertEqual(fixture:proc_kb(OsPid, "VmRSS") * 1024, Rss)
     || {_, _, OsPid, #{rss := Rss}} <- Samples].

grows() ->
    [[{_, _, OsPid, #{rss := Before}} | _]] = rounds(1),
    ok = py:exec_all(["import os\nif os.getpid() == ", integer_to_list(OsPid), ":\n"
                      "    kept = bytearray(b'x') * 50_000_000"]),
    [[{_, _, OsPid, #{rss := After}} | _]] = rounds(1),
    ?assert(After - Before > 45 * ?MB).

%% Neither a worker's process nor its program does anything meanwhile.
sleeps() ->
    Workers = [{Pid, OsPid} || #{pid := Pid, os_pid := OsPid} <- fixture:workers()],
    Work = fun() -> [{element(2, process_info(Pid, reductions)), switches(OsPid)}
                     || {Pid, OsPid} <- Workers] end,
    _ = rounds(1),
    Before = Work(),
    _ = rounds(3),
    ?assertEqual(Before, Work()).

switches(OsPid) ->
    {ok, Status} = file:read_file(["/proc/", integer_to_list(OsPid), "/status"]),
    {match, [N]} = re:run(Status, "nonvoluntary_ctxt_switches:\\s+(\\d+)",
                          [{capture, all_but_first, list}]),
    {match, [M]} = re:run(Status, "\nvoluntary_ctxt_switches:\\s+(\\d+)",
                          [{capture, all_but_first, list}]),
    list_to_integer(N) + list_to_integer(M).

stopped() ->
    [OsPid | _] = fixture:os_pids(),
    _ = fixture:kill("STOP", OsPid),
    [Samples] = rounds(1),
    _ = fixture:kill("CONT", OsPid),
    ?assertEqual(3, length(Samples)).

successor() ->
    [{Id, Worker, OsPid, _} | _] = hd(rounds(1)),
    _ = fixture:kill("KILL", OsPid),
    fixture:wait_until(fun() ->
        case hd(rounds(1)) of
            [{Id, Other, _, _} | _] -> Other =/= Worker;
            _ -> false
        end
    end).

%% Only at the worker that has so much.
near() ->
    {ok, _} = py:start_pool(near, #{size => 2, memory => #{rss => 200 * ?MB}}),
    [OsPid | _] = fixture:os_pids(near),
    ok = py:exec_all(["import os\nif os.getpid() == ", integer_to_list(OsPid), ":\n"
                      "    kept = bytearray(100_000_000)"], #{pool => near}),
    fixture:wait_until(fun() -> length(hd(rounds(1, near))) =:= 1 end),
    {_, Rounds} = figure:within(2_000, fun() -> rounds(10, near) end),
    ?assertMatch([_ | _], [OsPid || [{1, _, OsPid0, _}] <- Rounds, OsPid0 =:= OsPid]),
    ok = py:stop_pool(near).

%% Looked at again and again, it never has more for them than there are workers.
descriptors() ->
    Files = fun() -> length([File || File <- filelib:wildcard("/proc/self/fd/*"),
                                     {ok, Target} <- [file:read_link(File)],
                                     lists:suffix("/statm", Target)]) end,
    [begin
         ok = py:restart_workers(),
         _ = rounds(2),
         ?assertEqual(3, Files())
     end || _ <- lists:seq(1, 3)].

with_pool() ->
    Before = samplers(),
    {ok, _} = py:start_pool(more, #{size => 1}),
    ?assertEqual(1, length(samplers() -- Before)),
    ok = py:stop_pool(more),
    ?assertEqual(Before, samplers()).

samplers() ->
    lists:sort([Pid || Name <- py:pools(), {ok, Pool} <- [py_pool_board:find(Name)],
                       {ok, Pid} <- [py_pool_board:sampler(Pool)]]).
