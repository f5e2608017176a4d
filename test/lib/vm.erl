%% SPDX-License-Identifier: Apache-2.0
%%
%% Another VM, as a process of the operating system that may be killed, with the
%% py application running in it.
-module(vm).

-export([start/1, start/2, call/4, cast/4, os_pid/1, workers/1, ports/1, stop/1]).
-export_type([vm/0]).

-opaque vm() :: pid().

-define(LIMIT, 60_000).

%% Starts it with these settings in the application's environment.
-spec start(map()) -> vm().
start(Settings) ->
    start("exec \"$0\" \"$@\"", Settings).

%% The same by a command of the shell, in which "$0" "$@" stands for it.
-spec start(string(), map()) -> vm().
start(Shell, Settings) ->
    Erl = os:find_executable("erl"),
    {ok, Vm, _} = peer:start(#{connection => standard_io, shutdown => halt,
                               exec => {"/bin/sh", ["-c", Shell, Erl]}}),
    _ = call(Vm, logger, set_primary_config, [level, none]),
    _ = call(Vm, application, load, [py]),
    [ok = call(Vm, application, set_env, [py, Key, Value])
     || {Key, Value} <- maps:to_list(Settings)],
    {ok, _} = call(Vm, application, ensure_all_started, [py]),
    Vm.

-spec call(vm(), module(), atom(), [term()]) -> term().
call(Vm, Module, Function, Args) ->
    peer:call(Vm, Module, Function, Args, ?LIMIT).

%% The same for what never returns.
-spec cast(vm(), module(), atom(), [term()]) -> ok.
cast(Vm, Module, Function, Args) ->
    peer:cast(Vm, Module, Function, Args).

-spec os_pid(vm()) -> pos_integer().
os_pid(Vm) ->
    list_to_integer(call(Vm, os, getpid, [])).

%% The processes of its default pool.
-spec workers(vm()) -> [pos_integer()].
workers(Vm) ->
    #{workers := Workers} = call(Vm, py, info, []),
    [OsPid || #{os_pid := OsPid} <- Workers].

%% The ports of its programs.
-spec ports(vm()) -> [port()].
ports(Vm) ->
    OsPids = workers(Vm),
    [Port || Port <- call(Vm, erlang, ports, []),
             {os_pid, OsPid} <- [call(Vm, erlang, port_info, [Port, os_pid])],
             lists:member(OsPid, OsPids)].

-spec stop(vm()) -> ok.
stop(Vm) ->
    try peer:stop(Vm) catch exit:_ -> ok end.
