#!/usr/bin/env escript
%% SPDX-License-Identifier: Apache-2.0
%%! -pa test/lib
%%
%% figure and machine, of the tests themselves: what a slow machine may excuse,
%% and that nothing else is excused.
-mode(compile).
-include_lib("stdlib/include/assert.hrl").

main(_) ->
    tap:run([
        table:rows("median", fun figure:median/1, medians()),
        table:rows("percentile", fun figure:percentile/2, percentiles()),
        table:rows("excused", fun machine:excused/1, excuses()),
        {"what is in time is returned, and how long it took", fun in_time/0},
        {"what takes 2 s is not within 100 ms", fun too_late/0},
        {"a VM whose scheduler is blocked excuses nothing", fun own_fault/0},
        {"a machine that stalls is excused", fun stalled/0}
    ]).

medians() ->
    [{"of one", [[3]], 3}, {"of three", [[9, 1, 2]], 2}, {"of four, the lower", [[4, 3, 2, 1]], 2}].

percentiles() ->
    Hundred = lists:seq(100, 1, -1),
    [{"the first", [1, Hundred], 1}, {"most", [99, Hundred], 99}, {"all", [100, Hundred], 100},
     {"of few", [99, [5, 7]], 7}].

%% On an idle machine a round takes less than 8 ms.
excuses() ->
    [{"nothing on an idle machine", [0.5], 0.0}, {"nothing up to what is usual", [8.0], 0.0},
     {"for each hand what a round took longer", [10.0], 16.0}, {"a stall", [108.0], 800.0}].

in_time() ->
    {Ms, done} = figure:within(1000, fun() -> timer:sleep(20), done end),
    ?assert(Ms >= 20).

%% Where the machine stalls for a quarter of a second meanwhile, that is as it
%% should be: then it is no proof, and there is another try.
too_late() ->
    proved(5, fun() -> figure:within(100, fun() -> timer:sleep(2000) end) end).

proved(0, _) ->
    error(always_excused);
proved(Tries, Measure) ->
    try Measure() of
        _ -> proved(Tries - 1, Measure)
    catch
        error:{above, #{limit := 100, took := Ms, excused := Excuse}} ->
            ?assert(Ms >= 2000 andalso Ms - Excuse > 100)
    end.

%% No process of this VM runs while all of its threads are stopped: from outside
%% it looks as if it were blocked. The other VM is not.
own_fault() ->
    proved(5, fun() -> figure:within(100, fun stop_us/0) end).

stop_us() ->
    Us = os:getpid(),
    _ = os:cmd("kill -STOP " ++ Us ++ " && (sleep 2; kill -CONT " ++ Us ++ ")").

%% As it looks when the whole machine does: no round ends.
stalled() ->
    Stall = fun() ->
        OsPid = machine:os_pid(),
        fixture:kill("STOP", OsPid),
        timer:sleep(500),
        fixture:kill("CONT", OsPid)
    end,
    {Ms, _} = figure:within(100, Stall),
    ?assert(Ms >= 500).
