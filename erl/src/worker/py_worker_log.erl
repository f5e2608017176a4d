%% SPDX-License-Identifier: Apache-2.0
%%
%% A worker's lines for Erlang's logger. They are written by a process of their
%% own: a logger's handlers run in whoever logs and may be slow, and a worker
%% has deadlines to keep. The program's events are acknowledged here, when what
%% they had to say is written: so it is held back and nothing piles up.
%%
%% The process ends when its worker has ended and all is written, also when the
%% application has stopped meanwhile. Without it no worker goes on.
-module(py_worker_log).

-export([start/1, write/5, acknowledge/3]).
-export_type([log/0]).

%% How many bytes of events are acknowledged at a time.
-define(ACK, (1 bsl 17)).

-opaque log() :: {pid(), logger:metadata()}.

%% For the calling process, with what is said of each line.
-spec start(logger:metadata()) -> log().
start(Meta) ->
    Worker = self(),
    {spawn_link(fun() -> init(Worker) end), Meta#{pid => Worker}}.

%% An application that has stopped kills those who have its group leader.
init(Worker) ->
    process_flag(trap_exit, true),
    group_leader(whereis(init), self()),
    loop(Worker, 0).

-spec write(log(), logger:level(), io:format(), [term()], logger:metadata()) -> ok.
write({Pid, Meta}, Level, Format, Args, More) ->
    Timed = More#{time => logger:timestamp()},
    Pid ! {write, Level, Format, Args, maps:merge(Meta, Timed)},
    ok.

%% So many bytes of events from this program have been dealt with.
-spec acknowledge(log(), port(), non_neg_integer()) -> ok.
acknowledge({Pid, _}, Port, Bytes) ->
    Pid ! {acknowledge, Port, Bytes},
    ok.

loop(Worker, Unacked) ->
    receive
        {write, Level, Format, Args, Meta} ->
            logger:log(Level, Format, Args, Meta),
            loop(Worker, Unacked);
        {acknowledge, Port, Bytes} when Unacked + Bytes >= ?ACK ->
            _ = py_os_port:send(Port, py_wire:ack(Unacked + Bytes)),
            loop(Worker, 0);
        {acknowledge, _, Bytes} ->
            loop(Worker, Unacked + Bytes);
        {'EXIT', Worker, _} ->
            ok
    end.
