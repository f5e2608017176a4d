%% SPDX-License-Identifier: Apache-2.0
%%
%% What the kernel knows of processes.
-module(bench_proc).

-export([cpu_us/1, mb/2]).

%% Microseconds of processor time that the threads of these processes have had.
-spec cpu_us([pos_integer()]) -> float().
cpu_us(Pids) ->
    lists:sum([thread_ns(File) || Pid <- Pids,
                                  File <- filelib:wildcard(path(Pid, "task/*/schedstat"))]) / 1000.

%% A thread may have ended since it was listed.
thread_ns(File) ->
    case file:read_file(File) of
        {ok, Text} -> binary_to_integer(hd(binary:split(Text, <<" ">>)));
        {error, _} -> 0
    end.

%% MB of a kind of memory, a key of smaps_rollup.
-spec mb(pos_integer(), binary()) -> float().
mb(Pid, Key) ->
    {ok, Text} = file:read_file(path(Pid, "smaps_rollup")),
    {match, [Kb]} = re:run(Text, [$^, Key, ":\\s+(\\d+) kB"], [multiline, {capture, [1], binary}]),
    binary_to_integer(Kb) * 1024 / 1.0e6.

path(Pid, File) ->
    filename:join(["/proc", integer_to_list(Pid), File]).
