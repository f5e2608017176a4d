%% SPDX-License-Identifier: Apache-2.0
%%
%% The Erlang half of the floor: a gen_server that owns the echo program and
%% does for each call what a worker must do at least, and nothing else: put an
%% Id in front, write, and give the reply with that Id to its caller.
-module(echo_server).
-behaviour(gen_server).

-export([start/1, echo/2, os_pid/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-spec start(file:filename()) -> {ok, pid()}.
start(Program) ->
    gen_server:start(?MODULE, Program, []).

%% Sends the frame {Id, Op} and waits for it to come back. Op is the external
%% format of a term without its first byte, 131.
-spec echo(pid(), iodata()) -> binary().
echo(Server, Op) ->
    gen_server:call(Server, {echo, Op}, infinity).

%% The echo program's.
-spec os_pid(pid()) -> pos_integer().
os_pid(Server) ->
    gen_server:call(Server, os_pid).

-spec init(file:filename()) -> {ok, map()}.
init(Program) ->
    Port = open_port({spawn_executable, Program}, [{packet, 4}, binary, exit_status]),
    {ok, #{port => Port, next => 0, waiting => #{}}}.

-spec handle_call({echo, iodata()} | os_pid, gen_server:from(), map()) ->
    {noreply, map()} | {reply, pos_integer(), map()}.
handle_call({echo, Op}, From, #{port := Port, next := Id, waiting := Waiting} = State) ->
    true = port_command(Port, [<<131, 104, 2, 98, Id:32>>, Op]),
    {noreply, State#{next := (Id + 1) band 16#7fffffff, waiting := Waiting#{Id => From}}};
handle_call(os_pid, _, #{port := Port} = State) ->
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    {reply, OsPid, State}.

-spec handle_cast(term(), map()) -> {noreply, map()}.
handle_cast(_, State) ->
    {noreply, State}.

-spec handle_info(term(), map()) -> {noreply, map()} | {stop, term(), map()}.
handle_info({Port, {data, <<131, 104, 2, 98, Id:32, _/binary>> = Reply}},
            #{port := Port, waiting := Waiting} = State) ->
    {From, Others} = maps:take(Id, Waiting),
    gen_server:reply(From, Reply),
    {noreply, State#{waiting := Others}};
handle_info({Port, {exit_status, Code}}, #{port := Port} = State) ->
    {stop, {echo_ended, Code}, State}.
