%% SPDX-License-Identifier: Apache-2.0
%%
%% How a worker ends its program, after every request that it accepted has been
%% answered. A program that understands `quit' is asked to end: what Python says
%% meanwhile (atexit functions print and log) still arrives. It has some time, then
%% its port is closed and it is killed with all that it started.
%%
%% Whatever others still want of the worker is refused, so nobody waits for this.
-module(py_worker_end).

-export([run/1]).
-export_type([ending/0]).

-include("py.hrl").

-type ending() :: #{port := port() | undefined,     % undefined: the program is gone
                    os_pid := pos_integer() | undefined,
                    quits := boolean(),             % whether it understands `quit'
                    events := py_worker_events:events() | undefined,
                    about := logger:metadata(),
                    grace := non_neg_integer(),     % how long it may take (ms)
                    why := term()}.                 % the end of the worker

-spec run(ending()) -> ok.
run(#{port := undefined, os_pid := OsPid}) ->
    py_os_port:kill(OsPid);
run(#{quits := false, grace := Grace} = E) ->
    close(Grace, E);
run(#{port := Port, grace := Grace} = E) ->
    _ = py_os_port:send(Port, py_wire:quit()),
    Last = listen(py_time:deadline(Grace), E),
    close(0, Last).

%% Until the program is gone, or the time is up even if there is more to hear.
listen(Deadline, E) ->
    case py_time:left(Deadline) of
        0 -> E;
        Left -> listen(Left, Deadline, E)
    end.

listen(Left, Deadline, #{port := Port} = E) ->
    receive
        {Port, {data, Frame}} -> listen(Deadline, heard(Frame, E));
        {Port, {exit_status, Status}} -> ended(py_os_exit:reason(Status), E);
        {'EXIT', Port, _} -> E;
        {py_worker, Message} -> refuse(Message, E), listen(Deadline, E)
    after Left ->
        E
    end.

%% Nobody waits for a reply any more.
heard(Frame, #{port := Port, events := Events} = E) ->
    case py_wire:reply_id(Frame) of
        none -> E#{events := py_worker_events:handle(Frame, Port, Events)};
        _ -> E
    end.

%% A crash in its last moments has no caller who could be told.
ended({signal, _} = Reason, #{events := Events, about := About} = E) ->
    py_worker_reaper:crashed(About, py_worker_events:explain(Reason, Events)),
    E;
ended(_, E) ->
    E.

close(Grace, #{port := Port, os_pid := OsPid} = E) ->
    {_, Closed} = spawn_monitor(fun() -> py_os_port:close(Port, OsPid, Grace) end),
    refuse_until(Closed, E).

refuse_until(Closed, E) ->
    receive
        {'DOWN', Closed, process, _, _} -> ok;
        {py_worker, Message} -> refuse(Message, E), refuse_until(Closed, E)
    end.

refuse({request, Req}, _) -> py_worker_live:refuse(Req);
refuse({pull, From, _, _}, #{why := Why}) -> py_ask:answer(From, {error, {worker_exit, Why}});
refuse(_, _) -> ok.
