%% SPDX-License-Identifier: Apache-2.0
%%
%% The python3 that pyport was built for, by itself.
-module(bench_python).

-export([program/0, folder/0, output/1, idle/1, loop/0]).

-spec program() -> file:filename().
program() ->
    os:find_executable(os:getenv("PYTHON", "python3")).

%% Where our own Python modules are.
-spec folder() -> file:filename().
folder() ->
    filename:join([os:getenv("top_srcdir", "."), "bench", "lib"]).

%% What Python prints with these arguments.
-spec output([string()]) -> binary().
output(Args) ->
    bench_program:output(program(), Args).

%% The result of Fun for the pid of a Python that has started and waits for input.
-spec idle(fun((pos_integer()) -> Result)) -> Result.
idle(Fun) ->
    Code = "import sys; print('ready', flush=True); sys.stdin.read()",
    Port = open_port({spawn_executable, program()}, [{args, ["-I", "-S", "-c", Code]}, binary]),
    receive {Port, {data, <<"ready", _/binary>>}} -> ok end,
    {os_pid, Pid} = erlang:port_info(Port, os_pid),
    Result = Fun(Pid),
    true = port_close(Port),
    Result.

%% Microseconds of a processor's time that a loop takes.
-spec loop() -> float().
loop() ->
    Code = "import sys; sys.path.insert(0, sys.argv[1]); import workloads;"
           "print(workloads.seconds('counting'))",
    binary_to_float(string:trim(output(["-c", Code, folder()]))) * 1_000_000.
