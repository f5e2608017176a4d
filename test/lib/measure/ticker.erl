%% SPDX-License-Identifier: Apache-2.0
%%
%% A process that wants to run every 5 ms and notes the longest time that it
%% did not: when a scheduler of the VM is blocked, it is long. High priority, so
%% that it waits for schedulers and not for other processes.
-module(ticker).

-export([during/1]).

-define(PERIOD, 5).

%% Runs the fun: the longest gap between two ticks meanwhile (ms), its result.
-spec during(fun(() -> Result)) -> {Ms :: float(), Result}.
during(Fun) ->
    Ticker = spawn_opt(fun() -> tick(now_us(), 0) end, [link, {priority, high}]),
    Result = Fun(),
    Ticker ! {stop, self()},
    receive {Ticker, Longest} -> {Longest / 1000, Result} end.

tick(Last, Longest) ->
    receive
        {stop, From} ->
            From ! {self(), max(Longest, now_us() - Last)}
    after ?PERIOD ->
        Now = now_us(),
        tick(Now, max(Longest, Now - Last))
    end.

now_us() ->
    erlang:monotonic_time(microsecond).
