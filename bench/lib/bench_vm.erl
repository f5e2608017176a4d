%% SPDX-License-Identifier: Apache-2.0
%%
%% The VM that measures: what it may run on, it and all that it starts.
-module(bench_vm).

-export([start/2, stop/1, measure/4]).
-export_type([vm/0]).

-opaque vm() :: pid().

%% With all that these sides need.
-spec start(bench_rows:setting(), [bench_sides:side()]) -> {ok, vm()} | {error, string()}.
start(Setting, Sides) ->
    case exec(Setting) of
        {ok, Exec} ->
            {ok, Vm, _} = peer:start_link(#{connection => standard_io, exec => Exec,
                                            wait_boot => 60_000}),
            ok = peer:call(Vm, logger, set_primary_config, [level, error]),
            ok = peer:call(Vm, bench_sides, start, [Sides], infinity),
            {ok, Vm};
        {error, _} = Error ->
            Error
    end.

exec(free) ->
    {ok, erl()};
exec(one) ->
    case os:find_executable("taskset") of
        false -> {error, "there is no taskset (Debian: util-linux)"};
        Taskset -> {ok, {Taskset, ["-c", last_cpu(), erl()]}}
    end.

erl() ->
    os:find_executable("erl").

%% The last CPU that we may use: the first one often has the interrupts.
last_cpu() ->
    {ok, Status} = file:read_file("/proc/self/status"),
    {match, [Cpu]} = re:run(Status, "^Cpus_allowed_list:.*?(\\d+)$",
                            [multiline, {capture, [1], list}]),
    Cpu.

-spec stop(vm()) -> ok.
stop(Vm) ->
    ok = peer:call(Vm, bench_stage, leave, [], infinity),
    peer:stop(Vm).

-spec measure(vm(), bench_rows:row(), [bench_sides:side()], number()) ->
    {ok, bench_rounds:result()} | {error, term()}.
measure(Vm, Row, Sides, Seconds) ->
    peer:call(Vm, bench_rounds, measure, [Row, Sides, Seconds], infinity).
