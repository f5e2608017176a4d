%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's lines for Erlang's logger. They are written by a process of their
%% own: a logger's handlers run in the process that logs and may be slow, and a
%% worker has deadlines to keep. This process also acknowledges the program's
%% events, once their lines are written: so the program is held back and nothing
%% piles up.
%%
%% The process ends when its worker has ended and everything is written, even if
%% the application has stopped meanwhile. Without it the worker does not go on.
-module(py_talk_log).
-behaviour(gen_server).

-export([start/2, is_log/2, metadata/3, write/5, event/3, acknowledge/3]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([log/0]).

-include("py.hrl").

%% What others say to it: messages, which never wait.
-messages([write/5, event/3, acknowledge/3]).

%% How many bytes of events are acknowledged at a time.
-define(ACK, (1 bsl 17)).

-record(state, {
    worker :: pid(),
    logs :: boolean(),                  % whether spans are lines, too
    unacked = 0 :: non_neg_integer()    % bytes of events
}).

-opaque log() :: {pid(), logger:metadata()}.

%% Starts it for the calling process. Every line has this metadata; spans are lines if the
%% pool has logs.
-spec start(logger:metadata(), Logs :: boolean()) -> log().
start(Meta, Logs) ->
    Worker = self(),
    {ok, Pid} = gen_server:start(?MODULE, {Worker, Logs}, []),
    {Pid, Meta#{pid => Worker}}.

%% Whether it is this process.
-spec is_log(pid(), log()) -> boolean().
is_log(Pid, {Log, _}) ->
    Pid =:= Log.

%% What each line about a worker says of it.
-spec metadata(#pool{}, pos_integer(), pos_integer() | undefined) -> logger:metadata().
metadata(#pool{name = Name}, Slot, OsPid) ->
    #{application => py, pool => Name, worker => Slot, os_pid => OsPid}.

-spec write(log(), logger:level(), io:format(), [term()], logger:metadata()) -> ok.
write({Pid, Meta}, Level, Format, Args, More) ->
    Timed = More#{time => logger:timestamp()},
    gen_server:cast(Pid, {write, Level, Format, Args, maps:merge(Meta, Timed)}).

%% The program has sent this frame, which is for the log.
-spec event(log(), port(), binary()) -> ok.
event({Pid, Meta}, Port, Frame) ->
    gen_server:cast(Pid, {event, Port, Frame, Meta#{time => logger:timestamp()}}).

%% Events of this program, with this many bytes, have been handled.
-spec acknowledge(log(), port(), non_neg_integer()) -> ok.
acknowledge({Pid, _}, Port, Bytes) ->
    gen_server:cast(Pid, {acknowledge, Port, Bytes}).

%% ---------------------------------------------------------------------------

%% An application that has stopped kills the processes that have its group
%% leader. The worker's end has to come as a message, behind its lines: so the
%% link is made here, and the worker is not the parent of this gen_server.
-spec init({pid(), boolean()}) -> {ok, #state{}}.
init({Worker, Logs}) ->
    process_flag(trap_exit, true),
    group_leader(whereis(init), self()),
    link(Worker),
    {ok, #state{worker = Worker, logs = Logs}}.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}}.
handle_call(_, _, S) ->
    {noreply, S}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast({write, Level, Format, Args, Meta}, S) ->
    logger:log(Level, Format, Args, Meta),
    {noreply, S};
handle_cast({event, Port, Frame, Meta}, #state{logs = Logs} = S) ->
    {Level, Format, Args, More} = py_talk_line:read(Frame),
    All = maps:merge(More, Meta),
    (Logs orelse not is_map_key(span, More)) andalso logger:log(Level, Format, Args, All),
    py_talk_span:tell(All),
    {noreply, dealt_with(Port, byte_size(Frame), S)};
handle_cast({acknowledge, Port, Bytes}, S) ->
    {noreply, dealt_with(Port, Bytes, S)}.

dealt_with(Port, Bytes, #state{unacked = Unacked} = S) when Unacked + Bytes >= ?ACK ->
    _ = py_os_port:send(Port, py_wire:ack(Unacked + Bytes)),
    S#state{unacked = 0};
dealt_with(_, Bytes, #state{unacked = Unacked} = S) ->
    S#state{unacked = Unacked + Bytes}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({'EXIT', Worker, _}, #state{worker = Worker} = S) ->
    {stop, normal, S};
handle_info(_, S) ->
    {noreply, S}.
