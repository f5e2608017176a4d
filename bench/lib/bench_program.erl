%% SPDX-License-Identifier: Apache-2.0
%%
%% Programs that run once.
-module(bench_program).

-export([output/2]).

%% What a program prints until it has ended; it must end well.
-spec output(file:filename(), [string()]) -> binary().
output(Program, Args) ->
    collected(open_port({spawn_executable, Program}, [{args, Args}, binary, exit_status]), []).

collected(Port, Parts) ->
    receive
        {Port, {data, Part}} -> collected(Port, [Parts, Part]);
        {Port, {exit_status, 0}} -> iolist_to_binary(Parts);
        {Port, {exit_status, Status}} -> error({exit_status, Status, iolist_to_binary(Parts)})
    end.
